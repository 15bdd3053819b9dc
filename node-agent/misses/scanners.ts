// Which guests of one network ask for so much that what others ask would be lost among it. Pure; time is injected.
import type { MacAddress } from "../../schema/index.ts";
import { type Allowance, Budget } from "./budget.ts";

/** A guest that scans is not listened to for so long. Then it is told anew by what it does. */
export const ignoredMs = 5_000;

export class Scanners {
  private readonly asked: Budget;
  /** Until when each is not listened to; who was found scanning last comes last. */
  private readonly ignoredUntil = new Map<MacAddress, number>();

  /** @param allowance of questions for addresses that the host does not hold, retries included */
  constructor(allowance: Allowance) {
    this.asked = new Budget(allowance);
  }

  get size(): number {
    return this.ignoredUntil.size;
  }

  /** Not listened to now, who was found last first. */
  list(): MacAddress[] {
    return [...this.ignoredUntil.keys()].reverse();
  }

  isOne(guest: MacAddress): boolean {
    return this.ignoredUntil.has(guest);
  }

  /** A guest was heard asking for an address that the host does not hold. @returns true where it scans, by this question */
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
