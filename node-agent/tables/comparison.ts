// Compares the actual entries of a network's tables with the desired ones, place by place. Thousands of places take time, and
// answers arrive and are written during it. So no copy of the desired entries is kept: each is looked up when its place is
// compared, and again when it is repaired. Pure.
import { type ActualEntry, type Entry, entryKey, type Operation, type Place } from "./entry.ts";
import { operationAt, rankOf } from "./plan.ts";

/** The desired entries at the time of the call: a `HeldNetwork`. */
export interface Desired {
  entryAt(place: Place): Entry | undefined;
  entries(): Iterable<Entry>;
}

export const nothingDesired: Desired = { entryAt: () => undefined, entries: () => [] };

/** A place whose actual entry differed from the desired one. */
export interface Difference {
  readonly place: Place;
  /** The operation that it needed then. */
  readonly verb: Operation["verb"];
  /** The actual entry; undefined if there was none. */
  readonly actual: ActualEntry | undefined;
}

/**
 * The differences, in the order of `plan`. Yields after every entry; the desired entries may change then, if the code that
 * changes them also writes the change to the tables.
 */
export function* compare(desired: Desired, actual: Iterable<ActualEntry>): Generator<void, Difference[], void> {
  const present = new Map<string, ActualEntry>();
  for (const each of actual) {
    present.set(entryKey(each.entry), each);
    yield;
  }
  const byRank = new Map<number, Difference[]>();
  const note = (place: Place, actual: ActualEntry | undefined): void => {
    const operation = operationAt(desired.entryAt(place), actual);
    if (!operation) return;
    const rank = rankOf(operation);
    const alike = byRank.get(rank) ?? [];
    byRank.set(rank, alike);
    alike.push({ place, verb: operation.verb, actual });
  };
  for (const each of present.values()) {
    note(each.entry, each);
    yield;
  }
  for (const entry of desired.entries()) {
    if (!present.has(entryKey(entry))) note(entry, undefined);
    yield;
  }
  return [...byRank].sort(([a], [b]) => a - b).flatMap(([, alike]) => alike);
}

/** The operation that a difference needs now, if any. */
export function repairOf({ place, actual }: Difference, desired: Desired): Operation | undefined {
  return operationAt(desired.entryAt(place), actual);
}
