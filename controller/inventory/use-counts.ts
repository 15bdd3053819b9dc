// Which networks a VM counts in, for quotas.
import type { Vm } from "../../schema/rest/index.ts";

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
