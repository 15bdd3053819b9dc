// Time limits in a test that is not about how fast the machine is.
import { onTestFinished, vi } from "vitest";

/**
 * From now on no timeout expires by itself, here and in a controller of this process. Waits that use one (`waitFor`)
 * never end.
 * @returns a function that lets so much time pass, ms
 */
export function holdTimeouts(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => void vi.advanceTimersByTime(ms);
}

/** Like `holdTimeouts`, for intervals, and with the monotonic clock. */
export function holdIntervals(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => void vi.advanceTimersByTime(ms);
}
