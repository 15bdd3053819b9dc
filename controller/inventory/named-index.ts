// Resources by name: looked up in constant time, and read in order of their names from any name on.
import sortedBtree from "sorted-btree";

const { default: BTree } = sortedBtree;

export class NamedIndex<T extends { readonly name: string }> {
  private readonly byName = new Map<string, T>();
  private readonly ordered = new BTree<string, T>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));

  get size(): number {
    return this.byName.size;
  }

  get(name: string): T | undefined {
    return this.byName.get(name);
  }

  set(resource: T): void {
    this.byName.set(resource.name, resource);
    this.ordered.set(resource.name, resource);
  }

  delete(name: string): void {
    this.byName.delete(name);
    this.ordered.delete(name);
  }

  list(): T[] {
    return this.ordered.valuesArray();
  }

  /** Those whose name is `name` or comes behind it. */
  *from(name: string): Generator<T> {
    for (const [, resource] of this.ordered.entries(name)) yield resource;
  }
}
