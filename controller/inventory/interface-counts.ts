// Numbers of interfaces by host or by network, over tables and a layer.
import type { Layer } from "./layer.ts";
import type { Layered } from "./layered-index.ts";
import type { Tables } from "./packed/tables.ts";

/** 0 is absent. */
export interface InterfaceCounts {
  readonly size: number;
  has(name: string): boolean;
  get(name: string): number | undefined;
  /** In the order in which each came above 0. */
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
  const keys = () => (source.layer ? keysOf(source, source.layer, end) : end.list(source.base));
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
  return interfacesOf(base, host, network) + (layer?.delta.pairs.interfacesOf(host, network) ?? 0);
}

function interfacesOf({ pairs, hostPlaces, networkPlaces }: Tables, host: string, network: string): number {
  return pairs.interfacesOf(hostPlaces.find(host), networkPlaces.find(network));
}

/** Those with interfaces that are not hidden stay in their order; the others follow in that of the layer. */
function* keysOf(source: Layered, { shown }: Layer, { list, pair }: End): Generator<string> {
  const isVisibleBelow = (name: string) => interfacesAt(source, ...pair(name)) > interfacesOf(shown, ...pair(name));
  for (const name of list(source.base)) if (isVisibleBelow(name)) yield name;
  for (const name of list(shown)) if (!isVisibleBelow(name)) yield name;
}

export function* mapped<From, To>(items: Iterable<From>, to: (item: From) => To): Generator<To> {
  for (const item of items) yield to(item);
}
