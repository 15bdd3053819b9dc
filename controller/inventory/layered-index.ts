// Names and resources of tables with a layer over them, in one order.
import type { ResourceKind } from "../../schema/events/index.ts";
import type { Layer } from "./layer.ts";
import type { Labelled, ResourceIndex } from "./named-index.ts";
import type { Names } from "./names.ts";
import type { Tables } from "./packed/tables.ts";

/** What is read, as it is at each step of a reader. */
export interface Layered {
  readonly base: Tables;
  readonly layer: Layer | undefined;
}

/**
 * Readers may pause: each step goes on behind the last name, whatever changed in between.
 * @param pick the list, in the tables and in those of the layer
 */
export function layeredNames(source: Layered, kind: ResourceKind, pick: (tables: Tables) => Names): Names {
  return {
    get size() {
      const { base, layer } = source;
      return pick(base).size + (layer ? pick(layer.shown).size : 0);
    },
    from: (name) => namesFrom(source, kind, pick, name),
  };
}

export class LayeredIndex<T extends Labelled> implements ResourceIndex<T> {
  constructor(
    private readonly source: Layered,
    private readonly kind: ResourceKind,
    private readonly pick: (tables: Tables) => ResourceIndex<T>,
  ) {}

  get size(): number {
    const { base, layer } = this.source;
    return this.pick(base).size + (layer?.delta.resources[this.kind] ?? 0);
  }

  get(name: string): T | undefined {
    const { base, layer } = this.source;
    return this.pick(layer?.hides(this.kind, name) ? layer.shown : base).get(name);
  }

  list(): T[] {
    return this.source.layer ? [...this.values()] : this.pick(this.source.base).list();
  }

  /** The resources as they are when they are read. */
  *values(): Generator<T> {
    for (const [, resource] of this.entries("")) yield resource;
  }

  from(name: string): Iterable<string> {
    return namesFrom(this.source, this.kind, this.pick, name);
  }

  *entries(first: string): Generator<readonly [name: string, resource: T]> {
    for (const name of this.from(first)) {
      const resource = this.get(name);
      if (resource) yield [name, resource];
    }
  }

  labelled(key: string, value?: string): Names {
    return layeredNames(this.source, this.kind, (tables) => this.pick(tables).labelled(key, value));
  }
}

function* namesFrom(
  source: Layered,
  kind: ResourceKind,
  pick: (tables: Tables) => Names,
  first: string,
): Generator<string> {
  let last: string | undefined;
  for (let isDone = false; !isDone; ) {
    const { base, layer } = source;
    const [below, above] = [base.version, layer?.shown.version];
    isDone = true;
    for (const name of merged(layer, kind, pick, { base, first: last ?? first })) {
      if (name === last) continue;
      last = name;
      yield name;
      isDone = source.layer === layer && base.version === below && layer?.shown.version === above;
      if (!isDone) break;
    }
  }
}

function* merged(
  layer: Layer | undefined,
  kind: ResourceKind,
  pick: (tables: Tables) => Names,
  { base, first }: { readonly base: Tables; readonly first: string },
): Generator<string> {
  if (!layer) return yield* pick(base).from(first);
  const iterator = pick(layer.shown).from(first)[Symbol.iterator]();
  let next = iterator.next();
  // Rows are left out by their ids: a change set that arrives may have a million of them.
  for (const name of pick(base).from(first, (id) => layer.hidesVm(id))) {
    if (kind !== "vm" && layer.hides(kind, name)) continue;
    for (; !next.done && next.value < name; next = iterator.next()) yield next.value;
    yield name;
  }
  for (; !next.done; next = iterator.next()) yield next.value;
}
