import perf from "node:perf_hooks";
import { Registry } from "prom-client";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { collectProcessMetrics } from "../../common/process-metrics.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
});

test("the delay of the event loop is measured from its first reading until five minutes after the last", async () => {
  const measure = perf.monitorEventLoopDelay;
  let isMeasured = false;
  const spy = vi.spyOn(perf, "monitorEventLoopDelay").mockImplementation((options) => {
    const histogram = measure(options);
    const { enable, disable } = histogram;
    histogram.enable = () => {
      isMeasured = true;
      return enable.call(histogram);
    };
    histogram.disable = () => {
      isMeasured = false;
      return disable.call(histogram);
    };
    return histogram;
  });
  onTestFinished(() => spy.mockRestore());
  const registry = new Registry();
  collectProcessMetrics(registry);
  expect(spy).toHaveBeenCalledTimes(1);
  expect(perf.monitorEventLoopDelay).toBe(spy);
  expect(isMeasured).toBe(false);
  const read = async () => /^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(await registry.metrics())?.[1];
  expect(await read()).toBe("0");
  expect(isMeasured).toBe(true);
  const untilMs = performance.now() + 100;
  await new Promise((resolve) => setImmediate(resolve));
  while (performance.now() < untilMs) await new Promise((resolve) => setImmediate(resolve));
  expect(Number(await read())).toBeGreaterThan(0);
  vi.advanceTimersByTime(299_000);
  await read();
  vi.advanceTimersByTime(299_000);
  expect(isMeasured).toBe(true);
  vi.advanceTimersByTime(1_000);
  expect(isMeasured).toBe(false);
});
