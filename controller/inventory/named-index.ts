// Resources by name: looked up in constant time, read in order of names from any name on, and found by label.
import sortedBtree from "sorted-btree";
import { byName, NameGroups, type Names } from "./names.ts";

const { default: BTree } = sortedBtree;

export type Labels = Readonly<Record<string, string>>;
const noLabels: Labels = {};

export interface Labelled {
  readonly name: string;
  readonly labels: Labels;
}

/** Resources of one kind. */
export interface ResourceIndex<T> extends Names {
  get(name: string): T | undefined;
  /** All, in order of names. */
  list(): T[];
  /** As `from`, with the resources. */
  entries(name: string): Iterable<readonly [name: string, resource: T]>;
  /** Those with the label, with any value if none is given. */
  labelled(key: string, value?: string): Names;
}

export class NamedIndex<T extends Labelled> implements ResourceIndex<T> {
  private readonly byName = new Map<string, T>();
  private readonly ordered = new BTree<string, T>(undefined, byName);
  private readonly byLabel = new NameGroups();

  get size(): number {
    return this.byName.size;
  }

  get(name: string): T | undefined {
    return this.byName.get(name);
  }

  set(resource: T): void {
    const { name, labels } = resource;
    this.relabel(name, this.byName.get(name)?.labels, labels);
    this.byName.set(name, resource);
    this.ordered.set(name, resource);
  }

  delete(name: string): void {
    this.relabel(name, this.byName.get(name)?.labels, noLabels);
    this.byName.delete(name);
    this.ordered.delete(name);
  }

  list(): T[] {
    return this.ordered.valuesArray();
  }

  from(name: string): Iterable<string> {
    return this.ordered.keys(name);
  }

  entries(name: string): Iterable<[name: string, resource: T]> {
    return this.ordered.entries(name);
  }

  labelled(key: string, value?: string): Names {
    return this.byLabel.in(labelGroup(key, value));
  }

  private relabel(name: string, before: Labels | undefined, after: Labels): void {
    const { left, joined } = labelGroupChanges(before, after);
    for (const group of left) this.byLabel.delete(group, name);
    for (const group of joined) this.byLabel.add(group, name);
  }
}

/** The group of those with the label, with any value if none is given. No key has "=" in it. */
export function labelGroup(key: string, value?: string): string {
  return value === undefined ? key : `${key}=${value}`;
}

interface LabelGroupChanges {
  readonly left: readonly string[];
  readonly joined: readonly string[];
}

const sameGroups: LabelGroupChanges = { left: [], joined: [] };

/** Only differences: most changes leave labels alone. */
export function labelGroupChanges(before: Labels = noLabels, after: Labels = noLabels): LabelGroupChanges {
  if (before === after) return sameGroups;
  const changes: { left: string[]; joined: string[] } = { left: [], joined: [] };
  for (const [key, value] of Object.entries(before)) {
    if (after[key] === value) continue;
    changes.left.push(labelGroup(key, value));
    if (!Object.hasOwn(after, key)) changes.left.push(labelGroup(key));
  }
  for (const [key, value] of Object.entries(after)) {
    if (before[key] === value) continue;
    changes.joined.push(labelGroup(key, value), labelGroup(key));
  }
  return changes;
}
