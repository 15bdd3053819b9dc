// Token buckets by key: how often each of many may do something. Pure; time is an argument.
import { type Rate, TokenBucket } from "./token-bucket.ts";

export class Allowances {
  private readonly buckets = new Map<string, TokenBucket>();

  /** @param maxKeys beyond these, full buckets are dropped, which changes nothing for their keys */
  constructor(
    private readonly rate: Rate,
    private readonly maxKeys: number,
  ) {}

  /** Milliseconds until the key may spend 1; 0: now. */
  waitMs(key: string, nowMs: number): number {
    return this.buckets.get(key)?.waitMs(1, nowMs) ?? 0;
  }

  /** Whether the key had 1 to spend, which it then has spent. */
  take(key: string, nowMs: number): boolean {
    if (this.waitMs(key, nowMs) > 0) return false;
    this.spend(key, 1, nowMs);
    return true;
  }

  /** More than the key has becomes a debt, at most as large as the burst. */
  spend(key: string, count: number, nowMs: number): void {
    const bucket = this.buckets.get(key) ?? new TokenBucket(this.rate, nowMs);
    bucket.spend(Math.min(count, bucket.left(nowMs) + this.rate.burst), nowMs);
    this.buckets.set(key, bucket);
    if (this.buckets.size <= this.maxKeys) return;
    for (const [each, other] of this.buckets) if (other.isFull(nowMs)) this.buckets.delete(each);
  }
}
