// Everything that an inventory can be asked, of the names and addresses of a small world: read from an inventory, and computed
// from the model.
import type { Attachment, Inventory } from "../../controller/inventory/inventory.ts";
import type { Names } from "../../controller/inventory/names.ts";
import type { IpAddress, MacAddress, Vni, VtepAddress } from "../../schema/address/index.ts";
import { interfaceKey, type Vm } from "../../schema/rest/index.ts";
import type { PlainInventory } from "./plain-inventory.ts";

/** Names and addresses to ask for. */
export interface World {
  readonly networks: readonly string[];
  readonly hosts: readonly string[];
  readonly vms: readonly string[];
  readonly vnis: readonly Vni[];
  readonly vteps: readonly VtepAddress[];
  readonly ports: readonly string[];
  readonly parents: readonly string[];
  readonly macs: readonly MacAddress[];
  readonly ips: readonly IpAddress[];
  readonly labels: readonly (readonly [key: string, value?: string])[];
}

const table = <Name, Value>(names: readonly Name[], of: (name: Name) => Value): [Name, Value][] =>
  names.map((name) => [name, of(name)]);
const places = ({ hosts, networks }: World) => hosts.flatMap((host) => networks.map((network) => ({ host, network })));
const pairs = <A, B>(some: readonly A[], others: readonly B[]) =>
  some.flatMap((a) => others.map((b) => [a, b] as const));

/** @param order for lists whose order is that of arrival: that of an inventory with a layer may differ from the model's */
export function contentsOf(state: Inventory, world: World, order: "as read" | "sorted" = "as read") {
  const list = <T>(items: Iterable<T>): T[] => (order === "sorted" ? [...items].sort() : [...items]);
  const counts = (of: { size: number; get(name: string): number | undefined; keys(): Iterable<string> }) => ({
    size: of.size,
    entries: list([...of.keys()].map((name) => `${name} ${of.get(name)}`)),
  });
  return {
    networks: state.listNetworks(),
    hosts: state.listHosts(),
    vms: state.listVms(),
    sizes: [state.networks.size, state.hosts.size, state.vms.size],
    behind: table(world.vms, (name) => [...state.vms.entries(name)].map(([each]) => each)),
    found: table(world.vms, (name) => state.findVm(name)),
    byVni: table(world.vnis, (vni) => state.findNetworkByVni(vni)?.name),
    byVtep: table(world.vteps, (vtep) => state.findHostByVtep(vtep, 4789)?.name),
    on: table(world.hosts, (host) => {
      const group = state.vmsOn(host);
      return { size: group.size, names: list(group.keys()), values: list([...group.values()].map(nameOf)) };
    }),
    prepared: table(world.hosts, (host) => list([...state.vmsPreparedOn(host)].map(nameOf))),
    within: table(world.networks, (network) => list([...state.vmsIn(network)].map(nameOf))),
    names: table(world.networks, (network) => sized(state.vmNamesIn(network))),
    unattached: table(world.networks, (network) => [...state.unattachedVmNamesOf(network).from("")]),
    labelled: table(world.labels, ([key, value]) => [...state.vms.labelled(key, value).from("")]),
    networkLabels: table(world.labels, ([key, value]) => [...state.networks.labelled(key, value).from("")]),
    networksOn: table(world.hosts, (host) => counts(state.networksOn(host))),
    hostsIn: table(world.networks, (network) => counts(state.hostsIn(network))),
    addresses: table(world.networks, (network) => {
      const addresses = state.addressesIn(network);
      return { size: addresses.size, each: list([...addresses].map((each) => each.join(" "))) };
    }),
    ports: table(pairs(world.hosts, world.ports), ([host, port]) => state.interfacesAt(host, port).map(keyOf).sort()),
    children: table(world.parents, (parent) => list(state.childrenOf(parent).map(keyOf))),
    interfaces: table(world.parents, (key) => keyOrNone(state.findInterface(key))),
    byMac: table(pairs(world.networks, world.macs), ([network, mac]) => keyOrNone(state.findByMac(network, mac))),
    byIp: table(pairs(world.networks, world.ips), ([network, ip]) => keyOrNone(state.findByIp(network, ip))),
    ownerOfIp: table(pairs(world.networks, world.ips), ([network, ip]) => state.findOwnerOfIp(network, ip)),
    located: table(pairs(world.networks, world.macs), ([network, mac]) => {
      const at = state.locate(network, { kind: "mac", vni: world.vnis[0] as Vni, mac });
      return at && [at.host, at.mac, at.port, at.parent, at.router, at.revision];
    }),
    at: table(world.ips, (ip) => [...state.vmsAt({ ip })].sort()),
    counted: table(world.networks, (network) => state.countVmsIn(network)),
    countedAt: table(places(world), ({ host, network }) => state.countVmsAt(network, host)),
  };
}

