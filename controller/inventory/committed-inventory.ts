// The inventory that is stored and published. What is decided on it and not stored yet is a layer over it
// (`pending-inventory.ts`); readers that must see one revision for longer pin it (`pinned-inventory.ts`).
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { Inventory, type Resources } from "./inventory.ts";
import type { Layer } from "./layer.ts";
import type { PackedVm } from "./packed/packed-vm.ts";
import { Tables } from "./packed/tables.ts";
import { PendingInventory } from "./pending-inventory.ts";
import { PinnedInventory } from "./pinned-inventory.ts";
import { atOnce, type Steps } from "./steps.ts";

export class CommittedInventory extends Inventory {
  private readonly pins = new Set<PinnedInventory>();
  private readonly pending = new Set<PendingInventory>();
  /** A change set that is published and not in the tables yet. */
  private arriving: Layer | undefined;

  constructor() {
    super(new Tables());
  }

  static of(resources: Resources): CommittedInventory {
    const inventory = new CommittedInventory();
    inventory.apply([
      ...resources.networks.map((after): ResourceChange => ({ kind: "network", before: null, after })),
      ...resources.hosts.map((after): ResourceChange => ({ kind: "host", before: null, after })),
      ...resources.vms.map((after): ResourceChange => ({ kind: "vm", before: null, after })),
    ]);
    return inventory;
  }

  /** Adds a stored resource, before anything else is done with the inventory. */
  fill(change: ResourceChange): void {
    this.base.add(change);
  }

  /** Stored VMs by the million, before anything else is done with the inventory. Nothing can be looked up until `end`. */
  startFilling() {
    this.base.startFilling();
    return {
      add: (after: Vm): void => this.base.add({ kind: "vm", before: null, after }),
      addPacked: (vm: PackedVm): void => this.base.addPacked(vm),
      end: (): void => this.base.endFilling(),
    };
  }

  override get layer(): Layer | undefined {
    return this.arriving;
  }

  /** @param onEnd called when it is released or expires */
  pin(onEnd: () => void = () => {}): PinnedInventory {
    const pinned = new PinnedInventory(this.base, this, (each) => {
      this.pins.delete(each);
      onEnd();
    });
    this.pins.add(pinned);
    return pinned;
  }

  get pinCount(): number {
    return this.pins.size;
  }

  /** An inventory for decisions: changes that are put into it are settled when they are applied here. */
  fork(): PendingInventory {
    const pending = new PendingInventory(this.base);
    this.pending.add(pending);
    return pending;
  }

  /** All `before`s leave before any `after` enters, so that one change set may swap addresses. */
  apply(changes: readonly ResourceChange[]): void {
    if (this.arriving) throw new Error("the change set before has not arrived yet");
    for (const { own } of this.pins) atOnce(own.keepSteps(changes));
    atOnce(this.changeTables(changes));
    for (const pending of this.pending) pending.settle(changes);
  }

  /** Before `show`: what pinned inventories keep of what is to change. */
  *keepSteps(changes: readonly ResourceChange[]): Steps<void> {
    for (const { own } of this.pins) yield* own.keepSteps(changes);
  }

  /**
   * As `apply` for readers: they see all of the change set from now on. The tables follow with `arriveSteps`, which has to end
   * before the next change.
   * @param pending has put exactly this change set, and nothing is put into it until the end of `arriveSteps`
   */
  show(changes: readonly ResourceChange[], pending: PendingInventory): void {
    for (const { own } of this.pins) atOnce(own.keepSteps(changes));
    if (pending.own.size !== changes.length) throw new Error("more is pending than the change set that is shown");
    this.arriving = pending.own;
  }

  *arriveSteps(changes: readonly ResourceChange[], pending: PendingInventory): Steps<void> {
    yield* this.changeTables(changes);
    this.arriving = undefined;
    pending.settleAll();
  }

  private *changeTables(changes: readonly ResourceChange[]): Steps<void> {
    for (const change of changes) {
      yield;
      for (const layer of this.layersAbove()) layer.beforeBelow(change);
      this.base.remove(change);
    }
    for (const change of changes) {
      yield;
      this.base.add(change);
      for (const layer of this.layersAbove()) layer.afterBelow(change);
    }
  }

  private *layersAbove(): Generator<Layer> {
    for (const { own } of this.pins) yield own;
    for (const { own } of this.pending) yield own;
  }
}
