// Which networks a host may know: the only place that decides it. Everything that is sent to a host asks here (answers, interest,
// snapshots, seeds, changes, senders), and everything that a host says of a network. test/integration/known-networks.test.ts has the
// matrix of relations and frames.
import type { Vni } from "../../schema/address/index.ts";
import type { Network, Vm } from "../../schema/rest/index.ts";
import { hostsOf } from "./hosts-of.ts";
import type { InterfaceCounts } from "./interface-counts.ts";
import type { Inventory } from "./inventory.ts";

/** Why a host may know a network: an interface of a VM that runs on it, or that is being migrated to it. */
export interface Relation {
  readonly host: string;
  readonly network: string;
}

/** The relations that a VM makes, one for each interface and host. The inventory counts them. */
export function* relationsOf(vm: Pick<Vm, "host" | "preparedHost" | "interfaces">): Generator<Relation> {
  for (const { network } of vm.interfaces) for (const host of hostsOf(vm)) yield { host, network };
}

/** Number of relations; 0: the host may not know the network. */
export function countRelations(state: Inventory, { host, network }: Relation): number {
  return state.countInterfaces(host, network);
}

/** The names of all networks that the host may know. */
export function knownNames(state: Inventory, host: string): Pick<InterfaceCounts, "size" | "has" | "keys"> {
  return state.networksOn(host);
}

export function mayKnow(state: Inventory, host: string, network: string): boolean {
  return countRelations(state, { host, network }) > 0;
}

/** The network of `vni`, unless the host may not know it. */
export function findKnownNetwork(state: Inventory, host: string, vni: Vni): Network | undefined {
  const network = state.findNetworkByVni(vni);
  return network && mayKnow(state, host, network.name) ? network : undefined;
}

/** All networks that the host may know. */
export function knownNetworks(state: Inventory, host: string): Network[] {
  return [...knownNames(state, host).keys()].flatMap((name) => state.findNetwork(name) ?? []);
}

/** The names of all hosts that may know the network. */
export function hostsKnowing(state: Inventory, network: string): Iterable<string> {
  return state.hostsIn(network).keys();
}
