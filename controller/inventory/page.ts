// One page of a list sorted by name. A page starts after a name, not at a position, so that resources that are created or
// deleted between pages neither repeat nor hide others.
import { fitsSelector, type Selector } from "../../schema/plain/index.ts";
import type { Labelled } from "./named-index.ts";
import type { Candidate } from "./search.ts";
import type { Steps } from "./steps.ts";

export interface PageRequest {
  /** Begin behind this name; absent: at the first. */
  readonly after?: string;
  /** How the names begin. */
  readonly prefix: string;
  readonly labels: Selector;
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Behind which name the next page begins; absent: this one is the last. */
  readonly last?: string;
}

/** Number of items examined between two steps. */
const stretch = 512;

/** The source of a page. */
export interface Listing<T> {
  /** In order, from a name on: all that fit, and maybe others. */
  readonly from: (name: string) => Iterable<Candidate<T>>;
  readonly fits: (item: T) => boolean;
}

/** Between steps others have their turn: the list is queried again, after the last examined name. */
export function* pageOf<T extends Labelled>(
  { from, fits }: Listing<T>,
  { after = "", prefix, labels, limit }: PageRequest,
): Steps<Page<T>> {
  const items: T[] = [];
  let behind = after;
  for (;;) {
    let looked = 0;
    for (const [name, item] of from(behind > prefix ? behind : prefix)) {
      if (name === behind) continue;
      if (!name.startsWith(prefix)) return { items };
      behind = name;
      if (item && fitsSelector(item.labels, labels) && fits(item)) {
        const last = items.at(-1)?.name;
        if (items.length === limit && last !== undefined) return { items, last };
        items.push(item);
      }
      looked += 1;
      if (looked === stretch) break;
    }
    if (looked < stretch) return { items };
    yield;
  }
}