export function expectedContents(model: PlainInventory, world: World, order: "as read" | "sorted" = "as read") {
  const list = <T>(items: readonly T[]): T[] => (order === "sorted" ? [...items].sort() : [...items]);
  const byName = <T extends { readonly name: string }>(resources: ReadonlyMap<string, T>): T[] =>
    [...resources.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const vms = byName(model.vms);
  const isIn = (network: string) => (vm: Vm) => vm.interfaces.some((each) => each.network === network);
  const fits = (labels: Readonly<Record<string, string>>, [key, value]: readonly [string, string?]) =>
    Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
  const counts = (end: 0 | 1, name: string) => {
    const found = [...model.interfaces].filter(([pair]) => pair.split(" ")[end] === name);
    return { size: found.length, entries: list(found.map(([pair, n]) => `${pair.split(" ")[1 - end]} ${n}`)) };
  };
  const attached = (fitting: (each: PlainInventory["attached"][number]) => boolean) => model.attached.find(fitting);
  const keyAt = (found: PlainInventory["attached"][number] | undefined) =>
    found && interfaceKey(found.vm.name, found.name);
  return {
    networks: byName(model.networks),
    hosts: byName(model.hosts),
    vms,
    sizes: [model.networks.size, model.hosts.size, model.vms.size],
    behind: table(world.vms, (name) => vms.map(nameOf).filter((each) => each >= name)),
    found: table(world.vms, (name) => model.vms.get(name)),
    byVni: table(world.vnis, (vni) => byName(model.networks).find((each) => each.vni === vni)?.name),
    byVtep: table(world.vteps, (vtep) => byName(model.hosts).find((each) => each.vtep === vtep)?.name),
    on: table(world.hosts, (host) => {
      const names = list(model.vmsWith((vm) => vm.host === host));
      return { size: names.length, names, values: names };
    }),
    prepared: table(world.hosts, (host) => list(model.vmsWith((vm) => vm.preparedHost === host))),
    within: table(world.networks, (network) => list(model.vmsWith(isIn(network)))),
    names: table(world.networks, (network) => {
      const names = vms.filter(isIn(network)).map(nameOf);
      return { size: names.length, names };
    }),
    unattached: table(world.networks, (network) => vms.filter((vm) => vm.ownerNetworks?.[0] === network).map(nameOf)),
    labelled: table(world.labels, (label) => vms.filter((vm) => fits(vm.labels, label)).map(nameOf)),
    networkLabels: table(world.labels, (label) =>
      byName(model.networks)
        .filter((each) => fits(each.labels, label))
        .map(nameOf),
    ),
    networksOn: table(world.hosts, (host) => counts(0, host)),
    hostsIn: table(world.networks, (network) => counts(1, network)),
    addresses: table(world.networks, (network) => {
      const found = model.attached.filter((each) => each.network === network);
      const each = list(found.flatMap(({ vm, ips }) => ips.map((ip) => `${ip} ${vm.name}`)));
      return { size: each.length, each };
    }),
    ports: table(pairs(world.hosts, world.ports), ([host, port]) =>
      model.keysWith(({ vm, ...each }) => each.port === port && [vm.host, vm.preparedHost].includes(host)).sort(),
    ),
    children: table(world.parents, (parent) => list(model.keysWith((each) => each.parent === parent))),
    interfaces: table(world.parents, (key) => keyAt(attached(({ vm, name }) => interfaceKey(vm.name, name) === key))),
    byMac: table(pairs(world.networks, world.macs), ([network, mac]) =>
      keyAt(attached((each) => each.network === network && each.mac === mac)),
    ),
    byIp: table(pairs(world.networks, world.ips), ([network, ip]) =>
      keyAt(attached((each) => each.network === network && each.ips.includes(ip))),
    ),
    ownerOfIp: table(
      pairs(world.networks, world.ips),
      ([network, ip]) => attached((each) => each.network === network && each.ips.includes(ip))?.vm.name,
    ),
    located: table(pairs(world.networks, world.macs), ([network, mac]) => {
      const at = attached((each) => each.network === network && each.mac === mac);
      return at && [at.vm.host, at.mac, at.port, at.parent, at.router, at.vm.revision];
    }),
    at: table(world.ips, (ip) => {
      const found = model.vmsWith((vm) =>
        vm.interfaces.some((each) => each.ips.includes(ip) && model.networks.has(each.network)),
      );
      return found.sort();
    }),
    counted: table(world.networks, (network) => model.countVms(network)),
    countedAt: table(places(world), ({ host, network }) => model.countVms(network, host)),
  };
}

const nameOf = ({ name }: { readonly name: string }): string => name;
const keyOf = ({ vm, interface: { name } }: Attachment): string => interfaceKey(vm.name, name);
const keyOrNone = (found: Attachment | undefined): string | undefined => found && keyOf(found);

function sized(names: Names): { size: number; names: string[] } {
  return { size: names.size, names: [...names.from("")] };
}
