// The operations between what the kernel holds and what it should hold. Pure.
import { type Entry, entryKey, type Operation, sameEntry } from "./entry.ts";

const putOrder = { tunnel: 0, bridge: 1, neighbour: 2 } as const;

/** Puts before deletes; the MAC's way before the neighbour among puts, and after it among deletes. */
export function plan(desired: ReadonlyMap<string, Entry>, actual: ReadonlyMap<string, Entry>): Operation[] {
  const puts = [...desired].filter(([key, entry]) => {
    const present = actual.get(key);
    return !present || !sameEntry(present, entry);
  });
  const deletes = [...actual].filter(([key]) => !desired.has(key));
  return [
    ...puts.map(([, entry]) => ({ verb: "put", entry }) as const).sort(byPutOrder),
    ...deletes.map(([, entry]) => ({ verb: "delete", entry }) as const).sort((a, b) => byPutOrder(b, a)),
  ];
}

function byPutOrder(a: Operation, b: Operation): number {
  return putOrder[a.entry.kind] - putOrder[b.entry.kind];
}

/** Entries by the place that they take. */
export function byKey(entries: Iterable<Entry>): Map<string, Entry> {
  return new Map([...entries].map((entry) => [entryKey(entry), entry]));
}
