// Token buckets by key: how often each of many may do something.

export interface Rate {
  /** On average; above 0. */
  readonly perSecond: number;
  /** At once, after a rest. */
  readonly burst: number;
}

export class Allowances {
  private readonly left = new Map<string, { readonly tokens: number; readonly atMs: number }>();

  /** @param maxKeys beyond these, keys whose allowance is full are dropped, which changes nothing for them */
  constructor(
    private readonly rate: Rate,
    private readonly maxKeys: number,
  ) {}

  /** Milliseconds until the key may spend 1; 0: now. */
  waitMs(key: string, nowMs: number): number {
    const missing = 1 - this.tokens(key, nowMs);
    return missing <= 0 ? 0 : (missing * 1_000) / this.rate.perSecond;
  }

  /** Whether the key had 1 to spend, which it then has spent. */
  take(key: string, nowMs: number): boolean {
    if (this.waitMs(key, nowMs) > 0) return false;
    this.spend(key, 1, nowMs);
    return true;
  }

  /** More than the key has becomes a debt, at most as large as the burst. */
  spend(key: string, cost: number, nowMs: number): void {
    const tokens = Math.max(this.tokens(key, nowMs) - cost, -this.rate.burst);
    this.left.set(key, { tokens, atMs: nowMs });
    if (this.left.size <= this.maxKeys) return;
    for (const each of this.left.keys()) {
      if (this.tokens(each, nowMs) >= this.rate.burst) this.left.delete(each);
    }
  }

  private tokens(key: string, nowMs: number): number {
    const { perSecond, burst } = this.rate;
    const known = this.left.get(key);
    return known ? Math.min(burst, known.tokens + ((nowMs - known.atMs) * perSecond) / 1_000) : burst;
  }
}
