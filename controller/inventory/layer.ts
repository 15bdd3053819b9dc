// Resources laid over the tables of an inventory. A resource that is edited here hides the one of that name in the tables.
import type { ResourceChange, ResourceKind } from "../../schema/events/index.ts";
import { CountDelta } from "./count-delta.ts";
import { IdSet } from "./packed/id-set.ts";
import { none } from "./packed/rows.ts";
import { Tables } from "./packed/tables.ts";

export abstract class Layer {
  /** Of the edited resources, those that are there. */
  readonly shown = new Tables();
  readonly delta = new CountDelta();
  protected readonly hiddenVms = new IdSet();
  /** The layer below this one; absent: the tables are. */
  next: KeptLayer | undefined;

  constructor(protected readonly below: Tables) {}

  abstract get size(): number;

  /** The first with changes, from this one down. */
  get top(): Layer | undefined {
    return this.size > 0 ? this : this.next?.top;
  }

  abstract hides(kind: ResourceKind, name: string): boolean;

  /** @param id of a row in the tables below */
  hidesVm(id: number): boolean {
    return this.hiddenVms.has(id);
  }

  /** Before the tables below lose `change.before`. */
  abstract beforeBelow(change: ResourceChange): void;

  /** After the tables below have `change.after`. */
  abstract afterBelow(change: ResourceChange): void;

  protected hideRow(change: ResourceChange): void {
    if (change.kind !== "vm") return;
    const id = this.below.vms.find(nameOf(change));
    if (id !== none) this.hiddenVms.add(id);
  }

  protected unhideRow(change: ResourceChange): void {
    if (change.kind === "vm") this.hiddenVms.delete(this.below.vms.find(nameOf(change)));
  }
}

/** Layers from the top down. */
export function* layersFrom(top: Layer | undefined): Generator<Layer, void, void> {
  for (let layer = top; layer; layer = layer.next) yield layer;
}

/** Whether a layer hides the row of the tables. */
export function hidesRow(top: Layer | undefined, id: number): boolean {
  for (let layer = top; layer; layer = layer.next) if (layer.hidesVm(id)) return true;
  return false;
}

/** Whether a layer above `end` hides the resource; absent: any layer. */
export function hidesAbove(top: Layer | undefined, end: Layer | undefined, kind: ResourceKind, name: string): boolean {
  for (let layer = top; layer && layer !== end; layer = layer.next) if (layer.hides(kind, name)) return true;
  return false;
}

/** By how much a number differs from that of the tables. */
export function sumOf(top: Layer | undefined, numberIn: (delta: CountDelta) => number | undefined): number {
  let sum = 0;
  for (let layer = top; layer; layer = layer.next) sum += numberIn(layer.delta) ?? 0;
  return sum;
}

/** What is decided, and not in the tables yet. */
export class PendingLayer extends Layer {
  /** By name, how often each was put and neither settled nor reverted. */
  private readonly edits: Readonly<Record<ResourceKind, Map<string, number>>> = {
    network: new Map(),
    host: new Map(),
    vm: new Map(),
  };

  /** Number of edited resources. */
  get size(): number {
    return this.edits.network.size + this.edits.host.size + this.edits.vm.size;
  }

  hides(kind: ResourceKind, name: string): boolean {
    return this.edits[kind].has(name);
  }

  /** The inventory changes, and the tables below do not. */
  put(changes: readonly ResourceChange[]): void {
    for (const change of changes) {
      const edits = this.edits[change.kind];
      edits.set(nameOf(change), (edits.get(nameOf(change)) ?? 0) + 1);
      this.delta.count(change, 1);
      this.hideRow(change);
    }
    this.show(changes.map((change) => this.edited(change, change.after)));
  }

