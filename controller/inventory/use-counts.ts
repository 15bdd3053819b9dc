// The use of each network as counted by quotas, updated with every change: a decision adds a few numbers and scans
// nothing.
import type { Vm } from "../../schema/rest/index.ts";
import { TwoLevelMap } from "./two-level-map.ts";

/** The networks that a VM counts in, each once: those of its interfaces, or without any those that it belongs to. */
export function countedNetworks({ interfaces, ownerNetworks = [] }: Vm): ReadonlySet<string> {
  return new Set(interfaces.length === 0 ? ownerNetworks : interfaces.map(({ network }) => network));
}

/** Numbers by key; 0 is absent. */
export function addTo<Key>(counts: Map<Key, number>, key: Key, step: number): void {
  const count = (counts.get(key) ?? 0) + step;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

export class UseCounts {
  private readonly byNetwork = new Map<string, number>();
  private readonly byHost = new TwoLevelMap<string, string, number>();

  count(vm: Vm, step: 1 | -1): void {
    for (const network of countedNetworks(vm)) {
      addTo(this.byNetwork, network, step);
      const there = (this.byHost.get(network, vm.host) ?? 0) + step;
      if (there === 0) this.byHost.delete(network, vm.host);
      else this.byHost.set(network, vm.host, there);
    }
  }

  vmsIn(network: string): number {
    return this.byNetwork.get(network) ?? 0;
  }

  /** VMs that run on the host. */
  vmsOn(network: string, host: string): number {
    return this.byHost.get(network, host) ?? 0;
  }
}
