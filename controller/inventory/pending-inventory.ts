// The committed inventory with all that is decided and not stored yet, as a layer over its tables: refused or failed changes
// leave nothing behind, since nothing else was touched.
import type { ResourceChange } from "../../schema/events/index.ts";
import { Inventory } from "./inventory.ts";
import { Layer } from "./layer.ts";
import type { Tables } from "./packed/tables.ts";
import { atOnce, type Steps } from "./steps.ts";

export class PendingInventory extends Inventory {
  private edits: Layer;

  constructor(base: Tables) {
    super(base);
    this.edits = new Layer(base);
  }

  get own(): Layer {
    return this.edits;
  }

  override get layer(): Layer | undefined {
    return this.edits.size > 0 ? this.edits : undefined;
  }

  apply(changes: readonly ResourceChange[]): void {
    atOnce(this.applySteps(changes));
  }

  /** As `apply`. The inventory must not be read until the last step. */
  applySteps(changes: readonly ResourceChange[]): Steps<void> {
    return this.edits.putSteps(changes);
  }

  /** Takes back the last change set that was applied and is not settled. */
  revertSteps(changes: readonly ResourceChange[]): Steps<void> {
    return this.edits.revertSteps(changes);
  }

  /** The committed inventory has the changes. */
  settle(changes: readonly ResourceChange[]): void {
    this.edits.settle(changes);
  }

  /** It has all that is here. */
  settleAll(): void {
    this.edits = new Layer(this.base);
  }
}
