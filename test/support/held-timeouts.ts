// Time limits in a test that is not about how fast the machine is.
import { onTestFinished, vi } from "vitest";

/**
 * From now on no timeout ends by itself, here and in a controller of this process. What waits with one (`waitFor`) waits for ever.
 * @returns lets so much time go by, ms
 */
export function holdTimeouts(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => void vi.advanceTimersByTime(ms);
}

/** As `holdTimeouts`, for what comes again and again, and with the monotonic clock. */
export function holdIntervals(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => void vi.advanceTimersByTime(ms);
}
