// Selects the index for a query: the one with the fewest candidates. It contains every match, and usually other
// resources.
import type { Selector } from "../../schema/plain/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import type { AddressSought, Inventory } from "./inventory.ts";
import type { Labelled, ResourceIndex } from "./named-index.ts";
import { fewest, type Names, sortedNames } from "./names.ts";

/** A candidate name, and its resource if that is visible. */
export type Candidate<T> = readonly [name: string, seen: T | undefined];

export interface LabelsSought {
  readonly labels: Selector;
}

export interface VmsSought extends LabelsSought, AddressSought {
  readonly network?: string;
  readonly host?: string;
}

/**
 * In order, from a name on.
 * @param lists each names all that fit, beside the index itself
 */
export function candidates<T extends Labelled>(
  index: ResourceIndex<T>,
  lists: readonly Names[],
  from: string,
): Iterable<Candidate<T>> {
  const names = fewest([index, ...lists]);
  return names === index ? index.entries(from) : lookedUp(index, names.from(from));
}

function* lookedUp<T extends Labelled>(index: ResourceIndex<T>, names: Iterable<string>): Generator<Candidate<T>> {
  for (const name of names) yield [name, index.get(name)];
}

/** Labels that are absent, or differ, leave too many for an index to be of use. */
export function withLabels<T extends Labelled>(index: ResourceIndex<T>, labels: Selector): Names[] {
  return labels.flatMap(({ key, kind, value }) => {
    if (kind === "present") return index.labelled(key);
    return kind === "equals" ? index.labelled(key, value) : [];
  });
}

export function vmsWith(state: Inventory, { network, host, labels, ...sought }: VmsSought): Names[] {
  const lists = withLabels(state.vms, labels);
  if (network !== undefined) lists.push(state.vmNamesIn(network));
  // A host has few VMs (`limits.vmsPerHost`), and an address fewer.
  if (host !== undefined) lists.push(sortedNames(state.vmsOn(host)));
  if ((sought.ip ?? sought.mac) !== undefined) lists.push(sortedNames(state.vmsAt(sought)));
  return lists;
}

/** Without labels, which every page checks. */
export function fitsVm(vm: Vm, { network, host, ip, mac }: Omit<VmsSought, "labels">): boolean {
  if (host !== undefined && vm.host !== host) return false;
  if ((network ?? ip ?? mac) === undefined) return true;
  return vm.interfaces.some(
    (each) =>
      (network === undefined || each.network === network) &&
      (ip === undefined || each.ips.includes(ip)) &&
      (mac === undefined || each.mac === mac),
  );
}
