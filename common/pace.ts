// How often made-up work runs, so that real work finds its code in the processor's caches. Pure.

/** The kernel's timers may be late by this anyway, ms. */
const toleranceMs = 8;
/** Weight of the last wait in the mean. */
const weight = 1 / 16;
/** Waits after which a host is judged again. */
const judgedAfter = 32;
/** Waits get longer while the caller gets its processor late, and shorter when that is over. */
export class Pace {
  private intervalMs: number;
  private lateMs = 0;
  private waits = 0;

  /**
   * @param baseMs 0: no runs
   * @param maxMs a busy machine is left alone for this time at the most
   */
  constructor(
    private readonly baseMs: number,
    private readonly maxMs: number,
  ) {
    this.intervalMs = baseMs;
  }

  /** @param isWanted false: there is nothing to keep warm. @returns interval of the runs, ms; 0: none */
  heatMs(isWanted: boolean): number {
    return isWanted ? this.intervalMs : 0;
  }

  /** A wait of the present interval took `tookMs`. */
  waited(tookMs: number): void {
    this.lateMs += (Math.max(0, tookMs - this.intervalMs - toleranceMs) - this.lateMs) * weight;
    this.waits += 1;
    if (this.waits < judgedAfter) return;
    if (this.lateMs > toleranceMs) this.change(Math.min(this.maxMs, this.intervalMs * 2));
    else if (this.lateMs < toleranceMs / 4) this.change(Math.max(this.baseMs, this.intervalMs / 2));
  }

  private change(intervalMs: number): void {
    this.waits = 0;
    this.lateMs = 0;
    this.intervalMs = intervalMs;
  }
}