  /** Takes back what `put` did with the same changes. */
  revert(changes: readonly ResourceChange[]): void {
    for (const change of changes) this.delta.count(change, -1);
    const edited = changes.map((change) => this.edited(change, change.before));
    this.show(edited.map((change) => (this.isLast(change) ? { ...change, after: null } : change)));
    for (const change of changes) this.forget(change);
  }

  /** The tables below have changed as `put` changed the inventory. */
  settle(changes: readonly ResourceChange[]): void {
    const put = changes.filter((change) => this.hides(change.kind, nameOf(change)));
    for (const change of put) if (this.isLast(change)) this.shown.remove(this.edited(change, null));
    for (const change of put) this.forget(change);
  }

  beforeBelow(change: ResourceChange): void {
    if (!this.hides(change.kind, nameOf(change))) return;
    this.delta.countRemoval(change, -1);
    if (change.after === null) this.unhideRow(change);
  }

  afterBelow(change: ResourceChange): void {
    if (!this.hides(change.kind, nameOf(change))) return;
    this.delta.countAddition(change, -1);
    if (change.before === null) this.hideRow(change);
  }

  /** From what is shown to `after`. */
  private edited(change: ResourceChange, after: ResourceChange["after"]): ResourceChange {
    const { networks, hosts, vmIndex } = this.shown;
    const index = { network: networks, host: hosts, vm: vmIndex }[change.kind];
    return { kind: change.kind, before: index.get(nameOf(change)) ?? null, after } as ResourceChange;
  }

  private show(changes: readonly ResourceChange[]): void {
    for (const change of changes) this.shown.remove(change);
    for (const change of changes) this.shown.add(change);
  }

  private isLast(change: ResourceChange): boolean {
    return this.edits[change.kind].get(nameOf(change)) === 1;
  }

  private forget(change: ResourceChange): void {
    const name = nameOf(change);
    const edits = this.edits[change.kind];
    const left = (edits.get(name) ?? 1) - 1;
    if (left > 0) {
      edits.set(name, left);
      return;
    }
    edits.delete(name);
    this.unhideRow(change);
  }
}

/**
 * What was there before later changes of the tables below: what they lost is shown, what they gained is hidden. A VM that is new below
 * costs one bit.
 */
export class KeptLayer extends Layer {
  private readonly places = { network: new Set<string>(), host: new Set<string>() };
  /** Names of VMs that were new below it when another layer between took them. */
  private readonly newNames = new Set<string>();
  private keptCount = 0;

  /** Rows of the tables below that are not shown: VMs that are new there, or others than they were. */
  get hidden(): Iterable<number> {
    return this.hiddenVms;
  }

  /** Number of changes below. */
  get size(): number {
    return this.keptCount;
  }

  hides(kind: ResourceKind, name: string): boolean {
    if (kind !== "vm") return this.places[kind].has(name);
    return this.shown.vms.find(name) !== none || this.hidesVm(this.below.vms.find(name)) || this.newNames.has(name);
  }

  /** A layer between keeps what the tables lose now: a VM that is new there and hidden by its row stays so by its name. */
  stayHidden(change: ResourceChange): void {
    if (change.kind === "vm" && this.hidesVm(this.below.vms.find(nameOf(change)))) this.newNames.add(nameOf(change));
  }

  /** The tables below are about to change: what they have stays visible. */
  keep(change: ResourceChange): void {
    this.keptCount += 1;
    if (this.hides(change.kind, nameOf(change))) return;
    if (change.kind !== "vm") this.places[change.kind].add(nameOf(change));
    else this.hideRow(change);
    if (change.before) this.shown.add({ kind: change.kind, before: null, after: change.before } as ResourceChange);
  }

  beforeBelow(change: ResourceChange): void {
    this.delta.countRemoval(change, -1);
    if (change.after === null) this.unhideRow(change);
  }

  afterBelow(change: ResourceChange): void {
    this.delta.countAddition(change, -1);
    this.hideRow(change);
  }
}

const nameOf = ({ before, after }: ResourceChange): string => (after ?? before)?.name ?? "";
