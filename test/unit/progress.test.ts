import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { progressOf } from "../../cli/progress.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function terminal(isTTY: boolean) {
  const stream = new PassThrough();
  const text = () => String(stream.read() ?? "");
  return { stream: Object.assign(stream, { isTTY, columns: 80, rows: 24 }) as unknown as NodeJS.WriteStream, text };
}

const what = { what: "sending", total: 1_000_000, waiting: "sent; waiting" };

test("a terminal shows what is sent, then how long the answer takes, and is left as it was", () => {
  const { stream, text } = terminal(true);
  const progress = progressOf(what, stream);
  progress.advance(500_000);
  vi.advanceTimersByTime(1_000);
  expect(text()).toContain("50%");
  progress.advance(500_000);
  expect(text()).toMatch(/sent; waiting, 0 s$/);
  vi.advanceTimersByTime(3_000);
  expect(text()).toMatch(/sent; waiting, 3 s$/);
  progress.stop();
  expect(text()).toBe("\r\u001b[K");
  progress.stop();
  vi.advanceTimersByTime(10_000);
  expect(text()).toBe("");
});

test("nothing is shown without a terminal, or of little", () => {
  const pipe = terminal(false);
  progressOf(what, pipe.stream).advance(1_000_000);
  const little = terminal(true);
  progressOf({ ...what, total: 1_000 }, little.stream).advance(1_000);
  expect([pipe.text(), little.text()]).toEqual(["", ""]);
});
