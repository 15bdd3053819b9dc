// One page of a list in order of names. A page begins behind a name, not at a position, so that what is created or
// deleted meanwhile neither repeats nor hides anything else.
import { fitsSelector, type Selector } from "./selector.ts";

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

/** @param from what is to be listed, in order of names, from a name on */
export function pageOf<T extends Listed>(
  from: (name: string) => Iterable<T>,
  { after = "", prefix, labels, limit }: PageRequest,
  fits: (item: T) => boolean,
): Page<T> {
  const items: T[] = [];
  for (const item of from(after > prefix ? after : prefix)) {
    if (item.name === after) continue;
    if (!item.name.startsWith(prefix)) break;
    if (!fitsSelector(item.labels, labels) || !fits(item)) continue;
    const last = items.at(-1)?.name;
    if (items.length === limit && last !== undefined) return { items, last };
    items.push(item);
  }
  return { items };
}
