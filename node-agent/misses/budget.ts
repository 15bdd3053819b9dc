// Token buckets that limit the queries of a guest, a network and a host. A scanning guest uses up its own budget only.
// Pure; time is injected.
import { type Rate, TokenBucket } from "../../common/token-bucket.ts";

/** Buckets by name, at most `maxBuckets`. The least recently used is evicted: it is full again anyway. */
export class Budget {
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(
    private readonly rate: Rate,
    private readonly maxBuckets = 4_096,
  ) {}

  /** Whether `name` may send one more query now. Takes nothing. */
  allows(name: string, nowMs: number): boolean {
    return this.use(name, nowMs).left(nowMs) >= 1;
  }

  /** Remaining queries of one name. */
  leftOf(name: string, nowMs: number): number {
    return Math.floor(this.buckets.get(name)?.left(nowMs) ?? this.rate.burst);
  }

  /** Takes one query from the budget of `name`, also beyond what is left: later ones pay for it. */
  spend(name: string, nowMs: number): void {
    this.use(name, nowMs).spend(1, nowMs);
  }

  /** Remaining queries by name. Changes nothing. */
  left(nowMs: number): Map<string, number> {
    return new Map([...this.buckets].map(([name, bucket]) => [name, Math.floor(bucket.left(nowMs))]));
  }

  private use(name: string, nowMs: number): TokenBucket {
    const bucket = this.buckets.get(name) ?? new TokenBucket(this.rate, nowMs);
    this.buckets.delete(name);
    this.buckets.set(name, bucket);
    const [oldest] = this.buckets.keys();
    if (this.buckets.size > this.maxBuckets && oldest !== undefined) this.buckets.delete(oldest);
    return bucket;
  }
}
