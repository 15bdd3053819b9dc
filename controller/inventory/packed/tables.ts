// All resources with their indexes: what an inventory keeps. Changes are applied and not checked.
import type { Vni } from "../../../schema/address/index.ts";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { limits } from "../../../schema/plain/index.ts";
import type { Host, Network, Vm } from "../../../schema/rest/index.ts";
import { labelGroup, labelGroupChanges, NamedIndex, type ResourceIndex } from "../named-index.ts";
import type { Names } from "../names.ts";
import { addTo, countedNetworks } from "../use-counts.ts";
import { type PackedVm, packedInterface } from "./packed-vm.ts";
import { PairCounts } from "./pair-counts.ts";
import { Places, PlacesByBytes } from "./places.ts";
import { none } from "./rows.ts";
import { IdGroups, SortedIds } from "./sorted-ids.ts";
import { type Neighbourhood, VmRows } from "./vm-rows.ts";

type VmChange = Extract<ResourceChange, { kind: "vm" }>;

export class Tables implements Neighbourhood {
  readonly networks = new NamedIndex<Network>();
  readonly networksByVni = new Map<Vni, Network>();
  readonly hosts = new NamedIndex<Host>();
  readonly hostsByVtep = new Map<string, Host>();
  readonly hostPlaces = new Places();
  readonly networkPlaces = new Places();
  readonly vms = new VmRows(this);
  readonly pairs = new PairCounts();
  private readonly sorted = new SortedIds(this.vms);
  private readonly byLabel = new IdGroups<string>(this.vms);
  private readonly byNetwork = new IdGroups<string>(this.vms);
  /** By the first of their owners: a caller who may see one of them sees all. */
  private readonly unattached = new IdGroups<string>(this.vms);
  /** VMs that count in a network, by its id. */
  private readonly vmCounts = new Map<number, number>();

  private changes = 0;
  private filling: Filling | undefined;

  readonly vmIndex: ResourceIndex<Vm> = vmIndex(this.vms, this.sorted, this.byLabel);

  /** Counts changes. */
  get version(): number {
    return this.changes;
  }

  /** VMs with an interface in the network. */
  vmNamesIn(network: string): Names {
    return this.byNetwork.in(network);
  }

  unattachedVmNamesOf(network: string): Names {
    return this.unattached.in(network);
  }

  /** See `UseCounts`. */
  countVmsIn(network: string): number {
    return this.vmCounts.get(this.networkPlaces.find(network)) ?? 0;
  }

  retainNetwork(name: string): number {
    return this.networkPlaces.retain(name);
  }

  releaseNetwork(id: number): void {
    this.networkPlaces.release(id);
  }

  networkName(id: number): string {
    return this.networkPlaces.nameOf(id);
  }

  retainHost(name: string): number {
    return this.hostPlaces.retain(name);
  }

  releaseHost(id: number): void {
    this.hostPlaces.release(id);
  }

  hostName(id: number): string {
    return this.hostPlaces.nameOf(id);
  }

  /** All `before`s of a change set leave before any `after` enters (`add`), so that it may swap addresses. */
  remove(change: ResourceChange): void {
    this.changes += 1;
    if (change.before === null) return;
    const { name } = change.before;
    switch (change.kind) {
      case "network":
        if (change.after === null) this.networks.delete(name);
        this.networksByVni.delete(change.before.vni);
        return;
      case "host":
        if (change.after === null) this.hosts.delete(name);
        this.hostsByVtep.delete(vtepKey(change.before));
        return;
      case "vm":
        this.removeVm(change);
    }
  }

  add(change: ResourceChange): void {
    this.changes += 1;
    if (change.after === null) return;
    switch (change.kind) {
      case "network":
        this.networks.set(change.after);
        this.networksByVni.set(change.after.vni, change.after);
        return;
      case "host":
        this.hosts.set(change.after);
        this.hostsByVtep.set(vtepKey(change.after), change.after);
        return;
      case "vm": {
        const id = this.vms.put(change.after);
        this.count(id, change.after, 1);
        if (change.before === null) this.sorted.add(id, change.after.name);
        this.regroup(id, change);
      }
    }
  }

  /** Stored VMs by the million, before anything else: nothing is found from here to `endFilling`. */
  startFilling(): void {
    this.filling = new Filling(this);
    this.vms.startFilling();
  }

  endFilling(): void {
    this.filling = undefined;
    this.vms.endFilling();
  }

