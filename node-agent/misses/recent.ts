// The last misses and their outcomes, for `nearmiss agent status`. Bounded: the oldest is evicted.
import type { MacAddress, VtepAddress } from "../../schema/address/index.ts";
import type { Timeline } from "./timeline.ts";

/** A miss at its end; every time is of the agent's monotonic clock. */
export interface FinishedMiss extends Timeline {
  /** "from memory": the kernel had lost entries of a held answer. "from replica": the host has the whole network in memory. */
  readonly outcome: "answered" | "unknown" | "from memory" | "from replica";
  /** Acknowledged by the kernel; absent if there was nothing to write. */
  readonly programmedMs?: number;
  /** When the answer was sent to the waiting guests; absent if no guest waited. */
  readonly announcedMs?: number;
  readonly mac?: MacAddress;
  readonly vtep?: VtepAddress;
}

export class RecentMisses {
  private readonly ring: FinishedMiss[] = [];
  private next = 0;

  constructor(private readonly size = 256) {}

  push(miss: FinishedMiss): void {
    this.ring[this.next] = miss;
    this.next = (this.next + 1) % this.size;
  }

  /** The newest first. */
  list(): FinishedMiss[] {
    return [...this.ring.slice(this.next), ...this.ring.slice(0, this.next)].reverse();
  }
}
