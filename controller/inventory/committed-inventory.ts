// The inventory that is stored and published. What is decided on it and not stored yet is a layer over it
// (`pending-inventory.ts`); readers that must see one revision for longer pin it (`pinned-inventory.ts`).
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { type Changes, inverseOf, replacementsIn } from "./changes.ts";
import { Inventory, type Resources } from "./inventory.ts";
import { KeptLayer, type Layer } from "./layer.ts";
import type { PackedVm } from "./packed/packed-vm.ts";
import { Tables } from "./packed/tables.ts";
import { PendingInventory } from "./pending-inventory.ts";
import { PinnedInventory } from "./pinned-inventory.ts";
import { atOnce, type Steps } from "./steps.ts";

export class CommittedInventory extends Inventory {
  /** Layers of what was before, with the number of their users. */
  private readonly kept = new Map<KeptLayer, number>();
  private readonly pending = new Set<PendingInventory>();
  /** What readers see over the tables while a change set arrives in them. */
  private standing: KeptLayer | undefined;
  private pins = 0;

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
    return this.standing;
  }

  /** @param onEnd called when it is released or expires */
  pin(onEnd: () => void = () => {}): PinnedInventory {
    const kept = this.retain(this.standing ?? new KeptLayer(this.base));
    this.pins += 1;
    return new PinnedInventory(this.base, kept, () => {
      this.pins -= 1;
      this.release(kept);
      onEnd();
    });
  }

  get pinCount(): number {
    return this.pins;
  }

  /** An inventory for decisions: changes that are put into it are settled when they are applied here. */
  fork(): PendingInventory {
    const pending = new PendingInventory(this.base);
    this.pending.add(pending);
    return pending;
  }

  /** All `before`s leave before any `after` enters, so that one change set may swap addresses. */
  apply(changes: readonly ResourceChange[]): void {
    if (this.standing) throw new Error("the change set before has not arrived yet");
    atOnce(this.changeTables(changes));
    for (const pending of this.pending) pending.settle(changes);
  }

  /** As `apply`, for any number of changes: readers see nothing of them before `show`. */
  *arriveSteps(changes: Changes): Steps<void> {
    if (this.standing) throw new Error("the change set before has not arrived yet");
    for (const { own } of this.pending) if (own.size > 0) throw new Error("others are pending over a change set");
    this.standing = this.retain(new KeptLayer(this.base));
    yield* this.changeTables(changes);
  }

  /** Takes back a change set that has arrived and was not shown. */
  *departSteps(changes: Changes): Steps<void> {
    yield* this.changeTables(inverseOf(changes));
    this.show();
  }

  /** Readers see all of the change set that has arrived. */
  show(): void {
    if (!this.standing) return;
    this.release(this.standing);
    this.standing = undefined;
  }

  private *changeTables(changes: Changes): Steps<void> {
    for (const change of replacementsIn(changes)) {
      yield;
      this.keep(change);
      for (const layer of this.layersAbove()) layer.beforeBelow(change);
      this.base.remove(change);
    }
    for (const change of changes) {
      yield;
      if (change.before === null) this.keep(change);
      this.base.add(change);
      for (const layer of this.layersAbove()) layer.afterBelow(change);
    }
  }

  private keep(change: ResourceChange): void {
    for (const layer of this.kept.keys()) layer.keep(change);
  }

  private *layersAbove(): Generator<Layer> {
    yield* this.kept.keys();
    for (const { own } of this.pending) yield own;
  }

  private retain(layer: KeptLayer): KeptLayer {
    this.kept.set(layer, (this.kept.get(layer) ?? 0) + 1);
    return layer;
  }

  private release(layer: KeptLayer): void {
    const left = (this.kept.get(layer) ?? 0) - 1;
    if (left > 0) this.kept.set(layer, left);
    else this.kept.delete(layer);
  }
}
