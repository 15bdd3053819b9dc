// One page of a list in another order than that of names, and how many there are. Both look at everything that fits, in slices, so there is
// a bound. Pure.
import { fitsSelector } from "../../schema/plain/index.ts";
import type { Labelled } from "./named-index.ts";
import type { Listing, Page, PageRequest } from "./page.ts";
import type { Steps } from "./steps.ts";

/** Resources that are looked at for an order or a count, at most. */
export const maxLookedAt = 100_000;

export type SortKey = string | number;

/** Behind which row a page begins. */
export interface Position {
  readonly key: SortKey;
  readonly name: string;
}

export interface Order<T> {
  readonly keyOf: (item: T) => SortKey;
  readonly isDescending: boolean;
  /** Absent: at the first. */
  readonly after?: Position;
}

export interface SortedPage<T> extends Page<T> {
  /** Number of all that fit. */
  readonly total: number;
  /** Key of the last item, where more follow. */
  readonly lastKey?: SortKey;
}

interface Row<T> extends Position {
  readonly item: T;
}

/** @returns undefined where more would have to be looked at than the bound */
export function* sortedPageOf<T extends Labelled>(
  listing: Listing<T>,
  { prefix, labels, limit }: PageRequest,
  { keyOf, isDescending, after }: Order<T>,
): Steps<SortedPage<T> | undefined> {
  const compare = (a: Position, b: Position) =>
    (isDescending ? compareKeys(b.key, a.key) : compareKeys(a.key, b.key)) || compareKeys(a.name, b.name);
  let rows: Row<T>[] = [];
  // The first ones so far, and a few behind them: sorted and cut now and then, not at each row.
  const cut = () => {
    rows = rows.sort(compare).slice(0, limit + 1);
  };
  const total = yield* each(listing, prefix, labels, (item) => {
    const row = { key: keyOf(item), name: item.name, item };
    if (after && compare(row, after) <= 0) return;
    rows.push(row);
    if (rows.length > 2 * limit + 1_000) cut();
  });
  if (total === undefined) return undefined;
  cut();
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return { items: shown.map(({ item }) => item), total, ...(last ? { last: last.name, lastKey: last.key } : {}) };
}

/** @returns undefined where more would have to be looked at than the bound */
export function* countOf<T extends Labelled>(
  listing: Listing<T>,
  { prefix, labels }: Pick<PageRequest, "prefix" | "labels">,
): Steps<number | undefined> {
  return yield* each(listing, prefix, labels, () => {});
}

/** Items looked at between two steps. */
const stretch = 512;

function* each<T extends Labelled>(
  { from, fits }: Listing<T>,
  prefix: string,
  labels: PageRequest["labels"],
  take: (item: T) => void,
): Steps<number | undefined> {
  let count = 0;
  let looked = 0;
  let behind = "";
  for (;;) {
    const before = looked;
    for (const [name, item] of from(behind > prefix ? behind : prefix)) {
      if (name === behind) continue;
      if (!name.startsWith(prefix)) return count;
      behind = name;
      if (item && fitsSelector(item.labels, labels) && fits(item)) {
        take(item);
        count += 1;
      }
      looked += 1;
      if (looked > maxLookedAt) return undefined;
      if (looked - before === stretch) break;
    }
    if (looked - before < stretch) return count;
    yield;
  }
}

/** Numbers before words. */
function compareKeys(a: SortKey, b: SortKey): number {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}
