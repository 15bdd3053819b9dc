// Names and resources of tables with a layer over them, in one order.
import type { ResourceKind } from "../../schema/events/index.ts";
import { hidesAbove, hidesRow, type Layer, layersFrom, sumOf } from "./layer.ts";
import type { Labelled, ResourceIndex } from "./named-index.ts";
import type { Names } from "./names.ts";
import type { Tables } from "./packed/tables.ts";

/** What is read, as it is at each step of a reader. */
export interface Layered {
  readonly base: Tables;
  readonly layer: Layer | undefined;
}

/** The tables with the resource, if it is there. */
export function tablesWith({ base, layer: top }: Layered, kind: ResourceKind, name: string): Tables {
  for (let layer = top; layer; layer = layer.next) if (layer.hides(kind, name)) return layer.shown;
  return base;
}

/**
 * Readers may pause: each step goes on behind the last name, whatever changed in between.
 * @param pick the list, in the tables and in those of the layer
 */
export function layeredNames(source: Layered, kind: ResourceKind, pick: (tables: Tables) => Names): Names {
  return {
    get size() {
      let size = pick(source.base).size;
      for (const { shown } of layersFrom(source.layer)) size += pick(shown).size;
      return size;
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
    return this.pick(base).size + sumOf(layer, ({ resources }) => resources[this.kind]);
  }

  get(name: string): T | undefined {
    return this.pick(tablesWith(this.source, this.kind, name)).get(name);
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
    const [next, below, above] = [layer?.next, base.version, versionOf(layer)];
    isDone = true;
    for (const name of merged(layer, kind, pick, { base, first: last ?? first })) {
      if (name === last) continue;
      last = name;
      yield name;
      isDone = source.layer === layer && layer?.next === next && base.version === below && versionOf(layer) === above;
      if (!isDone) break;
    }
  }
}

function versionOf(top: Layer | undefined): number {
  let version = 0;
  for (let layer = top; layer; layer = layer.next) version += layer.shown.version;
  return version;
}

function merged(
  top: Layer | undefined,
  kind: ResourceKind,
  pick: (tables: Tables) => Names,
  { base, first }: { readonly base: Tables; readonly first: string },
): Iterable<string> {
  if (!top) return pick(base).from(first);
  // Rows are left out by their ids: a change set that arrives may have a million of them.
  const below = pick(base).from(first, (id) => hidesRow(top, id));
  return inOrder(kind === "vm" ? below : unhidden(below, top, undefined, kind), namesAbove(top, kind, pick, first));
}

function namesAbove(top: Layer, kind: ResourceKind, pick: (tables: Tables) => Names, first: string): Iterable<string> {
  let names = pick(top.shown).from(first);
  for (const layer of layersFrom(top.next)) {
    names = inOrder(names, unhidden(pick(layer.shown).from(first), top, layer, kind));
  }
  return names;
}

function* unhidden(
  names: Iterable<string>,
  top: Layer,
  end: Layer | undefined,
  kind: ResourceKind,
): Generator<string, void, void> {
  for (const name of names) if (!hidesAbove(top, end, kind, name)) yield name;
}

/** Of two lists in order, one. */
function* inOrder(some: Iterable<string>, others: Iterable<string>): Generator<string, void, void> {
  const iterator = others[Symbol.iterator]();
  let next = iterator.next();
  for (const name of some) {
    for (; !next.done && next.value < name; next = iterator.next()) yield next.value;
    yield name;
  }
  for (; !next.done; next = iterator.next()) yield next.value;
}
