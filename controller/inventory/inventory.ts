// What can be read of an inventory, at one state: tables, and maybe a layer over them. How it changes is elsewhere
// (`committed-inventory.ts`, `pending-inventory.ts`, `pinned-inventory.ts`).
import type { BindingKey, IpAddress, MacAddress, Revision, Vni, VtepAddress } from "../../schema/address/index.ts";
import type { ResourceChange, ResourceKind } from "../../schema/events/index.ts";
import type { AllowedAddress, Host, InterfaceSpec, Network, Vm } from "../../schema/rest/index.ts";
import { countsOf, type InterfaceCounts, interfacesAt, mapped } from "./interface-counts.ts";
import { hidesAbove, hidesRow, type Layer, layersFrom, sumOf } from "./layer.ts";
import { type Layered, LayeredIndex, layeredNames, tablesWith } from "./layered-index.ts";
import type { Names } from "./names.ts";
import { none } from "./packed/rows.ts";
import { type Tables, vtepKey } from "./packed/tables.ts";

/** One interface of one VM in one network. */
export interface Attachment {
  readonly vm: Vm;
  readonly interface: InterfaceSpec;
}

/** What a binding says of an interface. */
export interface Located {
  readonly host: string;
  readonly mac: MacAddress;
  readonly port: string | undefined;
  readonly parent: string | undefined;
  readonly router: boolean | undefined;
  readonly allowed: readonly AllowedAddress[] | undefined;
  /** Of the VM. */
  readonly revision: Revision;
}

/** An address is unique in a network, not beyond it. */
export interface AddressSought {
  readonly ip?: IpAddress | undefined;
  readonly mac?: MacAddress | undefined;
}

export interface Resources {
  readonly networks: readonly Network[];
  readonly hosts: readonly Host[];
  readonly vms: readonly Vm[];
}

/** Some VMs, in the order in which they came. */
export interface VmGroup {
  readonly size: number;
  keys(): Iterable<string>;
  values(): Iterable<Vm>;
}

export interface OwnedAddresses {
  readonly size: number;
  /** Each with the name of its VM. */
  [Symbol.iterator](): Iterator<readonly [ip: IpAddress, vm: string]>;
}

/** An interface in the tables that have it. */
interface Spot {
  readonly tables: Tables;
  readonly id: number;
}

export abstract class Inventory {
  readonly networks = new LayeredIndex<Network>(this, "network", ({ networks }) => networks);
  readonly hosts = new LayeredIndex<Host>(this, "host", ({ hosts }) => hosts);
  readonly vms = new LayeredIndex<Vm>(this, "vm", ({ vmIndex }) => vmIndex);

  /** @param base shared by the inventories of one history */
  protected constructor(readonly base: Tables) {}

  /** Absent: the tables are all. */
  abstract get layer(): Layer | undefined;

  findNetwork(name: string): Network | undefined {
    return this.tablesOf("network", name).networks.get(name);
  }

  findNetworkByVni(vni: Vni): Network | undefined {
    const { base, layer } = this;
    return layer ? seenIn(this, "network", ({ networksByVni }) => networksByVni.get(vni)) : base.networksByVni.get(vni);
  }

  findHost(name: string): Host | undefined {
    return this.tablesOf("host", name).hosts.get(name);
  }

  findHostByVtep(vtep: VtepAddress, port: number): Host | undefined {
    const key = vtepKey({ vtep, port });
    return seenIn(this, "host", ({ hostsByVtep }) => hostsByVtep.get(key));
  }

  findVm(name: string): Vm | undefined {
    return this.tablesOf("vm", name).vmIndex.get(name);
  }

  findByMac(network: string, mac: MacAddress): Attachment | undefined {
    return attachmentAt(this.spotOfMac(network, mac));
  }

  findByIp(network: string, ip: IpAddress): Attachment | undefined {
    return attachmentAt(this.spotOfIp(network, ip));
  }

  /** The name of the VM. */
  findOwnerOfMac(network: string, mac: MacAddress): string | undefined {
    return ownerAt(this.spotOfMac(network, mac));
  }

