// Resources by name: looked up in constant time, read in order of names from any name on, and found by label.
import sortedBtree from "sorted-btree";
import { byName, NameGroups, type Names } from "./names.ts";

const { default: BTree } = sortedBtree;

type Labels = Readonly<Record<string, string>>;
const noLabels: Labels = {};

export interface Labelled {
  readonly name: string;
  readonly labels: Labels;
}

export class NamedIndex<T extends Labelled> implements Names {
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

  /** As `from`, with the resources. */
  entries(name: string): Iterable<[name: string, resource: T]> {
    return this.ordered.entries(name);
  }

  /** Those with the label, with any value if none is given. */
  labelled(key: string, value?: string): Names {
    return this.byLabel.in(value === undefined ? key : labelText(key, value));
  }

  /** The current resources, sorted by name. The cost grows with the changes since the last read. */
  snapshot(): Iterable<T> {
    return this.ordered.clone().values();
  }

  /** Only differences are applied: most changes leave labels alone. */
  private relabel(name: string, before: Labels = noLabels, after: Labels): void {
    if (before === after) return;
    for (const [key, value] of Object.entries(before)) {
      if (after[key] === value) continue;
      this.byLabel.delete(labelText(key, value), name);
      if (!Object.hasOwn(after, key)) this.byLabel.delete(key, name);
    }
    for (const [key, value] of Object.entries(after)) {
      if (before[key] === value) continue;
      this.byLabel.add(labelText(key, value), name);
      this.byLabel.add(key, name);
    }
  }
}

/** No key has "=" in it. */
function labelText(key: string, value: string): string {
  return `${key}=${value}`;
}
