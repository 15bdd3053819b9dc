// The operations between what the kernel holds and what it should hold. Pure.
import { type Entry, entryKey, type Operation, sameEntry } from "./entry.ts";

const putOrder = { tunnel: 0, bridge: 1, neighbour: 2 } as const;

/** Puts before deletes; the MAC's way before the neighbour among puts, and after it among deletes. */
export function plan(desired: ReadonlyMap<string, Entry>, actual: ReadonlyMap<string, Entry>): Operation[] {
  const puts = [...desired].flatMap(([key, entry]): Operation[] => {
    const present = actual.get(key);
    if (!present) return [{ verb: "put", entry }];
    return sameEntry(present, entry) ? [] : [{ verb: "put", entry, replaces: present }];
  });
  const deletes = [...actual].flatMap(([key, entry]): Operation[] =>
    desired.has(key) ? [] : [{ verb: "delete", entry }],
  );
  return [...puts.sort(byPutOrder), ...deletes.sort((a, b) => byPutOrder(b, a))];
}

function byPutOrder(a: Operation, b: Operation): number {
  return putOrder[a.entry.kind] - putOrder[b.entry.kind];
}

/** Entries by the place that they take. */
export function byKey(entries: Iterable<Entry>): Map<string, Entry> {
  return new Map([...entries].map((entry) => [entryKey(entry), entry]));
}
