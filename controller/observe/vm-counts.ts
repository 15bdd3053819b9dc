// How many VMs each host runs.
import { inSlices } from "../../common/cooperative.ts";
import { defined } from "../../common/defined.ts";
import type { Vm } from "../../schema/rest/index.ts";
import type { InventoryView } from "../auth/view.ts";
import { type Listing, pageOf } from "../inventory/page.ts";
import { fitsVm } from "../inventory/search.ts";

/**
 * Of those that are seen, in one network or in all; a host with none is left out. In slices.
 * @param look the inventory as it is seen when it is called
 */
export async function countByHost(look: () => InventoryView, network?: string): Promise<ReadonlyMap<string, number>> {
  const seen = look();
  const counts = new Map<string, number>();
  if (seen.isWhole && network === undefined) {
    for (const { name } of seen.hosts()) counts.set(name, seen.countVmsOn(name));
    return counts;
  }
  const sought = { labels: [], ...defined({ network }) };
  const listing: Listing<Vm> = {
    from: (name) => look().vmsFrom(sought, name),
    fits: (vm) => fitsVm(vm, sought),
  };
  const { items } = await inSlices(pageOf(listing, { prefix: "", labels: [], limit: Number.POSITIVE_INFINITY }));
  for (const { host } of items) counts.set(host, (counts.get(host) ?? 0) + 1);
  return counts;
}
