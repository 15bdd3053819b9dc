// Numbers of interfaces by host or by network, over tables and a layer.
import { layersFrom, sumOf } from "./layer.ts";
import type { Layered } from "./layered-index.ts";
import type { Tables } from "./packed/tables.ts";

/** 0 is absent. */
export interface InterfaceCounts {
  readonly size: number;
  has(name: string): boolean;
  get(name: string): number | undefined;
  /** In the order in which each came above 0, but for those that only a layer has. */
  keys(): Iterable<string>;
}

/** From one end, a host or a network. */
interface End {
  /** Names at the other end. */
  readonly list: (tables: Tables) => Iterable<string>;
  readonly listed: (tables: Tables) => number;
  readonly pair: (name: string) => readonly [host: string, network: string];
}

export function countsOf(source: Layered, end: End): InterfaceCounts {
  const get = (name: string) => interfacesAt(source, ...end.pair(name));
  const keys = () => (source.layer ? keysOf(source, end) : end.list(source.base));
  return {
    get size() {
      return source.layer ? [...keys()].length : end.listed(source.base);
    },
    has: (name) => get(name) > 0,
    get: (name) => get(name) || undefined,
    keys,
  };
}

/** Of VMs on the host, or prepared on it, in the network. */
export function interfacesAt({ base, layer }: Layered, host: string, network: string): number {
  const { pairs, hostPlaces, networkPlaces } = base;
  const below = pairs.interfacesOf(hostPlaces.find(host), networkPlaces.find(network));
  return layer ? below + sumOf(layer, (delta) => delta.pairs.interfacesOf(host, network)) : below;
}

/** First those of the tables, then those that only layers have. */
function* keysOf(source: Layered, { list, pair }: End): Generator<string> {
  const known = new Set<string>();
  for (const tables of [source.base, ...Array.from(layersFrom(source.layer), ({ shown }) => shown)]) {
    for (const name of list(tables)) {
      if (known.has(name) || interfacesAt(source, ...pair(name)) === 0) continue;
      known.add(name);
      yield name;
    }
  }
}

export function* mapped<From, To>(items: Iterable<From>, to: (item: From) => To): Generator<To> {
  for (const item of items) yield to(item);
}