  findOwnerOfIp(network: string, ip: IpAddress): string | undefined {
    return ownerAt(this.spotOfIp(network, ip));
  }

  /** What answers the key: no object of the VM is made. */
  locate(network: string, key: BindingKey): Located | undefined {
    const spot = key.kind === "ip" ? this.spotOfIp(network, key.ip) : this.spotOfMac(network, key.mac);
    return spot && locatedAt(spot);
  }

  listNetworks(): Network[] {
    return this.networks.list();
  }

  listHosts(): Host[] {
    return this.hosts.list();
  }

  listVms(): Vm[] {
    return this.vms.list();
  }

  /** VMs that run on the host. */
  vmsOn(host: string): VmGroup {
    const { base, layer } = this;
    return {
      size: base.vms.countOn(base.hostPlaces.find(host)) + sumOf(layer, ({ vmsOn }) => vmsOn.get(host)),
      keys: () => this.namesOf((tables) => tables.vms.on(tables.hostPlaces.find(host))),
      values: () => this.vmsOf((tables) => tables.vms.on(tables.hostPlaces.find(host))),
    };
  }

  /** VMs with a migration to the host in progress. */
  vmsPreparedOn(host: string): Iterable<Vm> {
    return this.vmsOf((tables) => tables.vms.preparedOn(tables.hostPlaces.find(host)));
  }

  /** VMs with an interface in the network, each once. */
  vmsIn(network: string): Iterable<Vm> {
    return this.vmsOf((tables) => new Set(interfacesIn(tables, network).map((id) => tables.vms.interfaces.vmOf(id))));
  }

  /** VMs with an interface in the network. */
  vmNamesIn(network: string): Names {
    const names = layeredNames(this, "vm", (tables) => tables.vmNamesIn(network));
    const size = this.base.vmNamesIn(network).size + sumOf(this.layer, ({ attached }) => attached.get(network));
    return { size, from: (name) => names.from(name) };
  }

  /** VMs without any interface whose first owner is the network: they may have others beside it. */
  unattachedVmNamesOf(network: string): Names {
    return layeredNames(this, "vm", (tables) => tables.unattachedVmNamesOf(network));
  }

  /** VMs with one of the addresses in any network: one look-up a network, however many VMs. */
  vmsAt({ ip, mac }: AddressSought): ReadonlySet<string> {
    const found = new Set<string>();
    for (const network of this.networks.from("")) {
      for (const name of [ip && this.findOwnerOfIp(network, ip), mac && this.findOwnerOfMac(network, mac)]) {
        if (name !== undefined) found.add(name);
      }
    }
    return found;
  }

  /** Interfaces with the port on the host, those of VMs that are prepared on it included. */
  interfacesAt(host: string, port: string): Attachment[] {
    return this.attachments(({ vms, hostPlaces }) => vms.interfaces.findByPort(hostPlaces.find(host), port));
  }

  /** Interfaces of nested guests. @param parent as `interfaceKey` names it */
  childrenOf(parent: string): Attachment[] {
    return this.attachments(({ vms }) => vms.interfaces.childrenOf(parent));
  }

  /** Interfaces that may take the address. */
  interfacesAllowing(network: string, ip: IpAddress): Attachment[] {
    return this.attachments(({ vms, networkPlaces }) => vms.interfaces.allowing(networkPlaces.find(network), ip));
  }

  /** Interfaces in the network that may take addresses. */
  interfacesAllowingIn(network: string): Attachment[] {
    return this.attachments(({ vms, networkPlaces }) => vms.interfaces.allowingIn(networkPlaces.find(network)));
  }

  /** The interface that `interfaceKey` names so. */
  findInterface(key: string): Attachment | undefined {
    return attachmentIn(key, (name) => this.findVm(name));
  }

  addressesIn(network: string): OwnedAddresses {
    const { base, layer } = this;
    const below = base.vms.interfaces.addressesIn(base.networkPlaces.find(network));
    const size = below + sumOf(layer, ({ addresses }) => addresses.get(network));
    return { size, [Symbol.iterator]: () => this.ownedAddresses(network) };
  }