  /** As `add` of a stored VM. Between `startFilling` and `endFilling`, in order of names. */
  addPacked(vm: PackedVm): void {
    const { filling } = this;
    if (!filling) throw new Error("the inventory is not being filled");
    this.changes += 1;
    const host = filling.hosts.retain(vm.bytes, vm.hostStart, vm.hostEnd);
    const networks = filling.networksOf(vm);
    const id = this.vms.putPacked(vm, host, networks);
    this.sorted.append(id);
    for (let i = 0; i < vm.interfaceCount; i++) {
      const network = networks[i] ?? none;
      this.byNetwork.append(this.networkName(network), id);
      // An interface counts for all of the VM in the network, the first one.
      if (i > 0 && networks.indexOf(network) < i) continue;
      let interfaces = 1;
      for (let j = i + 1; j < vm.interfaceCount; j++) if (networks[j] === network) interfaces += 1;
      this.pairs.addVm(host, network, interfaces);
      addTo(this.vmCounts, network, 1);
    }
    if (vm.labelsStart === vm.labelsEnd) return;
    for (const group of labelGroupChanges({}, this.vms.labelsOf(id)).joined) this.byLabel.append(group, id);
  }

  private removeVm(change: VmChange): void {
    const { before, after } = change;
    const id = before ? this.vms.find(before.name) : none;
    if (!before || id === none) return;
    this.count(id, before, -1);
    this.vms.clear(id);
    if (after) return;
    this.regroup(id, change);
    this.sorted.delete(before.name);
    this.vms.delete(id);
  }

  private regroup(id: number, { before, after }: VmChange): void {
    const name = (after ?? before)?.name ?? "";
    const labels = labelGroupChanges(before?.labels, after?.labels);
    for (const group of labels.left) this.byLabel.delete(group, id, name);
    for (const group of labels.joined) this.byLabel.add(group, id, name);
    const [was] = before?.ownerNetworks ?? [];
    const [is] = after?.ownerNetworks ?? [];
    if (was !== undefined && was !== is) this.unattached.delete(was, id, name);
    if (is !== undefined && is !== was) this.unattached.add(is, id, name);
    if (before?.interfaces === after?.interfaces) return;
    for (const { network } of before?.interfaces ?? []) this.byNetwork.delete(network, id, name);
    for (const { network } of after?.interfaces ?? []) this.byNetwork.add(network, id, name);
  }

  /** @param vm is in its row */
  private count(id: number, vm: Vm, step: 1 | -1): void {
    const host = this.vms.hostOf(id);
    const target = vm.preparedHost === undefined ? none : this.hostPlaces.find(vm.preparedHost);
    for (const each of this.vms.interfacesOf(id)) {
      const network = this.vms.interfaces.networkOf(each);
      this.pairs.addInterfaces(host, network, step);
      if (target !== none) this.pairs.addInterfaces(target, network, step);
    }
    // A network that a VM without interfaces belongs to keeps its id as long as it counts there.
    const isUnattached = vm.interfaces.length === 0;
    for (const name of countedNetworks(vm)) {
      const network = isUnattached && step > 0 ? this.retainNetwork(name) : this.networkPlaces.find(name);
      addTo(this.vmCounts, network, step);
      this.pairs.addVms(host, network, step);
      if (isUnattached && step < 0) this.releaseNetwork(network);
    }
  }
}

/** What is needed only while stored VMs are read. */
class Filling {
  readonly hosts: PlacesByBytes;
  private readonly networks: PlacesByBytes;
  private readonly networkIds = new Int32Array(limits.interfacesPerVm);

  constructor({ hostPlaces, networkPlaces }: Tables) {
    this.hosts = new PlacesByBytes(hostPlaces);
    this.networks = new PlacesByBytes(networkPlaces);
  }

  /** Ids of the interfaces' networks, each retained; good until the next call. */
  networksOf({ bytes, interfaces, interfaceCount }: PackedVm): Int32Array {
    for (let i = 0; i < interfaceCount; i++) {
      const at = i * packedInterface.fields;
      const from = interfaces[at + packedInterface.networkStart] ?? 0;
      const to = interfaces[at + packedInterface.networkEnd] ?? 0;
      this.networkIds[i] = this.networks.retain(bytes, from, to);
    }
    return this.networkIds;
  }
}

/** The key of `hostsByVtep`. */
export const vtepKey = ({ vtep, port }: Pick<Host, "vtep" | "port">): string => `${vtep} ${port}`;

function vmIndex(vms: VmRows, sorted: SortedIds, byLabel: IdGroups<string>): ResourceIndex<Vm> {
  return {
    get size() {
      return sorted.size;
    },
    get: (name) => {
      const id = vms.find(name);
      return id === none ? undefined : vms.get(id);
    },
    list: () => Array.from(sorted.idsFrom(""), (id) => vms.get(id)),
    from: (name, skips) => sorted.from(name, skips),
    entries: (name) => vmEntries(vms, sorted, name),
    labelled: (key, value) => byLabel.in(labelGroup(key, value)),
  };
}

function* vmEntries(vms: VmRows, sorted: SortedIds, from: string): Generator<[name: string, vm: Vm]> {
  for (const id of sorted.idsFrom(from)) {
    const vm = vms.get(id);
    yield [vm.name, vm];
  }
}
