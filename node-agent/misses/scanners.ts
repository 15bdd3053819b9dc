// Detects guests of one network that send so many requests that those of others would be lost. Pure; time is injected.
import type { Rate } from "../../common/token-bucket.ts";
import type { MacAddress } from "../../schema/address/index.ts";
import { Budget } from "./budget.ts";

/** A scanning guest is ignored for this time. Then it is judged again. */
export const ignoredMs = 5_000;

export class Scanners {
  private readonly asked: Budget;
  /** End of the ignored time of each guest; the most recently found is last. */
  private readonly ignoredUntil = new Map<MacAddress, number>();

  /** @param allowance of requests for addresses that the host does not hold, retries included */
  constructor(allowance: Rate) {
    this.asked = new Budget(allowance);
  }

  get size(): number {
    return this.ignoredUntil.size;
  }

  /** Guests that are ignored now, the most recently found first. */
  list(): MacAddress[] {
    return [...this.ignoredUntil.keys()].reverse();
  }

  isOne(guest: MacAddress): boolean {
    return this.ignoredUntil.has(guest);
  }

  /** A guest's request for an address that the host does not hold. @returns true if it scans since this request */
  heard(guest: MacAddress, nowMs: number): boolean {
    if (this.asked.allows(guest, nowMs)) {
      this.asked.spend(guest, nowMs);
      return false;
    }
    return this.add(guest, nowMs);
  }

  /** A guest is known to scan. @returns whether that is new */
  add(guest: MacAddress, nowMs: number): boolean {
    const isNew = !this.ignoredUntil.delete(guest);
    this.ignoredUntil.set(guest, nowMs + ignoredMs);
    return isNew;
  }

  /** @returns whether the requests of at least one guest are recorded again */
  forget(nowMs: number): boolean {
    const over = [...this.ignoredUntil].filter(([, untilMs]) => untilMs <= nowMs);
    for (const [guest] of over) this.ignoredUntil.delete(guest);
    return over.length > 0;
  }
}
