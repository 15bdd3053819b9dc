// A token bucket. Pure; time is an argument, in ms of a monotonic clock.

export interface Rate {
  /** Tokens that are refilled per second. */
  readonly perSecond: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
}

export class TokenBucket {
  private tokens: number;

  /** The bucket is full. */
  constructor(
    private readonly rate: Rate,
    private atMs: number,
  ) {
    this.tokens = rate.burst;
  }

  /** Negative: more was spent than there was. */
  left(nowMs: number): number {
    const { perSecond, burst } = this.rate;
    return Math.min(burst, this.tokens + ((nowMs - this.atMs) / 1_000) * perSecond);
  }

  isFull(nowMs: number): boolean {
    return this.left(nowMs) >= this.rate.burst;
  }

  /** Also beyond what is left. */
  spend(count: number, nowMs: number): void {
    this.tokens = this.left(nowMs) - count;
    this.atMs = nowMs;
  }

  /** Time until at least `count` tokens are left, ms; 0: they are. */
  waitMs(count: number, nowMs: number): number {
    const missing = count - this.left(nowMs);
    return missing <= 0 ? 0 : (missing / this.rate.perSecond) * 1_000;
  }
}
