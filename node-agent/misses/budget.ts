// Token buckets that limit the queries of a guest, a network and a host. A scanning guest uses up its own budget only.
// Pure; time is injected.

export interface Allowance {
  /** Refill, in queries per second. */
  readonly perSecond: number;
  /** Burst of queries. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Buckets by name, at most `maxBuckets`. The least recently used is evicted: it is full again anyway. */
export class Budget {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly allowance: Allowance,
    private readonly maxBuckets = 4_096,
  ) {}

  /** Whether `name` may send one more query now. Takes nothing. */
  allows(name: string, nowMs: number): boolean {
    return this.fill(name, nowMs).tokens >= 1;
  }

  /** Takes one query from the budget of `name`. */
  spend(name: string, nowMs: number): void {
    this.fill(name, nowMs).tokens -= 1;
  }

  /** Remaining queries by name. Changes nothing. */
  left(nowMs: number): Map<string, number> {
    return new Map([...this.buckets].map(([name, bucket]) => [name, Math.floor(this.tokensAt(bucket, nowMs))]));
  }

  private tokensAt({ tokens, atMs }: Bucket, nowMs: number): number {
    const { perSecond, burst } = this.allowance;
    return Math.min(burst, tokens + ((nowMs - atMs) / 1_000) * perSecond);
  }

  private fill(name: string, nowMs: number): Bucket {
    const bucket = this.buckets.get(name) ?? { tokens: this.allowance.burst, atMs: nowMs };
    bucket.tokens = this.tokensAt(bucket, nowMs);
    bucket.atMs = nowMs;
    this.buckets.delete(name);
    this.buckets.set(name, bucket);
    const [oldest] = this.buckets.keys();
    if (this.buckets.size > this.maxBuckets && oldest !== undefined) this.buckets.delete(oldest);
    return bucket;
  }
}
