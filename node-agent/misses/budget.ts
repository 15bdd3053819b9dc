// How many questions a guest, a network and a host may put: token buckets. A scanning guest uses up its own and nobody
// else's. Pure; time is injected.

export interface Allowance {
  /** Questions per second that come back. */
  readonly perSecond: number;
  /** Questions that may be put at once. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Buckets by name, at most `maxBuckets`: the longest unused is full again by the time it would matter. */
export class Budget {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly allowance: Allowance,
    private readonly maxBuckets = 4_096,
  ) {}

  /** Whether `name` may put one more question now. Takes nothing. */
  allows(name: string, nowMs: number): boolean {
    return this.fill(name, nowMs).tokens >= 1;
  }

  /** Counts one question against `name`. */
  spend(name: string, nowMs: number): void {
    this.fill(name, nowMs).tokens -= 1;
  }

  private fill(name: string, nowMs: number): Bucket {
    const { perSecond, burst } = this.allowance;
    const bucket = this.buckets.get(name) ?? { tokens: burst, atMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * perSecond);
    bucket.atMs = nowMs;
    this.buckets.delete(name);
    this.buckets.set(name, bucket);
    const [oldest] = this.buckets.keys();
    if (this.buckets.size > this.maxBuckets && oldest !== undefined) this.buckets.delete(oldest);
    return bucket;
  }
}