  /** Of VMs that run on the host, or that are prepared on it, in the network. */
  countInterfaces(host: string, network: string): number {
    return interfacesAt(this, host, network);
  }

  /** Networks with a VM on the host or prepared on it, each with its number of interfaces there. */
  networksOn(host: string): InterfaceCounts {
    return countsOf(this, {
      list: ({ pairs, hostPlaces, networkPlaces }) =>
        mapped(pairs.networksOn(hostPlaces.find(host)), (id) => networkPlaces.nameOf(id)),
      listed: ({ pairs, hostPlaces }) => pairs.countNetworksOn(hostPlaces.find(host)),
      pair: (network) => [host, network],
    });
  }

  /** Hosts with a VM in the network, or prepared for one, each with its number of interfaces. */
  hostsIn(network: string): InterfaceCounts {
    return countsOf(this, {
      list: ({ pairs, hostPlaces, networkPlaces }) =>
        mapped(pairs.hostsIn(networkPlaces.find(network)), (id) => hostPlaces.nameOf(id)),
      listed: ({ pairs, networkPlaces }) => pairs.countHostsIn(networkPlaces.find(network)),
      pair: (host) => [host, network],
    });
  }

  /** VMs that count in the network (`countedNetworks`). */
  countVmsIn(network: string): number {
    return this.base.countVmsIn(network) + sumOf(this.layer, ({ vmsIn }) => vmsIn.get(network));
  }

  /** Of these, those that run on the host. */
  countVmsAt(network: string, host: string): number {
    const { pairs, hostPlaces, networkPlaces } = this.base;
    const below = pairs.vmsOf(hostPlaces.find(host), networkPlaces.find(network));
    return below + sumOf(this.layer, (delta) => delta.pairs.vmsOf(host, network));
  }

  /** The tables with the resource, if it is there. */
  private tablesOf(kind: ResourceKind, name: string): Tables {
    return tablesWith(this, kind, name);
  }

  private spotOfMac(network: string, mac: MacAddress): Spot | undefined {
    const { base, layer } = this;
    const above = layer && spotAbove(layer, (tables) => macIn(tables, network, mac));
    return above ?? this.visible(macIn(base, network, mac));
  }

  private spotOfIp(network: string, ip: IpAddress): Spot | undefined {
    const { base, layer } = this;
    const above = layer && spotAbove(layer, (tables) => ipIn(tables, network, ip));
    return above ?? this.visible(ipIn(base, network, ip));
  }

  /** @param id of an interface in the tables, or `none` */
  private visible(id: number): Spot | undefined {
    if (id === none || hidesRow(this.layer, this.base.vms.interfaces.vmOf(id))) return undefined;
    return { tables: this.base, id };
  }

  private *vmsOf(ids: (tables: Tables) => Iterable<number>): Generator<Vm> {
    for (const { tables, id } of this.rowsOf(ids)) yield tables.vms.get(id);
  }

  private *namesOf(ids: (tables: Tables) => Iterable<number>): Generator<string> {
    for (const { tables, id } of this.rowsOf(ids)) yield tables.vms.nameOf(id);
  }

  /** First those of the tables that are not hidden: an edit puts a VM at the end of each list. */
  private rowsOf(ids: (tables: Tables) => Iterable<number>): Generator<Spot> {
    return this.spots(ids, (_, id) => id);
  }

  private attachments(find: (tables: Tables) => Iterable<number>): Attachment[] {
    return [...this.interfaceRows(find)].map(attachmentOf);
  }

  private interfaceRows(find: (tables: Tables) => Iterable<number>): Generator<Spot> {
    return this.spots(find, ({ vms }, id) => vms.interfaces.vmOf(id));
  }

  /** @param vmOf of the row that is found */
  private *spots(
    find: (tables: Tables) => Iterable<number>,
    vmOf: (tables: Tables, id: number) => number,
  ): Generator<Spot> {
    const { base, layer: top } = this;
    for (const id of find(base)) if (!hidesRow(top, vmOf(base, id))) yield { tables: base, id };
    for (const layer of layersFrom(top)) {
      const { shown: tables } = layer;
      for (const id of find(tables)) if (!isCovered(top, layer, vmOf(tables, id))) yield { tables, id };
    }
  }

