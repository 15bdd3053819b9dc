// The inventory that is stored and published. What is decided on it and not stored yet is a layer over it
// (`pending-inventory.ts`); readers that must see one revision for longer pin it (`pinned-inventory.ts`).
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { type Changes, inverseOf, placesIn, replacementsIn } from "./changes.ts";
import { replacedVms } from "./difference.ts";
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
  /** What readers see over the tables while a change set is in them that is not shown. */
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
    return this.standing?.top;
  }

  /** @param onEnd called when it is released or expires */
  pin(onEnd: () => void = () => {}): PinnedInventory {
    const kept = this.retain(new KeptLayer(this.base));
    if (this.standing) this.put(kept, this.standing);
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
    atOnce(this.changeTables(changes, false));
    for (const pending of this.pending) pending.settle(changes);
  }

  /**
   * As `apply`, for any number of changes: readers see nothing of them before `show`. Other changes may be applied from the first step on, if they
   * concern other names and addresses.
   * @param arrived called with each change
   */
  *arriveSteps(changes: Changes, arrived: (change: ResourceChange) => void = () => {}): Steps<void> {
    if (this.standing) throw new Error("the change set before is not shown yet");
    const standing = this.retain(new KeptLayer(this.base));
    for (const kept of this.kept.keys()) if (!kept.next && kept !== standing) this.put(kept, standing);
    for (const { own } of this.pending) own.next = standing;
    this.standing = standing;
    yield* this.changeTables(changes, true, arrived);
  }

  /** Takes back a change set that has arrived and was not shown. */
  *departSteps(changes: Changes): Steps<void> {
    yield* this.changeTables(inverseOf(changes), true);
    this.show();
  }

  /** With the change set that has arrived. */
  get coming(): Inventory {
    return new BareInventory(this.base);
  }

  /** By the change set that has arrived. */
  get replacedVms(): Iterable<ResourceChange> {
    return this.standing ? replacedVms(this.base, this.standing) : [];
  }

  /** The change set that has arrived gets this revision, in place of the one that it arrived with. */
  *stampSteps(changes: Changes, revision: Revision): Steps<void> {
    for (const change of placesIn(changes)) this.base.add(change);
    for (const id of this.standing?.hidden ?? []) {
      yield;
      this.base.vms.setRevision(id, revision);
    }
  }

  /** Readers see all of the change set that has arrived. */
  show(): void {
    if (!this.standing) return;
    for (const { own } of this.pending) own.next = undefined;
    this.release(this.standing);
    this.standing = undefined;
  }

  private *changeTables(
    changes: Changes,
    isArriving: boolean,
    arrived: (change: ResourceChange) => void = () => {},
  ): Steps<void> {
    for (const change of replacementsIn(changes)) {
      yield;
      for (const layer of this.kept.keys()) {
        if (this.keeps(layer, isArriving)) layer.keep(change);
        else layer.stayHidden(change);
      }
      for (const layer of this.layersAbove(isArriving)) layer.beforeBelow(change);
      this.base.remove(change);
    }
    for (const change of changes) {
      yield;
      if (change.before === null) for (const layer of this.keepers(isArriving)) layer.keep(change);
      this.base.add(change);
      for (const layer of this.layersAbove(isArriving)) layer.afterBelow(change);
      arrived(change);
    }
  }

  /** Of a change set that arrives one layer keeps what was before, for all; of other changes those do that are directly above it. */
  private keeps(layer: KeptLayer, isArriving: boolean): boolean {
    return isArriving ? layer === this.standing : layer !== this.standing && layer.next === this.standing;
  }

  private *keepers(isArriving: boolean): Generator<KeptLayer> {
    for (const layer of this.kept.keys()) if (this.keeps(layer, isArriving)) yield layer;
  }

  private *layersAbove(isArriving: boolean): Generator<Layer> {
    yield* this.keepers(isArriving);
    if (!isArriving) for (const { own } of this.pending) yield own;
  }

  private put(kept: KeptLayer, next: KeptLayer): void {
    kept.next = this.retain(next);
  }

  private retain(layer: KeptLayer): KeptLayer {
    this.kept.set(layer, (this.kept.get(layer) ?? 0) + 1);
    return layer;
  }

  private release(layer: KeptLayer): void {
    const left = (this.kept.get(layer) ?? 0) - 1;
    if (left > 0) {
      this.kept.set(layer, left);
      return;
    }
    this.kept.delete(layer);
    if (layer.next) this.release(layer.next);
  }
}

/** Tables without a layer. */
class BareInventory extends Inventory {
  override get layer(): undefined {
    return undefined;
  }

  constructor(base: Tables) {
    super(base);
  }
}
