// Which hosts have to confirm that a VM has moved: all that may have entries of it.
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import { keysOf } from "../inventory/bindings.ts";
import { hostsOf, type Inventory } from "../inventory/inventory.ts";
import type { InterestIndex } from "./interest.ts";

/** A VM before and after; the same if nothing changed. */
export interface VmMove {
  readonly before: Vm;
  readonly after: Vm;
}

export function movesIn(touched: readonly ResourceChange[]): VmMove[] {
  return touched.flatMap((change) => {
    if (change.kind !== "vm" || !change.before || !change.after) return [];
    return [{ before: change.before, after: change.after }];
  });
}

/** Hosts that a live migration is committed to. */
export function migratedTo(changes: readonly ResourceChange[]): Set<string> {
  const committed = movesIn(changes).filter(({ before, after }) => before.preparedHost === after.host);
  return new Set(committed.map(({ after }) => after.host));
}

/**
 * The hosts that know one of the VM's addresses, connected or not: their kernels forward by it. Always includes the old
 * and the new host, and a prepared host. Also includes each host that has a VM in one of its networks and has not declared
 * the contents of its kernel since the controller's start: it may be a holder.
 */
export function holdersOf(state: Inventory, interest: InterestIndex, moves: readonly VmMove[]): Set<string> {
  const hosts = new Set<string>();
  const networks = new Set<string>();
  for (const { before, after } of moves) {
    for (const host of [...hostsOf(before), ...hostsOf(after)]) hosts.add(host);
    for (const each of [...before.interfaces, ...after.interfaces]) {
      const network = state.findNetwork(each.network);
      if (!network) continue;
      networks.add(network.name);
      for (const key of keysOf(each, network.vni)) for (const host of interest.holdersOf(key)) hosts.add(host);
    }
  }
  for (const network of networks) {
    for (const host of state.hostsIn(network).keys()) if (!interest.hasDeclared(host)) hosts.add(host);
  }
  for (const host of hosts) if (!state.findHost(host)) hosts.delete(host);
  return hosts;
}
