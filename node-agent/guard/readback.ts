// Parses the output of `nft -j list table` for the agent's table.
import { parse } from "secure-json-parse";
import { maxVni, parseVni, type Vni } from "../../schema/address/index.ts";

export interface ReadTable {
  /** The rules and sets of the kernel, without volatile values: equal text means equal rules. */
  readonly fingerprint: string;
  /** Elements by set. */
  readonly sizes: ReadonlyMap<string, number>;
  /** By port: the network that it was guarded for, if it was recorded. */
  readonly guarded: ReadonlyMap<string, Vni | undefined>;
  /** Frames, by the reason that a counter's name gives behind `dropped_`. */
  readonly dropped: ReadonlyMap<string, number>;
  /** Frames dropped lately, by port. */
  readonly offenders: ReadonlyMap<string, number>;
}

interface Listed {
  readonly set?: { readonly name: string; readonly elem?: readonly unknown[]; readonly [field: string]: unknown };
  readonly counter?: { readonly name: string; readonly packets: number };
  readonly chain?: { readonly [field: string]: unknown };
  readonly rule?: { readonly [field: string]: unknown };
}

/** Sets that frames fill. */
const isDynamic = (set: string): boolean => /^(?:talk|offenders)(?:_\d+)?$/.test(set);

/** @throws SyntaxError where it is no JSON of nft's */
export function readTable(json: string): ReadTable {
  const { nftables } = parse(json) as { nftables: readonly Listed[] };
  const sets = nftables.flatMap(({ set }) => (set ? [set] : []));
  const elements = (name: string): readonly unknown[] => sets.find((set) => set.name === name)?.elem ?? [];
  const counters = nftables.flatMap(({ counter }) => (counter ? [counter] : []));
  const lasting = nftables.flatMap(({ set, chain, rule }): unknown[] => {
    if (set) return [withLastingElements(set)];
    return chain ? [chain] : rule ? [rule] : [];
  });
  return {
    fingerprint: JSON.stringify(lasting, (key, value: unknown) => (key === "handle" ? undefined : value)),
    sizes: new Map(sets.map(({ name, elem = [] }) => [name, elem.length])),
    guarded: new Map(elements("guarded").flatMap(guardedPort)),
    dropped: new Map(counters.map(({ name, packets }) => [name.replace(/^dropped_/, ""), packets])),
    offenders: new Map(elements("offenders").flatMap(offender)),
  };
}

/** As the last field: nft lists a set without elements in another order of fields than one with some. */
function withLastingElements({ elem = [], ...set }: NonNullable<Listed["set"]>): object {
  return { ...set, elem: isDynamic(set.name) ? [] : sorted(elem) };
}

const sorted = (elements: readonly unknown[]): unknown[] =>
  elements.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

function guardedPort(element: unknown): [string, Vni | undefined][] {
  if (typeof element === "string") return [[element, undefined]];
  const { elem } = element as { elem?: { val?: unknown; comment?: unknown } };
  if (typeof elem?.val !== "string") return [];
  const vni = Number(elem.comment);
  return [[elem.val, Number.isInteger(vni) && vni >= 1 && vni <= maxVni ? parseVni(vni) : undefined]];
}

function offender(element: unknown): [string, number][] {
  const { elem } = element as { elem?: { val?: unknown; counter?: { packets?: unknown } } };
  const packets = elem?.counter?.packets;
  return typeof elem?.val === "string" && typeof packets === "number" ? [[elem.val, packets]] : [];
}
