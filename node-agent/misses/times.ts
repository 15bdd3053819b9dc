// Durations of misses, from reading each to its entries in the kernel: collected until they are sent to the controller.
import { toThousandths } from "../../common/round.ts";

export class TimesOfMisses {
  private count = 0;
  private sumMs = 0;
  private maxMs = 0;

  add(tookMs: number): void {
    this.count += 1;
    this.sumMs += tookMs;
    this.maxMs = Math.max(this.maxMs, tookMs);
  }

  /** Durations since the last call, to a thousandth; undefined if there are none. */
  take(): { readonly count: number; readonly sumMs: number; readonly maxMs: number } | undefined {
    const { count, sumMs, maxMs } = this;
    if (count === 0) return undefined;
    this.count = this.sumMs = this.maxMs = 0;
    return { count, sumMs: toThousandths(sumMs), maxMs: toThousandths(maxMs) };
  }
}
