// Ordered names, by which lists are searched. The resource of a name is looked up when it is needed, so an index of
// names is right whatever else of a resource changes.
import sortedBtree from "sorted-btree";

const { default: BTree } = sortedBtree;

export interface Names {
  /** What looking at all of them costs: how many there are, or more where each takes more than one comparison. */
  readonly size: number;
  /** In order, from `name` on. @param skips rows to leave out: only lists of rows have any */
  from(name: string, skips?: (id: number) => boolean): Iterable<string>;
}

/** By UTF-16 code unit, which is ASCII order. */
export const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

type Tree = InstanceType<typeof BTree<string, undefined>>;

/** Names by a common property, such as a label. */
export class NameGroups {
  /** A single name, as with labels that are unique, needs no tree. */
  private readonly groups = new Map<string, string | Tree>();

  add(group: string, name: string): void {
    const names = this.groups.get(group);
    if (names === undefined) this.groups.set(group, name);
    else if (typeof names === "object") names.set(name, undefined);
    else if (names !== name) this.groups.set(group, treeOf(names, name));
  }

  delete(group: string, name: string): void {
    const names = this.groups.get(group);
    if (names === name || (typeof names === "object" && names.delete(name) && names.size === 0))
      this.groups.delete(group);
  }

  in(group: string): Names {
    const names = this.groups.get(group) ?? noTree;
    if (typeof names === "object") return { size: names.size, from: (first) => names.keys(first) };
    return { size: 1, from: (first) => (names >= first ? [names] : []) };
  }
}

function treeOf(...names: readonly string[]): Tree {
  return new BTree(
    names.map((name) => [name, undefined]),
    byName,
  );
}

const noTree = treeOf();

/** A few names, in an order of their own. */
export function sortedNames(names: { readonly size: number; keys(): Iterable<string> }): Names {
  return { size: names.size, from: (first) => [...names.keys()].filter((name) => name >= first).sort(byName) };
}

/** Those of all groups, each once. Each name is compared once a group, so many groups cost more than a long list. */
export function unitedNames(groups: readonly Names[]): Names {
  const some = groups.filter(({ size }) => size > 0);
  const [only] = some;
  if (only && some.length === 1) return only;
  return {
    size: some.reduce((sum, { size }) => sum + size, 0) * some.length,
    from: (first) => united(some.map((group) => group.from(first)[Symbol.iterator]())),
  };
}

/** How many names there are in all groups together. */
export function countUnited(groups: readonly Names[]): number {
  const some = groups.filter(({ size }) => size > 0);
  const [only] = some;
  if (only && some.length === 1) return only.size;
  const names = new Set<string>();
  for (const group of some) for (const name of group.from("")) names.add(name);
  return names.size;
}

function* united(iterators: readonly Iterator<string>[]): Generator<string> {
  const heads = iterators.map((each) => each.next());
  for (;;) {
    let least: string | undefined;
    for (const { done, value } of heads) if (!done && (least === undefined || value < least)) least = value;
    if (least === undefined) return;
    yield least;
    for (const [i, each] of iterators.entries()) if (heads[i]?.value === least) heads[i] = each.next();
  }
}

/** Of several lists that contain every match, the cheapest to search. */
export function fewest(lists: readonly [Names, ...Names[]]): Names {
  return lists.reduce((least, each) => (each.size < least.size ? each : least));
}
