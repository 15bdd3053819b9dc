// How many VMs each host runs.
import { inSlices } from "../../common/cooperative.ts";
import { defined } from "../../common/defined.ts";
import type { InventoryView } from "../auth/view.ts";
import { fitsVm, type VmsSought } from "../inventory/search.ts";
import type { Steps } from "../inventory/steps.ts";
import { addTo } from "../inventory/use-counts.ts";

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
  return inSlices(countSteps(look, { labels: [], ...defined({ network }) }));
}

/** VMs that are looked at between two steps. */
const stretch = 512;

function* countSteps(look: () => InventoryView, sought: VmsSought): Steps<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  let behind = "";
  for (;;) {
    let looked = 0;
    for (const [name, vm] of look().vmsFrom(sought, behind)) {
      if (name === behind) continue;
      behind = name;
      if (vm && fitsVm(vm, sought)) addTo(counts, vm.host, 1);
      looked += 1;
      if (looked === stretch) break;
    }
    if (looked < stretch) return counts;
    yield;
  }
}
