// The whole inventory in memory, with the indexes for decisions, look-ups and pushes. It applies decided changes
// (`decide.ts`) and checks nothing itself.
import type { IpAddress, MacAddress, Vni, VtepAddress } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Host, type InterfaceSpec, interfaceKey, type Network, type Vm } from "../../schema/rest/index.ts";
import { NamedIndex } from "./named-index.ts";
import { NameGroups, type Names } from "./names.ts";
import { atOnce, type Steps } from "./steps.ts";
import { TwoLevelMap } from "./two-level-map.ts";
import { UseCounts } from "./use-counts.ts";

/** One interface of one VM in one network. */
export interface Attachment {
  readonly vm: Vm;
  readonly interface: InterfaceSpec;
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

export class Inventory {
  readonly networks = new NamedIndex<Network>();
  private readonly networksByVni = new Map<Vni, Network>();
  readonly hosts = new NamedIndex<Host>();
  private readonly hostsByVtep = new Map<string, Host>();
  readonly vms = new NamedIndex<Vm>();
  private readonly vmsByHost = new TwoLevelMap<string, string, Vm>();
  private readonly vmsByNetwork = new NameGroups();
  readonly uses = new UseCounts();
  /** By the first of their owners: a caller who may see one of them sees all. */
  private readonly unattachedVms = new NameGroups();
  private readonly vmsByPreparedHost = new TwoLevelMap<string, string, Vm>();
  private readonly byMac = new TwoLevelMap<string, MacAddress, Attachment>();
  private readonly byIp = new TwoLevelMap<string, IpAddress, Attachment>();
  /** By host and port: more than one where an earlier version took them. */
  private readonly byPort = new TwoLevelMap<string, string, Attachment>();
  /** Interfaces whose frames pass through another interface's port, by that interface. */
  private readonly byParent = new TwoLevelMap<string, string, Attachment>();
  /** How many interfaces a host's VMs have in a network, those prepared on it included, from both ends. */
  private readonly interfacesByHost = new TwoLevelMap<string, string, number>();
  private readonly interfacesByNetwork = new TwoLevelMap<string, string, number>();

  static of(resources: Resources): Inventory {
    const inventory = new Inventory();
    inventory.apply([
      ...resources.networks.map((after): ResourceChange => ({ kind: "network", before: null, after })),
      ...resources.hosts.map((after): ResourceChange => ({ kind: "host", before: null, after })),
      ...resources.vms.map((after): ResourceChange => ({ kind: "vm", before: null, after })),
    ]);
    return inventory;
  }

  /** All `before`s leave before any `after` enters, so that one change set may swap addresses. */
  apply(changes: readonly ResourceChange[]): void {
    atOnce(this.applySteps(changes));
  }

  /** As `apply`. The inventory must not be read until the last step. */
  *applySteps(changes: readonly ResourceChange[]): Steps<void> {
    for (const change of changes) {
      yield;
      this.remove(change);
    }
    for (const change of changes) {
      yield;
      this.add(change);
    }
  }

  findNetwork(name: string): Network | undefined {
    return this.networks.get(name);
  }

  findNetworkByVni(vni: Vni): Network | undefined {
    return this.networksByVni.get(vni);
  }

  findHost(name: string): Host | undefined {
    return this.hosts.get(name);
  }

  findHostByVtep(vtep: VtepAddress, port: number): Host | undefined {
    return this.hostsByVtep.get(`${vtep} ${port}`);
  }

  findVm(name: string): Vm | undefined {
    return this.vms.get(name);
  }

  findByMac(network: string, mac: MacAddress): Attachment | undefined {
    return this.byMac.get(network, mac);
  }