  private *ownedAddresses(network: string): Generator<readonly [ip: IpAddress, vm: string]> {
    for (const { tables, id } of this.interfaceRows((each) => interfacesIn(each, network))) {
      const { interfaces } = tables.vms;
      const vm = tables.vms.nameOf(interfaces.vmOf(id));
      for (const ip of interfaces.ipsOf(id)) yield [ip, vm];
    }
  }
}

/** The first that no layer above it hides. */
function seenIn<T extends { readonly name: string }>(
  { base, layer: top }: Layered,
  kind: ResourceKind,
  find: (tables: Tables) => T | undefined,
): T | undefined {
  for (const layer of layersFrom(top)) {
    const found = find(layer.shown);
    if (found && !hidesAbove(top, layer, kind, found.name)) return found;
  }
  const found = find(base);
  return found && !hidesAbove(top, undefined, kind, found.name) ? found : undefined;
}

/** In the layers. @param find the row of an interface, or `none` */
function spotAbove(top: Layer, find: (tables: Tables) => number): Spot | undefined {
  for (const layer of layersFrom(top)) {
    const { shown: tables } = layer;
    const id = find(tables);
    if (id !== none && !isCovered(top, layer, tables.vms.interfaces.vmOf(id))) return { tables, id };
  }
  return undefined;
}

/** Whether a layer above hides the VM that the layer shows. */
const isCovered = (top: Layer | undefined, layer: Layer, vm: number): boolean =>
  layer !== top && hidesAbove(top, layer, "vm", layer.shown.vms.nameOf(vm));

const interfacesIn = ({ vms, networkPlaces }: Tables, network: string): readonly number[] => [
  ...vms.interfaces.in(networkPlaces.find(network)),
];

const macIn = ({ vms, networkPlaces }: Tables, network: string, mac: MacAddress): number =>
  vms.interfaces.findByMac(networkPlaces.find(network), mac);
const ipIn = ({ vms, networkPlaces }: Tables, network: string, ip: IpAddress): number =>
  vms.interfaces.findByIp(networkPlaces.find(network), ip);

const attachmentAt = (spot: Spot | undefined): Attachment | undefined => spot && attachmentOf(spot);
const ownerAt = (spot: Spot | undefined): string | undefined =>
  spot?.tables.vms.nameOf(spot.tables.vms.interfaces.vmOf(spot.id));

function attachmentOf({ tables: { vms }, id }: Spot): Attachment {
  const vm = vms.get(vms.interfaces.vmOf(id));
  const name = vms.interfaces.nameOf(id);
  const found = vm.interfaces.find((each) => each.name === name);
  if (!found) throw new Error(`VM "${vm.name}" has lost its interface "${name}"`);
  return { vm, interface: found };
}

function locatedAt({ tables, id }: Spot): Located {
  const { vms } = tables;
  const { interfaces } = vms;
  const vm = interfaces.vmOf(id);
  return {
    host: tables.hostName(vms.hostOf(vm)),
    revision: vms.revisionOf(vm),
    mac: interfaces.macOf(id),
    port: interfaces.portOf(id),
    parent: interfaces.parentOf(id),
    router: interfaces.routerOf(id),
    allowed: interfaces.allowedOf(id),
  };
}

/** The interface that `interfaceKey` names so, among VMs that `findVm` knows. */
export function attachmentIn(key: string, findVm: (name: string) => Vm | undefined): Attachment | undefined {
  const [vmName = "", name] = key.split("/");
  const vm = findVm(vmName);
  const found = vm?.interfaces.find((each) => each.name === name);
  return vm && found && { vm, interface: found };
}

/** The changes that undo `changes`. */
export function invert(changes: readonly ResourceChange[]): ResourceChange[] {
  return changes.map(({ kind, before, after }) => ({ kind, before: after, after: before }) as ResourceChange);
}
