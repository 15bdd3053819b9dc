// The inventory as one caller may see it: everything outside looks as if it did not exist.
import type { BindingKey } from "../../schema/address/index.ts";
import type { OperationalEvent } from "../../schema/events/index.ts";
import type { Host, Network, NetworkScope, Vm } from "../../schema/rest/index.ts";
import { type Found, findBound } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { knownNames } from "../inventory/known-networks.ts";
import { countUnited, type Names, sortedNames, unitedNames } from "../inventory/names.ts";
import { narrowVm } from "../inventory/scope.ts";
import {
  type Candidate,
  candidates,
  type LabelsSought,
  type VmsSought,
  vmsWith,
  withLabels,
} from "../inventory/search.ts";
import { type Identity, placementOf, scopeOf } from "./identity.ts";

export interface InventoryView {
  /** Nothing is hidden. */
  readonly isWhole: boolean;
  findNetwork(name: string): Network | undefined;
  findHost(name: string): Host | undefined;
  findVm(name: string): Vm | undefined;
  findBound(key: BindingKey): Found | undefined;
  /** In order, from a name on: all that are sought and seen, and maybe others. */
  networksFrom(sought: LabelsSought, name: string): Iterable<Candidate<Network>>;
  hostsFrom(sought: LabelsSought, name: string): Iterable<Candidate<Host>>;
  vmsFrom(sought: VmsSought, name: string): Iterable<Candidate<Vm>>;
  /** All that are seen, in order of names. */
  networks(): readonly Network[];
  hosts(): readonly Host[];
  /** As each is when it is read; undefined in place of hidden ones, so that a reader can pause there. */
  vms(): Iterable<Vm | undefined>;
  countVms(): number;
  countVmsOn(host: string): number;
  /** Whether VMs on the host have interfaces in the network. */
  isNetworkOn(network: string, host: string): boolean;
}

/**
 * Tokens see their networks, the VMs in them with the interfaces in them, and the hosts that run such VMs. A host sees
 * itself, its own VMs, and the networks that they are in.
 */
export function viewFor(identity: Identity, state: Inventory): InventoryView {
  if (identity.kind === "host") {
    const { name } = identity;
    return narrowed(state, {
      networks: knownNames(state, name),
      seesHost: (host) => host === name,
      seenOf: (vm) => (vm.host === name ? vm : undefined),
      attached: () => [sortedNames(state.vmsOn(name))],
      unattached: () => [],
    });
  }
  return viewWithin(scopeOf(identity), state, placementOf(identity).hosts);
}

/**
 * The view of tokens with that scope. @param hosts on which they may place VMs, and which they therefore see as well
 */
export function viewWithin(scope: NetworkScope, state: Inventory, hosts?: ReadonlySet<string>): InventoryView {
  if (scope === "all") {
    return {
      isWhole: true,
      findNetwork: (name) => state.findNetwork(name),
      findHost: (name) => state.findHost(name),
      findVm: (name) => state.findVm(name),
      findBound: (key) => findBound(state, key),
      networksFrom: ({ labels }, name) => candidates(state.networks, withLabels(state.networks, labels), name),
      hostsFrom: ({ labels }, name) => candidates(state.hosts, withLabels(state.hosts, labels), name),
      vmsFrom: (sought, name) => candidates(state.vms, vmsWith(state, sought), name),
      networks: () => state.networks.list(),
      hosts: () => state.hosts.list(),
      vms: () => state.vms.values(),
      countVms: () => state.vms.size,
      countVmsOn: (host) => state.vmsOn(host).size,
      isNetworkOn: (network, host) => state.countInterfaces(host, network) > 0,
    };
  }
  return narrowed(state, {
    networks: scope,
    seesHost: (name) =>
      hosts?.has(name) === true || [...scope].some((network) => state.countInterfaces(name, network) > 0),
    seenOf: (vm) => narrowVm(scope, vm),
    attached: () => [...scope].map((network) => state.vmNamesIn(network)),
    unattached: () => [...scope].map((network) => state.unattachedVmNamesOf(network)),
  });
}

/**
 * An event of a network is for callers who may see the network, in its present form. Events of a host concern all
 * networks on it, also those that are hidden from a limited token.
 */
export function mayKnow(view: InventoryView, { network, networkUid }: OperationalEvent): boolean {
  return view.isWhole || (network !== undefined && view.findNetwork(network)?.uid === networkUid);
}

interface Reach {
  readonly networks: { readonly size: number; has(name: string): boolean; keys(): Iterable<string> };
  readonly seesHost: (name: string) => boolean;
  readonly seenOf: (vm: Vm) => Vm | undefined;
  /** Of which something is seen: the lists together. */
  readonly attached: () => readonly Names[];
  /** VMs without interfaces, some of which may be hidden. */
  readonly unattached: () => readonly Names[];
}

function narrowed(state: Inventory, { networks, seesHost, seenOf, attached, unattached }: Reach): InventoryView {
  const countSeen = (lists: readonly Names[]) => {
    let count = 0;
    for (const names of lists)
      for (const name of names.from("")) {
        const vm = state.findVm(name);
        if (vm && seenOf(vm)) count += 1;
      }
    return count;
  };
  return {
    isWhole: false,
    findNetwork: (name) => (networks.has(name) ? state.findNetwork(name) : undefined),
    findHost: (name) => (seesHost(name) ? state.findHost(name) : undefined),
    findVm: (name) => {
      const vm = state.findVm(name);
      return vm && seenOf(vm);
    },
    // Looked up only if it may be seen: the time that it takes must not reveal anything either.
    findBound: (key) => {
      const network = state.findNetworkByVni(key.vni);
      return network && networks.has(network.name) ? findBound(state, key) : undefined;
    },
    networksFrom: (_sought, name) =>
      seenAmong(
        candidates(state.networks, [sortedNames(networks)], name),
        only((each) => networks.has(each)),
      ),
    hostsFrom: ({ labels }, name) =>
      seenAmong(candidates(state.hosts, withLabels(state.hosts, labels), name), only(seesHost)),
    vmsFrom: (sought, name) =>
      seenAmong(
        candidates(state.vms, [unitedNames([...attached(), ...unattached()]), ...vmsWith(state, sought)], name),
        seenOf,
      ),
    networks: () => state.networks.list().filter(({ name }) => networks.has(name)),
    hosts: () => state.hosts.list().filter(({ name }) => seesHost(name)),
    vms: () => each(state.vms.values(), seenOf),
    countVms: () => countUnited(attached()) + countSeen(unattached()),
    countVmsOn: (host) => [...state.vmsOn(host).values()].filter(seenOf).length,
    isNetworkOn: (network, host) => networks.has(network) && seesHost(host) && state.countInterfaces(host, network) > 0,
  };
}

/** Those that are not named are not seen. */
const only =
  <T extends { readonly name: string }>(sees: (name: string) => boolean) =>
  (item: T) =>
    sees(item.name) ? item : undefined;

function* seenAmong<T>(found: Iterable<Candidate<T>>, seenOf: (item: T) => T | undefined): Generator<Candidate<T>> {
  for (const [name, item] of found) yield [name, item && seenOf(item)];
}

function* each<T, Seen>(resources: Iterable<T>, seenOf: (resource: T) => Seen): Generator<Seen> {
  for (const resource of resources) yield seenOf(resource);
}
