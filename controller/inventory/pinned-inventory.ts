// One revision of the inventory, for readers that take longer than a turn of the event loop: the writer keeps what changes
// under it, until the reader releases it or its time is over.
import { Inventory } from "./inventory.ts";
import type { KeptLayer, Layer } from "./layer.ts";
import type { Tables } from "./packed/tables.ts";

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
    return this.kept.size > 0 ? this.kept : undefined;
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
