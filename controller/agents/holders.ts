// Which hosts have to confirm that a VM has moved: all that may have entries of it.

import type { Network } from "../../schema/rest/index.ts";
import { keysOf } from "../inventory/bindings.ts";
import { hostsOf } from "../inventory/hosts-of.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { hostsKnowing } from "../inventory/known-networks.ts";
import type { VmMove } from "../inventory/vm-moves.ts";
import type { InterestIndex } from "./interest.ts";

/**
 * The hosts that know one of the VM's addresses, connected or not: their kernels forward by it. Always includes the old
 * and the new host, and a prepared host. Also includes each host that has a VM in one of its networks and has not declared
 * the contents of its kernel since the controller's start: it may be a holder.
 */
export function holdersOf(state: Inventory, interest: InterestIndex, moves: readonly VmMove[]): Set<string> {
  const hosts = new Set<string>();
  const networks = new Set(networksOf(state, moves).map(({ name }) => name));
  for (const { before, after } of moves) {
    for (const host of [...hostsOf(before), ...hostsOf(after)]) hosts.add(host);
    for (const each of [...before.interfaces, ...after.interfaces]) {
      const network = state.findNetwork(each.network);
      if (!network) continue;
      for (const key of keysOf(each, network.vni)) for (const host of interest.holdersOf(key)) hosts.add(host);
    }
  }
  for (const network of networks) {
    for (const host of hostsKnowing(state, network)) if (!interest.hasDeclared(host)) hosts.add(host);
  }
  for (const host of hosts) if (!state.findHost(host)) hosts.delete(host);
  return hosts;
}

/** The networks that the VMs were or are in. */
export function networksOf(state: Inventory, moves: readonly VmMove[]): Network[] {
  const names = moves.flatMap(({ before, after }) =>
    [...before.interfaces, ...after.interfaces].map(({ network }) => network),
  );
  return [...new Set(names)].flatMap((name) => state.findNetwork(name) ?? []);
}
