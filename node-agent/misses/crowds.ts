// Detects networks with so many misses that misses of others are lost. Names are the caller's: a network and a kind of miss.
// Pure; time is injected.
import type { Rate } from "../../common/token-bucket.ts";
import { Budget } from "./budget.ts";

/** Misses of a crowding network are ignored for this time. Then it is judged again. */
export const crowdedMs = 10_000;

/**
 * Budget of misses that are read, repetitions included: four times a network's budget of queries, since three attempts of a
 * guest for an unregistered address are one query. The queue that all networks share holds about 5,000.
 */
export const missAllowance: Rate = { perSecond: 4_000, burst: 8_192 };

/** Minimum of misses, among those read while others were lost, that makes a network crowding. */
const minCrowd = 64;

export class Crowds {
  private readonly missed: Budget;
  private readonly crowdedUntil = new Map<string, number>();
  /** Misses since the last check. */
  private readonly lately = new Map<string, number>();

  constructor(allowance: Rate = missAllowance) {
    this.missed = new Budget(allowance);
  }

  /** A miss was read. @returns true if `name` crowds out others since this miss */
  count(name: string, nowMs: number): boolean {
    this.lately.set(name, (this.lately.get(name) ?? 0) + 1);
    if (!this.missed.allows(name, nowMs)) return this.add(name, nowMs);
    this.missed.spend(name, nowMs);
    return false;
  }

  /**
   * Checks the misses that were read since the last check.
   * @param lost whether misses were lost since then: the only sign of a slow reader
   * @returns the network with the most misses, if it is a new one: several are found in successive checks
   */
  look(lost: boolean, nowMs: number): string | undefined {
    const [name = "", most = 0] = [...this.lately].sort(([, a], [, b]) => b - a)[0] ?? [];
    this.lately.clear();
    if (!lost || most < minCrowd) return undefined;
    return this.add(name, nowMs) ? name : undefined;
  }

  list(): string[] {
    return [...this.crowdedUntil.keys()];
  }

  /** @returns whether the misses of at least one network are read again */
  forget(nowMs: number): boolean {
    const over = [...this.crowdedUntil].filter(([, untilMs]) => untilMs <= nowMs);
    for (const [name] of over) this.crowdedUntil.delete(name);
    return over.length > 0;
  }

  private add(name: string, nowMs: number): boolean {
    if (this.crowdedUntil.has(name)) return false;
    this.crowdedUntil.set(name, nowMs + crowdedMs);
    return true;
  }
}