  findByIp(network: string, ip: IpAddress): Attachment | undefined {
    return this.byIp.get(network, ip);
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

  vmsOn(host: string): ReadonlyMap<string, Vm> {
    return this.vmsByHost.under(host);
  }

  /** VMs with an interface in the network. */
  vmNamesIn(network: string): Names {
    return this.vmsByNetwork.in(network);
  }

  /** VMs without any interface whose first owner is the network: they may have others beside it. */
  unattachedVmNamesOf(network: string): Names {
    return this.unattachedVms.in(network);
  }

  /** VMs with a migration to the host in progress. */
  vmsPreparedOn(host: string): ReadonlyMap<string, Vm> {
    return this.vmsByPreparedHost.under(host);
  }

  /** VMs with one of the addresses in any network: one look-up a network, however many VMs. */
  vmsAt({ ip, mac }: AddressSought): ReadonlyMap<string, Vm> {
    const found = new Map<string, Vm>();
    for (const name of this.networks.from("")) {
      for (const attachment of [ip && this.byIp.get(name, ip), mac && this.byMac.get(name, mac)]) {
        if (attachment) found.set(attachment.vm.name, attachment.vm);
      }
    }
    return found;
  }

  /** Interfaces with the port on the host, by `interfaceKey`, those of VMs that are prepared on it included. */
  interfacesAt(host: string, port: string): ReadonlyMap<string, Attachment> {
    return this.byPort.under(placeKey(host, port));
  }

  /** Interfaces of nested guests, by `interfaceKey`. @param parent likewise */
  childrenOf(parent: string): ReadonlyMap<string, Attachment> {
    return this.byParent.under(parent);
  }

  /** The interface that `interfaceKey` names so. */
  findInterface(key: string): Attachment | undefined {
    return attachmentIn(key, (name) => this.findVm(name));
  }

  /** Every interface has one MAC, so this is also the list of a network's interfaces. */
  interfacesIn(network: string): ReadonlyMap<MacAddress, Attachment> {
    return this.byMac.under(network);
  }

  addressesIn(network: string): ReadonlyMap<IpAddress, Attachment> {
    return this.byIp.under(network);
  }

  /** Networks with a VM on the host or prepared on it, each with its number of interfaces there. */
  networksOn(host: string): ReadonlyMap<string, number> {
    return this.interfacesByHost.under(host);
  }

  /** Hosts with a VM in the network, or prepared for one, each with its number of interfaces. */
  hostsIn(network: string): ReadonlyMap<string, number> {
    return this.interfacesByNetwork.under(network);
  }

  private remove(change: ResourceChange): void {
    if (change.before === null) return;
    const { name } = change.before;
    switch (change.kind) {
      case "network":
        if (change.after === null) this.networks.delete(name);
        this.networksByVni.delete(change.before.vni);
        return;
      case "host":
        if (change.after === null) this.hosts.delete(name);
        this.hostsByVtep.delete(`${change.before.vtep} ${change.before.port}`);
        return;
      case "vm":
        if (change.after === null) this.vms.delete(name);
        this.uses.count(change.before, -1);
        this.vmsByHost.delete(change.before.host, name);
        if (change.before.preparedHost) this.vmsByPreparedHost.delete(change.before.preparedHost, name);
        for (const each of change.before.interfaces) {
          this.byMac.delete(each.network, each.mac);
          for (const ip of each.ips) this.byIp.delete(each.network, ip);
          const key = interfaceKey(name, each.name);
          if (each.parent !== undefined) this.byParent.delete(each.parent, key);
          for (const host of hostsOf(change.before)) {
            this.count(host, each.network, -1);
            if (each.port !== undefined) this.byPort.delete(placeKey(host, each.port), key);
          }
        }
    }
  }

  private add(change: ResourceChange): void {
    if (change.kind === "vm") this.regroup(change.before, change.after);
    if (change.after === null) return;
    const { name } = change.after;
    switch (change.kind) {
      case "network":
        this.networks.set(change.after);
        this.networksByVni.set(change.after.vni, change.after);
        return;
      case "host":
        this.hosts.set(change.after);
        this.hostsByVtep.set(`${change.after.vtep} ${change.after.port}`, change.after);
        return;
      case "vm":
        this.vms.set(change.after);
        this.uses.count(change.after, 1);
        this.vmsByHost.set(change.after.host, name, change.after);
        if (change.after.preparedHost) this.vmsByPreparedHost.set(change.after.preparedHost, name, change.after);
        for (const each of change.after.interfaces) {
          const attachment = { vm: change.after, interface: each };
          this.byMac.set(each.network, each.mac, attachment);
          for (const ip of each.ips) this.byIp.set(each.network, ip, attachment);
          const key = interfaceKey(name, each.name);
          if (each.parent !== undefined) this.byParent.set(each.parent, key, attachment);
          for (const host of hostsOf(change.after)) {
            this.count(host, each.network, 1);
            if (each.port !== undefined) this.byPort.set(placeKey(host, each.port), key, attachment);
          }
        }
    }
  }

  private regroup(before: Vm | null, after: Vm | null): void {
    const [was] = before?.ownerNetworks ?? [];
    const [is] = after?.ownerNetworks ?? [];
    if (before && was !== undefined && was !== is) this.unattachedVms.delete(was, before.name);
    if (after && is !== undefined && is !== was) this.unattachedVms.add(is, after.name);
    if (before?.interfaces === after?.interfaces) return;
    for (const { network } of before?.interfaces ?? []) this.vmsByNetwork.delete(network, before?.name ?? "");
    for (const { network } of after?.interfaces ?? []) this.vmsByNetwork.add(network, after?.name ?? "");
  }

  private count(host: string, network: string, step: 1 | -1): void {
    const count = (this.interfacesByHost.get(host, network) ?? 0) + step;
    if (count === 0) {
      this.interfacesByHost.delete(host, network);
      this.interfacesByNetwork.delete(network, host);
    } else {
      this.interfacesByHost.set(host, network, count);
      this.interfacesByNetwork.set(network, host, count);
    }
  }
}

/** Neither names nor ports contain a space. */
const placeKey = (host: string, port: string): string => `${host} ${port}`;

/** The interface that `interfaceKey` names so, among VMs that `findVm` knows. */
export function attachmentIn(key: string, findVm: (name: string) => Vm | undefined): Attachment | undefined {
  const [vmName = "", name] = key.split("/");
  const vm = findVm(vmName);
  const found = vm?.interfaces.find((each) => each.name === name);
  return vm && found && { vm, interface: found };
}

/** Where the VM's networks have to be: where it runs, and where it is about to. */
export function hostsOf({ host, preparedHost }: Pick<Vm, "host" | "preparedHost">): string[] {
  return preparedHost === undefined ? [host] : [host, preparedHost];
}

/** The changes that undo `changes`. */
export function invert(changes: readonly ResourceChange[]): ResourceChange[] {
  return changes.map(({ kind, before, after }) => ({ kind, before: after, after: before }) as ResourceChange);
}
