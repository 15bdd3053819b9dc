// Look-ups in the inventory, and in a plain Map of objects with the same answers, in turns.
//   node look-ups.js <vms> <rounds>   prints a `LookUpReport`

import { answerFor } from "../../../controller/inventory/bindings.ts";
import { CommittedInventory } from "../../../controller/inventory/committed-inventory.ts";
import {
  type Answer,
  type BindingKey,
  keyText,
  type MacAddress,
  parseIp,
  parseMac,
  parseRevision,
  type Revision,
} from "../../../schema/address/index.ts";
import type { Host, Network } from "../../../schema/rest/index.ts";
import { median } from "../../statistics.ts";
import { resourcesOf } from "./fleet.ts";

export interface LookUpReport {
  /** A CPU second, medians. */
  readonly packed: number;
  readonly map: number;
}

/** Of one round; each is another text, as it is when it comes in a frame. */
const questions = 50_000;

interface Asked {
  readonly host: string;
  readonly key: BindingKey;
}

/** What a plain Map has of an address. */
interface Entry {
  readonly mac: MacAddress;
  readonly host: Host;
  readonly network: Network;
  readonly revision: Revision;
}

const [vms = 0, rounds = 0] = process.argv.slice(2).map(Number);
const inventory = new CommittedInventory();
const map = new Map<string, Entry>();
const known = new Map<string, Set<number>>();
const asked: Asked[] = [];
const asOf = parseRevision(1);
const step = Math.max(1, Math.floor((3 * vms) / questions));
let n = 0;
for (const change of resourcesOf(vms)) {
  inventory.fill(change);
  if (change.kind !== "vm" || !change.after) continue;
  const host = inventory.findHost(change.after.host);
  for (const { network: name, mac, ips } of change.after.interfaces) {
    const network = inventory.findNetwork(name);
    if (!network || !host) continue;
    const { vni } = network;
    known.set(host.name, (known.get(host.name) ?? new Set()).add(vni));
    const keys: BindingKey[] = [{ kind: "mac", vni, mac }, ...ips.map((ip): BindingKey => ({ kind: "ip", vni, ip }))];
    for (const key of keys) {
      map.set(keyText(key), { mac, host, network, revision: change.after.revision });
      if (n++ % step === 0) asked.push({ host: host.name, key });
    }
  }
}
// In no order: neighbours in memory are not asked for one after the other.
for (let i = asked.length - 1; i > 0; i--) {
  const other = (i * 7_919) % (i + 1);
  [asked[i], asked[other]] = [asked[other] as Asked, asked[i] as Asked];
}
const texts = asked.map((each) => JSON.stringify(each));

/** @returns look-ups in a CPU second */
function measure(find: (asked: Asked) => Answer | undefined): number {
  const fresh = texts.map(parsed);
  const startedAt = process.cpuUsage();
  for (const each of fresh) if (!find(each)?.binding) throw new Error(`nothing at ${keyText(each.key)}`);
  const { user, system } = process.cpuUsage(startedAt);
  return fresh.length / ((user + system) / 1e6);
}

/** As `answerFor`. */
function answerOfMap({ host: asking, key }: Asked): Answer | undefined {
  const found = known.get(asking)?.has(key.vni) ? map.get(keyText(key)) : undefined;
  if (!found) return undefined;
  const { mac, host, network } = found;
  const local = host.name === asking;
  const revision = Math.max(found.revision, host.revision, network.revision) as Revision;
  return {
    key,
    revision,
    binding: { mac, host: host.name, vtep: host.vtep, vtepPort: host.port, ...(local ? { local } : {}) },
  };
}

function parsed(text: string): Asked {
  const { host, key } = JSON.parse(text);
  return { host, key: key.kind === "ip" ? { ...key, ip: parseIp(key.ip) } : { ...key, mac: parseMac(key.mac) } };
}

const packedTurns: number[] = [];
const mapTurns: number[] = [];
for (let round = 0; round < rounds + 2; round++) {
  const turn = [measure(({ host, key }) => answerFor(inventory, host, key, asOf)), measure(answerOfMap)] as const;
  // The first turns run code that is not compiled yet.
  if (round < 2) continue;
  packedTurns.push(turn[0]);
  mapTurns.push(turn[1]);
}
const report: LookUpReport = { packed: Math.round(median(packedTurns)), map: Math.round(median(mapTurns)) };
process.stdout.write(JSON.stringify(report));
