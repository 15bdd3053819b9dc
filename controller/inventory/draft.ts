// An inventory with a change set laid over it: the rules check this before anything is applied.
import type { ResourceChange, ResourceKind, ResourceOf } from "../../schema/events/index.ts";
import type { Host, Network, NetworkScope, Vm } from "../../schema/rest/index.ts";
import { type Changes, StagedChanges } from "./changes.ts";
import { TakenByObjects, TakenByRecords, type TakenPlaces, type Takes } from "./claims.ts";
import type { Edit, Edits } from "./edits.ts";
import type { Inventory } from "./inventory.ts";
import { HashIndex } from "./packed/hash-index.ts";
import { hashOfText } from "./packed/hashing.ts";
import { none } from "./packed/rows.ts";
import type { Records } from "./records.ts";
import { narrowVm } from "./scope.ts";
import { StagedEdits } from "./staged-edits.ts";

export class Draft {
  readonly networks = new Map<string, Edit<Network>>();
  readonly hosts = new Map<string, Edit<Host>>();
  readonly vms: Edits<Vm>;
  /** Number of the mutation that is being laid over. */
  mutation = 0;
  /** What it has written last; undefined: nothing. */
  written: { readonly before: unknown; readonly after: unknown } | undefined;
  private readonly staged: StagedEdits | undefined;
  /** Of the names that deletions did not find, the hashes. */
  private unfound: HashIndex | undefined;
  /** Each VM that was read, as one object: an unchanged VM is told by that. Of many, only the last. */
  private readonly standing = new Map<string, Vm>();

  /** @param records where VMs are kept; absent: in memory, as objects */
  constructor(
    readonly base: Inventory,
    /** What the actor may see. */
    readonly scope: NetworkScope = "all",
    records?: Records,
  ) {
    this.staged = records && new StagedEdits(records, (name) => base.findVm(name));
    this.vms = this.staged ?? new Map();
  }

  /** Of the mutation that wrote the resource last; undefined: none did. */
  mutationOf(kind: ResourceKind, name: string): number | undefined {
    const edits: Edits<unknown> = { network: this.networks, host: this.hosts, vm: this.vms }[kind];
    return edits.get(name)?.mutation;
  }

  /** For what the VMs of the change set take, which are read in order. */
  newClaims(takes: Takes): TakenPlaces {
    return this.staged ? new TakenByRecords(this.staged, takes) : new TakenByObjects();
  }

  /** The net difference: without resources that were created and deleted, or written unchanged. */
  changes(): Changes {
    return this.staged ? this.stagedChanges(this.staged) : [...this.touched()].filter(isChange);
  }

  /** As `changes`, of a draft over records. @throws Error where it is not one */
  stagedChanges(staged = this.staged): StagedChanges {
    if (!staged) throw new Error("the draft has no records");
    const places = [...listed("network", this.networks), ...listed("host", this.hosts)];
    const { records, changed, replaced } = staged;
    // The index of the edits is not kept with the changes.
    return new StagedChanges(places.filter(isChange), { records, changed, replaced });
  }

  /** A deletion asks for nothing where there is nothing: others may make it in the meantime. */
  noteUnfound(kind: ResourceKind, name: string): void {
    this.unfound ??= new HashIndex();
    this.unfound.add(hashOfText(`${kind} ${name}`), 0);
  }

  /** Also of a name with the same hash. */
  mayBeUnfound(kind: ResourceKind, name: string): boolean {
    return this.unfound !== undefined && this.unfound.first(hashOfText(`${kind} ${name}`)) !== none;
  }

  findNetwork(name: string): Network | undefined {
    return present(this.networks.get(name), () => this.base.findNetwork(name));
  }

  findHost(name: string): Host | undefined {
    return present(this.hosts.get(name), () => this.base.findHost(name));
  }

  /** As far as the asker may know. */
  findVm(name: string): Vm | undefined {
    const vm = this.findAnyVm(name);
    return vm && narrowVm(this.scope, vm) ? vm : undefined;
  }

  /** Also where the asker may not know of it. */
  findAnyVm(name: string): Vm | undefined {
    return present(this.vms.get(name), () => this.findStandingVm(name));
  }

  putNetwork(name: string, after: Network | null): void {
    this.edit(this.networks, name, this.base.findNetwork(name), after);
  }

  putHost(name: string, after: Host | null): void {
    this.edit(this.hosts, name, this.base.findHost(name), after);
  }

  putVm(name: string, after: Vm | null): void {
    this.edit(this.vms, name, this.findStandingVm(name), after);
  }

  private findStandingVm(name: string): Vm | undefined {
    const known = this.standing.get(name);
    if (known) return known;
    const vm = this.base.findVm(name);
    if (vm && this.staged) this.standing.clear();
    if (vm) this.standing.set(name, vm);
    return vm;
  }

  private edit<T>(edits: Edits<T>, name: string, base: T | undefined, after: T | null): void {
    const edit = { before: base ?? null, after, mutation: this.mutation };
    edits.set(name, edit);
    this.written = edit;
  }

  /** VMs with an interface in the network once all is done: those of the change set first. */
  *vmsIn(network: string): Generator<Vm> {
    const within = (vm: Vm) => vm.interfaces.some((each) => each.network === network);
    for (const { after } of this.vms.values()) if (after && within(after)) yield after;
    for (const vm of this.base.vmsIn(network)) if (!this.vms.has(vm.name)) yield vm;
  }

  /** VMs on the host once all is done: those of the change set first. */
  *vmsOn(host: string): Generator<Vm> {
    for (const { after } of this.vms.values()) if (after?.host === host) yield after;
    for (const vm of this.base.vmsOn(host).values()) if (!this.vms.has(vm.name)) yield vm;
  }

  /** VMs that are prepared on the host once all is done. */
  *vmsPreparedOn(host: string): Generator<Vm> {
    for (const { after } of this.vms.values()) if (after?.preparedHost === host) yield after;
    for (const vm of this.base.vmsPreparedOn(host)) if (!this.vms.has(vm.name)) yield vm;
  }

  /** Every resource that was written or deleted, each once. */
  *touched(): Generator<ResourceChange> {
    yield* listed("network", this.networks);
    yield* listed("host", this.hosts);
    yield* listed("vm", this.vms);
  }
}

const isChange = ({ before, after }: ResourceChange): boolean => before !== after;

function present<T>(changed: Edit<T> | undefined, base: () => T | undefined): T | undefined {
  return changed ? (changed.after ?? undefined) : base();
}

function* listed<K extends ResourceKind>(kind: K, edits: Edits<ResourceOf[K]>): Generator<ResourceChange> {
  for (const { before, after } of edits.values()) yield { kind, before, after } as ResourceChange;
}
