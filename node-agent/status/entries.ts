// The entries of a status report: held answers by network, collected without delaying a miss.
import { setImmediate } from "node:timers/promises";
import { addressOf, type Vni } from "../../schema/address/index.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { HeldFact } from "../tables/held-network.ts";

/** About 2 ms. */
const keysPerTurn = 2_048;

export interface EntriesReport {
  readonly held: { readonly remote: number; readonly local: number; readonly unknown: number };
  /** At most the requested number, in the order remote, local, unknown. */
  readonly entries: readonly EntryReport[];
}

export interface EntryReport {
  readonly key: string;
  readonly kind: "remote" | "local" | "unknown";
  readonly mac?: string;
  readonly vtep?: string;
  readonly port?: number;
  readonly router?: true;
  readonly revision: number;
  /** Since the controller last sent it. */
  readonly ageMs: number;
}

/** With pauses: at the limits this takes a tenth of a second, and must not delay a miss. */
export async function factsByNetwork(held: HeldAnswers): Promise<Map<Vni, HeldFact[]>> {
  const facts = new Map<Vni, HeldFact[]>();
  let sincePause = 0;
  for (const key of held.keys()) {
    if (++sincePause % keysPerTurn === 0) await setImmediate();
    const fact = held.find(key);
    if (!fact) continue;
    const list = facts.get(key.vni);
    if (list) list.push(fact);
    else facts.set(key.vni, [fact]);
  }
  return facts;
}

/** Counts all, and describes the first `most`. */
export function describeEntries(facts: readonly HeldFact[], most: number, nowMs: number): EntriesReport {
  const of = (kind: HeldFact["kind"]): HeldFact[] => facts.filter((fact) => fact.kind === kind);
  const [remote, local, absent] = [of("remote"), of("local"), of("absent")] as const;
  const counted = { remote: remote.length, local: local.length, unknown: absent.length };
  const shown = [remote, local, absent].flatMap((each) => each.slice(0, most)).slice(0, most);
  return { held: counted, entries: shown.map((fact) => describeEntry(fact, nowMs)) };
}

function describeEntry(fact: HeldFact, nowMs: number): EntryReport {
  const rest = { revision: fact.revision, ageMs: whole(nowMs - fact.sinceMs) };
  const key = addressOf(fact.key);
  if (fact.kind === "absent") return { key, kind: "unknown", ...rest };
  if (fact.kind === "local") return { key, kind: "local", mac: fact.mac, ...rest };
  const { mac, vtep, vtepPort, router } = fact;
  return { key, kind: "remote", mac, vtep, port: vtepPort, ...(router ? { router } : {}), ...rest };
}

const whole = (ms: number): number => Math.round(ms);
