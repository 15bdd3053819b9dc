// Resources laid over the tables of an inventory: what is decided and not stored yet, or, under a pinned inventory, what was
// there before later changes. A resource that is edited here hides the one of that name in the tables.
import type { ResourceChange, ResourceKind } from "../../schema/events/index.ts";
import { CountDelta } from "./count-delta.ts";
import { none } from "./packed/rows.ts";
import { Tables } from "./packed/tables.ts";
import type { Steps } from "./steps.ts";

export class Layer {
  /** Of the edited resources, those that are there. */
  readonly shown = new Tables();
  readonly delta = new CountDelta();
  /** By name, how often each was put and neither settled nor reverted. */
  private readonly edits: Readonly<Record<ResourceKind, Map<string, number>>> = {
    network: new Map(),
    host: new Map(),
    vm: new Map(),
  };
  private readonly hiddenVms = new Set<number>();

  constructor(private readonly below: Tables) {}

  /** Number of edited resources. */
  get size(): number {
    return this.edits.network.size + this.edits.host.size + this.edits.vm.size;
  }

  hides(kind: ResourceKind, name: string): boolean {
    return this.edits[kind].has(name);
  }

  /** @param id of a row in the tables below */
  hidesVm(id: number): boolean {
    return this.hiddenVms.has(id);
  }

  /** The inventory changes, and the tables below do not. */
  *putSteps(changes: readonly ResourceChange[]): Steps<void> {
    for (const change of changes) {
      yield;
      const edits = this.edits[change.kind];
      edits.set(nameOf(change), (edits.get(nameOf(change)) ?? 0) + 1);
      this.delta.count(change, 1);
      this.hideRow(change);
    }
    yield* this.show(changes.map((change) => this.edited(change, change.after)));
  }

  /** Takes back what `putSteps` did with the same changes. */
  *revertSteps(changes: readonly ResourceChange[]): Steps<void> {
    for (const change of changes) this.delta.count(change, -1);
    const edited = changes.map((change) => this.edited(change, change.before));
    yield* this.show(edited.map((change) => (this.isLast(change) ? { ...change, after: null } : change)));
    for (const change of changes) this.forget(change);
  }

  /** The tables below have changed as `putSteps` changed the inventory. */
  settle(changes: readonly ResourceChange[]): void {
    const put = changes.filter((change) => this.hides(change.kind, nameOf(change)));
    for (const change of put) if (this.isLast(change)) this.shown.remove(this.edited(change, null));
    for (const change of put) this.forget(change);
  }

  /** The tables below are about to change: what they have stays visible. May be read between two steps. */
  *keepSteps(changes: readonly ResourceChange[]): Steps<void> {
    for (const change of changes) {
      if (this.hides(change.kind, nameOf(change))) continue;
      yield;
      this.edits[change.kind].set(nameOf(change), 1);
      this.hideRow(change);
      this.shown.add({ kind: change.kind, before: null, after: change.before } as ResourceChange);
    }
  }

  /** Before the tables below lose `change.before`. */
  beforeBelow(change: ResourceChange): void {
    if (!this.hides(change.kind, nameOf(change))) return;
    this.delta.countRemoval(change, -1);
    if (change.kind === "vm" && change.after === null) this.hiddenVms.delete(this.below.vms.find(nameOf(change)));
  }

  /** After the tables below have `change.after`. */
  afterBelow(change: ResourceChange): void {
    if (!this.hides(change.kind, nameOf(change))) return;
    this.delta.countAddition(change, -1);
    if (change.before === null) this.hideRow(change);
  }

  private hideRow(change: ResourceChange): void {
    if (change.kind !== "vm") return;
    const id = this.below.vms.find(nameOf(change));
    if (id !== none) this.hiddenVms.add(id);
  }

  /** From what is shown to `after`. */
  private edited(change: ResourceChange, after: ResourceChange["after"]): ResourceChange {
    const { networks, hosts, vmIndex } = this.shown;
    const index = { network: networks, host: hosts, vm: vmIndex }[change.kind];
    return { kind: change.kind, before: index.get(nameOf(change)) ?? null, after } as ResourceChange;
  }

  private *show(changes: readonly ResourceChange[]): Steps<void> {
    for (const change of changes) {
      yield;
      this.shown.remove(change);
    }
    for (const change of changes) {
      yield;
      this.shown.add(change);
    }
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
    if (change.kind === "vm") this.hiddenVms.delete(this.below.vms.find(name));
  }
}

const nameOf = ({ before, after }: ResourceChange): string => (after ?? before)?.name ?? "";
