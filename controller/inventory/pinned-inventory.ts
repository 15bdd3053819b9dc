// One revision of the inventory, for readers that take longer than a turn of the event loop: the writer keeps what changes
// under it, until the reader releases it or its time is over.
import { type IsConcerned, newVms, replacedVms } from "./difference.ts";
import { Inventory } from "./inventory.ts";
import type { KeptLayer, Layer } from "./layer.ts";
import type { Tables } from "./packed/tables.ts";
import type { VmChange } from "./sides.ts";

/** The time in which a pinned inventory may be read is over. */
export class PinExpiredError extends Error {
  override readonly name = "PinExpiredError";
}

export class PinnedInventory extends Inventory {
  private end: "released" | "expired" | undefined;

  /** @param kept what was before later changes of the tables */
  constructor(
    base: Tables,
    private readonly kept: KeptLayer,
    private readonly onEnd: () => void,
  ) {
    super(base);
  }

  /** @throws PinExpiredError, or another error after the release */
  override get layer(): Layer | undefined {
    if (this.end === "expired") throw new PinExpiredError(expired);
    if (this.end === "released") throw new Error("this inventory was released");
    return this.kept.top;
  }

  /** By what was applied since, if nothing else was applied after it. */
  get replacedVms(): Iterable<VmChange> {
    return replacedVms(this.base, this.lowest);
  }

  /** Whether there are any. */
  get replacesVms(): boolean {
    return this.lowest.shown.vms.size > 0;
  }

  /** As `replacedVms`. @param isConcerned see `newVms` */
  newVms(isConcerned: IsConcerned): Iterable<VmChange | undefined> {
    return newVms(this.base, this.lowest, isConcerned);
  }

  /** Hosts and networks with other numbers of VMs or interfaces than now. */
  get changedPairs(): Iterable<readonly [host: string, network: string]> {
    return this.lowest.delta.pairs;
  }

  private get lowest(): KeptLayer {
    return this.kept.size > 0 || !this.kept.next ? this.kept : this.kept.next;
  }

  /** The reader has ended: what was kept is dropped. */
  release(): void {
    this.endAs("released");
  }

  /** Its time is over: the same, and reading throws PinExpiredError from now on. */
  expire(): void {
    this.endAs("expired");
  }

  private endAs(end: "released" | "expired"): void {
    if (this.end) return;
    this.end = end;
    this.onEnd();
  }
}

const expired =
  "the answer was not ready in time, and the inventory of its revision is no longer kept: ask for less at once, or try again";
