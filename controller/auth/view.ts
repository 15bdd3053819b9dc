// The inventory as one caller may know it: whatever is outside looks as if it did not exist.
import type { BindingKey, Host, Network, NetworkScope, OperationalEvent, Vm } from "../../schema/index.ts";
import { type Found, findBound } from "../inventory/bindings.ts";
import type { AddressSought, Inventory } from "../inventory/inventory.ts";
import { narrowVm } from "../inventory/scope.ts";
import { type Identity, scopeOf } from "./identity.ts";

export interface InventoryView {
  /** Nothing is hidden. */
  readonly isWhole: boolean;
  findNetwork(name: string): Network | undefined;
  findHost(name: string): Host | undefined;
  findVm(name: string): Vm | undefined;
  findBound(key: BindingKey): Found | undefined;
  /** In order of names, from this name on. */
  networksFrom(name: string): Iterable<Network>;
  hostsFrom(name: string): Iterable<Host>;
  vmsFrom(name: string): Iterable<Vm>;
  /** Those on one host. */
  vmsOnFrom(host: string, name: string): Iterable<Vm>;
  /** Candidates: those with one of the addresses, in whatever network. */
  vmsAtFrom(sought: AddressSought, name: string): Iterable<Vm>;
  /** Whether VMs on the host have interfaces in the network. */
  isNetworkOn(network: string, host: string): boolean;
}

/**
 * Tokens see their networks, the VMs in them with the interfaces in them, and the hosts that run such VMs. A host sees
 * itself, its own VMs, and the networks that they are in.
 */
export function viewFor(identity: Identity, state: Inventory): InventoryView {
  if (identity.kind === "host") {
    const seesNetwork = (name: string) => state.networksOn(identity.name).has(name);
    const seesHost = (name: string) => name === identity.name;
    return narrowed(state, seesNetwork, seesHost, (vm) => (vm.host === identity.name ? vm : undefined));
  }
  return viewWithin(scopeOf(identity), state);
}

/** What tokens of that scope see. */
export function viewWithin(scope: NetworkScope, state: Inventory): InventoryView {
  if (scope === "all") {
    return {
      isWhole: true,
      findNetwork: (name) => state.findNetwork(name),
      findHost: (name) => state.findHost(name),
      findVm: (name) => state.findVm(name),
      findBound: (key) => findBound(state, key),
      networksFrom: (name) => state.networks.from(name),
      hostsFrom: (name) => state.hosts.from(name),
      vmsFrom: (name) => state.vms.from(name),
      vmsOnFrom: (host, name) => sortedFrom(state.vmsOn(host), name),
      vmsAtFrom: (sought, name) => sortedFrom(state.vmsAt(sought), name),
      isNetworkOn: (network, host) => state.networksOn(host).has(network),
    };
  }
  const seesHost = (name: string) => [...scope].some((network) => state.hostsIn(network).has(name));
  return narrowed(
    state,
    (name) => scope.has(name),
    seesHost,
    (vm) => narrowVm(scope, vm),
  );
}

/**
 * An event of a network is for those who see the network, as it is now. What concerns a host concerns all networks on it, also
 * those that a narrowed token must not know of.
 */
export function mayKnow(view: InventoryView, { network, networkUid }: OperationalEvent): boolean {
  return view.isWhole || (network !== undefined && view.findNetwork(network)?.uid === networkUid);
}

function narrowed(
  state: Inventory,
  seesNetwork: (name: string) => boolean,
  seesHost: (name: string) => boolean,
  seenOf: (vm: Vm) => Vm | undefined,
): InventoryView {
  const only = <T extends { readonly name: string }>(sees: (name: string) => boolean, found: T | undefined) =>
    found && sees(found.name) ? found : undefined;
  return {
    isWhole: false,
    findNetwork: (name) => only(seesNetwork, state.findNetwork(name)),
    findHost: (name) => only(seesHost, state.findHost(name)),
    findVm: (name) => {
      const vm = state.findVm(name);
      return vm && seenOf(vm);
    },
    findBound: (key) => {
      const found = findBound(state, key);
      return found && seesNetwork(found.network.name) ? found : undefined;
    },
    networksFrom: (name) => filtered(state.networks.from(name), (each) => only(seesNetwork, each)),
    hostsFrom: (name) => filtered(state.hosts.from(name), (each) => only(seesHost, each)),
    vmsFrom: (name) => filtered(state.vms.from(name), seenOf),
    vmsOnFrom: (host, name) => filtered(sortedFrom(state.vmsOn(host), name), seenOf),
    vmsAtFrom: (sought, name) => filtered(sortedFrom(state.vmsAt(sought), name), seenOf),
    isNetworkOn: (network, host) => seesNetwork(network) && seesHost(host) && state.networksOn(host).has(network),
  };
}

function* filtered<T>(resources: Iterable<T>, seenOf: (resource: T) => T | undefined): Generator<T> {
  for (const resource of resources) {
    const seen = seenOf(resource);
    if (seen) yield seen;
  }
}

/** A host has few VMs (`limits.vmsPerHost`) and an address fewer, in an order of their own. */
function sortedFrom(vms: ReadonlyMap<string, Vm>, name: string): Vm[] {
  return [...vms.values()].filter((vm) => vm.name >= name).sort((a, b) => (a.name < b.name ? -1 : 1));
}
