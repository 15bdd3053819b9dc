// What stands in a network's tables against what should stand there, place by place. Thousands of places take time, in which
// answers come and are written. So nothing is kept of what should stand: it is looked up when a place is compared, and again
// when it is mended. Pure.
import { type ActualEntry, type Entry, entryKey, type Operation, type Place } from "./entry.ts";
import { operationAt, rankOf } from "./plan.ts";

/** What should stand, as of when it is asked: a `HeldNetwork`. */
export interface Desired {
  entryAt(place: Place): Entry | undefined;
  entries(): Iterable<Entry>;
}

export const nothingDesired: Desired = { entryAt: () => undefined, entries: () => [] };

/** A place where something else stood than should. */
export interface Difference {
  readonly place: Place;
  /** What it needed then. */
  readonly verb: Operation["verb"];
  /** As the tables showed it; undefined: nothing. */
  readonly actual: ActualEntry | undefined;
}

/**
 * The differences, in the order of `plan`. Yields after every entry; what is desired may change then, if whoever changes it
 * writes the change to the tables himself.
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

/** What a difference needs now, if anything. */
export function mend({ place, actual }: Difference, desired: Desired): Operation | undefined {
  return operationAt(desired.entryAt(place), actual);
}
