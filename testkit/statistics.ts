// Order statistics of measured times. Pure.
import { toThousandths } from "../common/round.ts";

/** The smallest value that at least the share `p` of all values does not exceed (nearest rank). NaN of nothing. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export interface Distribution {
  readonly trials: number;
  readonly p10Ms: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Trials that took longer than `retryMs`: the guest had to ask again. */
  readonly retried: number;
}

/** A guest asks again after 1 s, less the resolution of the kernel's timers. */
export const retryMs = 900;

export function distribution(timesMs: readonly number[]): Distribution {
  return {
    trials: timesMs.length,
    p10Ms: toThousandths(percentile(timesMs, 0.1)),
    medianMs: toThousandths(median(timesMs)),
    p90Ms: toThousandths(percentile(timesMs, 0.9)),
    p95Ms: toThousandths(percentile(timesMs, 0.95)),
    p99Ms: toThousandths(percentile(timesMs, 0.99)),
    maxMs: toThousandths(percentile(timesMs, 1)),
    retried: timesMs.filter((ms) => ms > retryMs).length,
  };
}
