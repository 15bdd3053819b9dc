// The committed inventory with all that is decided and not stored yet, as a layer over its tables: refused or failed changes
// leave nothing behind, since nothing else was touched.
import type { ResourceChange } from "../../schema/events/index.ts";
import { Inventory } from "./inventory.ts";
import { type Layer, PendingLayer } from "./layer.ts";
import type { Tables } from "./packed/tables.ts";

export class PendingInventory extends Inventory {
  readonly own: PendingLayer;

  constructor(base: Tables) {
    super(base);
    this.own = new PendingLayer(base);
  }

  override get layer(): Layer | undefined {
    return this.own.top;
  }

  apply(changes: readonly ResourceChange[]): void {
    this.own.put(changes);
  }

  /** Takes back the last change set that was applied and is not settled. */
  revert(changes: readonly ResourceChange[]): void {
    this.own.revert(changes);
  }

  /** The committed inventory has the changes. */
  settle(changes: readonly ResourceChange[]): void {
    this.own.settle(changes);
  }
}
