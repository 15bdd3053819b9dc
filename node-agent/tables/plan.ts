// Plans the operations from actual to desired entries. Pure.
import { type ActualEntry, type Entry, entryKey, type Operation, sameEntry } from "./entry.ts";

const putOrder = { tunnel: 0, bridge: 1, neighbour: 2, broadcast: 3 } as const;
const lastRank = 7;

/**
 * Puts before deletes; among puts the entries of a MAC before the neighbour, among deletes after it. An entry of another
 * program is deleted only if its place is needed.
 */
export function plan(desired: ReadonlyMap<string, Entry>, actual: ReadonlyMap<string, ActualEntry>): Operation[] {
  const puts = [...desired].flatMap(([key, entry]) => operationAt(entry, actual.get(key)) ?? []);
  const deletes = [...actual].flatMap(([key, present]) =>
    desired.has(key) ? [] : (operationAt(undefined, present) ?? []),
  );
  return [...puts, ...deletes].sort((a, b) => rankOf(a) - rankOf(b));
}

/** The operation that one place needs, if any. */
export function operationAt(desired: Entry | undefined, actual: ActualEntry | undefined): Operation | undefined {
  if (desired) return putOver(desired, actual);
  return actual?.own ? { verb: "delete", entry: actual.entry } : undefined;
}

function putOver(entry: Entry, present: ActualEntry | undefined): Operation | undefined {
  if (!present) return { verb: "put", entry };
  if (present.own && present.lasting && sameEntry(present.entry, entry)) return undefined;
  return mustBeAnew(entry, present) ? { verb: "put", entry, anew: true } : { verb: "put", entry };
}

/** Neighbours take our mark and any MAC in place; FDB entries keep the flags that they were created with. */
function mustBeAnew(entry: Entry, { entry: present, own, lasting }: ActualEntry): boolean {
  // Neighbours are changed in place; a destination of broadcasts is its place, and its mark that of the list (broadcast.ts).
  if (entry.kind === "neighbour" || entry.kind === "broadcast") return false;
  return !own || !lasting || (entry.kind === "tunnel" && present.kind === "tunnel" && entry.router !== present.router);
}

/** Operations of a lower rank come first: 0 … 7. */
export function rankOf({ verb, entry }: Operation): number {
  return verb === "put" ? putOrder[entry.kind] : lastRank - putOrder[entry.kind];
}

/** Entries by their place. */
export function byKey(entries: Iterable<Entry>): Map<string, Entry> {
  return new Map([...entries].map((entry) => [entryKey(entry), entry]));
}

/** Entries of ours, as something to plan from. */
export function asOwn(entries: ReadonlyMap<string, Entry>): Map<string, ActualEntry> {
  return new Map([...entries].map(([key, entry]) => [key, { entry, own: true, lasting: true }]));
}
