// An inventory with a change set laid over it: the rules check this before anything is applied.
import type { ResourceChange, ResourceKind, ResourceOf } from "../../schema/events/index.ts";
import type { Host, Network, NetworkScope, Vm } from "../../schema/rest/index.ts";
import type { Inventory } from "./inventory.ts";
import { narrowVm } from "./scope.ts";

export interface Edit<T> {
  readonly before: T | null;
  readonly after: T | null;
}

export class Draft {
  readonly networks = new Map<string, Edit<Network>>();
  readonly hosts = new Map<string, Edit<Host>>();
  readonly vms = new Map<string, Edit<Vm>>();
  /** Each VM that was read, as one object: an unchanged VM is told by that. */
  private readonly standing = new Map<string, Vm>();

  constructor(
    readonly base: Inventory,
    /** What the actor may see. */
    readonly scope: NetworkScope = "all",
  ) {}

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
    edit(this.networks, name, this.base.findNetwork(name), after);
  }

  putHost(name: string, after: Host | null): void {
    edit(this.hosts, name, this.base.findHost(name), after);
  }

  putVm(name: string, after: Vm | null): void {
    edit(this.vms, name, this.findStandingVm(name), after);
  }

  private findStandingVm(name: string): Vm | undefined {
    const vm = this.standing.get(name) ?? this.base.findVm(name);
    if (vm) this.standing.set(name, vm);
    return vm;
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

function present<T>(changed: Edit<T> | undefined, base: () => T | undefined): T | undefined {
  return changed ? (changed.after ?? undefined) : base();
}

function edit<T>(edits: Map<string, Edit<T>>, name: string, base: T | undefined, after: T | null): void {
  edits.set(name, { before: base ?? null, after });
}

function* listed<K extends ResourceKind>(
  kind: K,
  edits: ReadonlyMap<string, Edit<ResourceOf[K]>>,
): Generator<ResourceChange> {
  for (const { before, after } of edits.values()) yield { kind, before, after } as ResourceChange;
}
