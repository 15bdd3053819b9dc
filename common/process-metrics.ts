// prom-client's metrics of the process, with a timer for the delay of the event loop only while they are read: it wakes the process up a hundred
// times a second.
import perf, { type IntervalHistogram } from "node:perf_hooks";
import { collectDefaultMetrics, type Registry } from "prom-client";

/** Without a reader for this time the delay is not measured. */
const unreadMs = 300_000;

export function collectProcessMetrics(register: Registry): void {
  const { monitorEventLoopDelay } = perf;
  // prom-client has no option for it, and calls this once, now.
  perf.monitorEventLoopDelay = (options) => whileRead(monitorEventLoopDelay(options));
  try {
    collectDefaultMetrics({ register });
  } finally {
    perf.monitorEventLoopDelay = monitorEventLoopDelay;
  }
}

/** Begins with the first reading, which is of nothing: 0. A reading ends with a reset. */
function whileRead(histogram: IntervalHistogram): IntervalHistogram {
  let timer: NodeJS.Timeout | undefined;
  const figure = (value: number): number => (histogram.count === 0 ? 0 : value);
  const reader = {
    enable: () => true,
    get min() {
      return figure(histogram.min);
    },
    get max() {
      return figure(histogram.max);
    },
    get mean() {
      return figure(histogram.mean);
    },
    get stddev() {
      return figure(histogram.stddev);
    },
    percentile: (of: number) => figure(histogram.percentile(of)),
    reset: () => {
      histogram.reset();
      histogram.enable();
      timer ??= setTimeout(() => {
        timer = undefined;
        histogram.disable();
      }, unreadMs).unref();
      timer.refresh();
    },
  };
  return reader as unknown as IntervalHistogram;
}
