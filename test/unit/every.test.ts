import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { every } from "../../common/every.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
});

test("a task runs after each interval until it is stopped, and at once only if asked for", () => {
  const runs: string[] = [];
  const later = every(100, () => void runs.push("later"));
  const now = every(100, () => void runs.push("now"), { immediately: true });
  expect(runs).toEqual(["now"]);
  vi.advanceTimersByTime(250);
  expect(runs).toEqual(["now", "later", "now", "later", "now"]);
  later.stop();
  now.stop();
  vi.advanceTimersByTime(250);
  expect(runs).toHaveLength(5);
});

test("a run that is due during another is left out", async () => {
  let runs = 0;
  const ends: (() => void)[] = [];
  const repetition = every(100, () => {
    runs += 1;
    return new Promise<void>((resolve) => ends.push(resolve));
  });
  vi.advanceTimersByTime(350);
  expect(runs).toBe(1);
  ends[0]?.();
  await repetition.idle;
  vi.advanceTimersByTime(100);
  expect(runs).toBe(2);
});

test("it does not keep the process alive", () => {
  vi.useRealTimers();
  const timeouts = () => process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
  const before = timeouts();
  const repetition = every(60_000, () => {});
  onTestFinished(() => repetition.stop());
  expect(timeouts()).toBe(before);
});
