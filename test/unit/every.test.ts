import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { every } from "../../common/every.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
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

test("tasks that began at different moments run at the same ones, no sooner than half an interval later", () => {
  const atMs: Record<string, number[]> = { first: [], second: [], rare: [] };
  const note = (name: string) => () => void atMs[name]?.push(performance.now());
  const beginMs = performance.now();
  const first = every(100, note("first"), { inStep: true });
  vi.advanceTimersByTime(30);
  const second = every(100, note("second"), { inStep: true });
  vi.advanceTimersByTime(30);
  const rare = every(200, note("rare"), { inStep: true });
  vi.advanceTimersByTime(1_000);
  const { first: all = [], second: others = [], rare: some = [] } = atMs;
  expect(all.length).toBeGreaterThanOrEqual(10);
  expect(all).toEqual(expect.arrayContaining([...others, ...some]));
  for (const [begin, runs] of [
    [beginMs, all],
    [beginMs + 30, others],
  ] as const)
    expect(runs[0]).toBeGreaterThanOrEqual(begin + 50);
  for (const each of [first, second, rare]) each.stop();
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
