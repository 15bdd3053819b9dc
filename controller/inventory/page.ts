// One page of a list in order of names. A page begins behind a name, not at a position, so that what is created or
// deleted meanwhile neither repeats nor hides anything else.
import { fitsSelector, type Selector } from "./selector.ts";
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

interface Listed {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** So many are looked at between two steps. */
const stretch = 512;

/**
 * Between steps the inventory may change: what is listed is asked for again, behind the last that was looked at.
 * @param from what is to be listed, in order of names, from a name on
 */
export function* pageOf<T extends Listed>(
  from: (name: string) => Iterable<T>,
  { after = "", prefix, labels, limit }: PageRequest,
  fits: (item: T) => boolean,
): Steps<Page<T>> {
  const items: T[] = [];
  let behind = after;
  for (;;) {
    let looked = 0;
    for (const item of from(behind > prefix ? behind : prefix)) {
      if (item.name === behind) continue;
      if (!item.name.startsWith(prefix)) return { items };
      behind = item.name;
      if (fitsSelector(item.labels, labels) && fits(item)) {
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
