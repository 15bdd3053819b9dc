// The answers that this host holds, and the entries that follow from them. No I/O: `take` returns operations.
//
// An answer to (VNI, IP) carries two facts, each with its own life: the IP's MAC, and the MAC's place. Several IPs may
// share a MAC; its tunnel and bridge entries go with the last of them.
import type {
  Answer,
  Binding,
  BindingKey,
  IpAddress,
  MacAddress,
  Revision,
  Vni,
  VtepAddress,
} from "../../schema/index.ts";
import { keyText } from "../../schema/index.ts";
import { type Entry, entryKey, type Operation, type Place } from "./entry.ts";
import { asOwn, byKey, plan } from "./plan.ts";

/** Unregistered addresses that are remembered per network; beyond, the longest known is forgotten. */
const maxAbsentPerNetwork = 4_096;

type Location =
  | { readonly kind: "remote"; readonly vtep: VtepAddress; readonly vtepPort: number; readonly router?: true }
  | { readonly kind: "local" };

interface IpFact {
  readonly ip: IpAddress;
  readonly mac: MacAddress;
  readonly revision: Revision;
  /** When the controller last said so. */
  readonly sinceMs: number;
}

interface MacFact {
  readonly mac: MacAddress;
  location: Location;
  revision: Revision;
  /** When the controller last said so. */
  sinceMs: number;
  /** Asked for by itself (l2miss, or local): it stays without an IP that leads to it. */
  asked: boolean;
  readonly ips: Set<IpAddress>;
}

interface Absence {
  readonly key: BindingKey;
  readonly revision: Revision;
  readonly sinceMs: number;
  /** So many times in a row the controller was asked and did not know it. */
  readonly times: number;
  /** The MAC that an IP had before: guests may still hold it when the IP comes back with another. */
  readonly lastMac?: MacAddress;
}

/** What taking answers comes to. */
export interface Taken {
  /** Between what was desired before and what is desired now. */
  readonly operations: readonly Operation[];
  /** IPs whose MAC is another than this host knew: its guests may hold the old one. */
  readonly changedMacs: readonly {
    readonly vni: Vni;
    readonly ip: IpAddress;
    readonly mac: MacAddress;
    readonly router: boolean;
  }[];
}

/** One network's facts. */
class HeldNetwork {
  readonly ips = new Map<IpAddress, IpFact>();
  readonly macs = new Map<MacAddress, MacFact>();
  readonly absent = new Map<string, Absence>();

  constructor(private readonly vni: Vni) {}

  /** The entries that an address of this network should have now. */
  entriesOfMac(mac: MacAddress): Entry[] {
    const fact = this.macs.get(mac);
    if (fact?.location.kind !== "remote") return [];
    const { vni } = this;
    const { vtep, vtepPort, router } = fact.location;
    return [
      { kind: "tunnel", vni, mac, vtep, vtepPort, ...(router ? { router } : {}) },
      { kind: "bridge", vni, mac },
      ...[...fact.ips].map((ip): Entry => ({ kind: "neighbour", vni, ip, mac })),
    ];
  }

  entriesOfIp(ip: IpAddress): Entry[] {
    const fact = this.ips.get(ip);
    return fact ? this.entriesOfMac(fact.mac).filter((entry) => entry.kind !== "neighbour" || entry.ip === ip) : [];
  }

  /** The MACs whose entries an answer may change: the one that the key led to, and the one that it leads to now. */
  touchedBy({ key, binding }: Answer): Set<MacAddress> {
    const before = key.kind === "ip" ? this.ips.get(key.ip)?.mac : key.mac;
    return new Set([before, binding?.mac].filter((mac) => mac !== undefined));
  }

  take(answer: Answer, nowMs: number): void {
    const { key, revision, binding } = answer;
    if (revision < this.revisionOf(key)) return;
    if (binding) this.takeBinding(key, revision, binding, nowMs);
    else this.takeAbsence(key, revision, nowMs);
  }

  private takeBinding(key: BindingKey, revision: Revision, binding: Binding, nowMs: number): void {
    this.absent.delete(keyText(key));
    if (key.kind === "ip") this.pointIp(key.ip, binding.mac, revision, nowMs);
    const fact = this.macs.get(binding.mac) ?? {
      mac: binding.mac,
      location: localHere,
      revision,
      sinceMs: nowMs,
      asked: false,
      ips: new Set(),
    };
    this.macs.set(binding.mac, fact);
    if (key.kind === "ip") fact.ips.add(key.ip);
    else fact.asked = true;
    if (revision < fact.revision) return;
    fact.revision = revision;
    fact.sinceMs = nowMs;
    const { vtep, vtepPort, router, local } = binding;
    fact.location = local ? localHere : { kind: "remote", vtep, vtepPort, ...(router ? { router } : {}) };
  }

  find(key: BindingKey): HeldFact | undefined {
    const ipFact = key.kind === "ip" ? this.ips.get(key.ip) : undefined;
    const mac = key.kind === "ip" ? ipFact?.mac : key.mac;
    const macFact = mac && this.macs.get(mac);
    if (!macFact) {
      const absence = this.absent.get(keyText(key));
      return absence && { kind: "absent", key, revision: absence.revision, sinceMs: absence.sinceMs };
    }
    const revision = ipFact && ipFact.revision > macFact.revision ? ipFact.revision : macFact.revision;
    return { key, mac: macFact.mac, revision, sinceMs: (ipFact ?? macFact).sinceMs, ...macFact.location };
  }

  private revisionOf(key: BindingKey): number {
    const absence = this.absent.get(keyText(key))?.revision ?? 0;
    if (key.kind === "ip") return this.ips.get(key.ip)?.revision ?? absence;
    const fact = this.macs.get(key.mac);
    return fact?.asked ? fact.revision : absence;
  }

  private pointIp(ip: IpAddress, mac: MacAddress, revision: Revision, sinceMs: number): void {
    if (this.ips.get(ip)?.mac !== mac) this.unpointIp(ip);
    this.ips.set(ip, { ip, mac, revision, sinceMs });
  }

  private unpointIp(ip: IpAddress): void {
    const fact = this.ips.get(ip);
    if (!fact) return;
    this.ips.delete(ip);
    const macFact = this.macs.get(fact.mac);
    macFact?.ips.delete(ip);
    if (macFact && macFact.ips.size === 0 && !macFact.asked) this.macs.delete(fact.mac);
  }

  /** The MAC that guests may hold for an IP: the present one, or the last before it was unregistered. */
  knownMacOf(ip: IpAddress): MacAddress | undefined {
    return this.ips.get(ip)?.mac ?? this.absent.get(keyText({ kind: "ip", vni: this.vni, ip }))?.lastMac;
  }

  private takeAbsence(key: BindingKey, revision: Revision, nowMs: number): void {
    const lastMac = key.kind === "ip" ? this.knownMacOf(key.ip) : undefined;
    if (key.kind === "ip") this.unpointIp(key.ip);
    else this.removeMac(key.mac);
    const text = keyText(key);
    const times = (this.absent.get(text)?.times ?? 0) + 1;
    this.absent.delete(text);
    this.absent.set(text, { key, revision, sinceMs: nowMs, times, ...(lastMac ? { lastMac } : {}) });
    const [oldest] = this.absent.keys();
    if (this.absent.size > maxAbsentPerNetwork && oldest !== undefined) this.absent.delete(oldest);
  }

  /** A MAC without a place takes its IPs' neighbours with it: a neighbour without a tunnel is a black hole. */
  private removeMac(mac: MacAddress): void {
    for (const ip of this.macs.get(mac)?.ips ?? []) this.ips.delete(ip);
    this.macs.delete(mac);
  }
}

const localHere: Location = { kind: "local" };

export class HeldAnswers {
  private readonly networks = new Map<Vni, HeldNetwork>();

  /** Takes answers in their order; an answer that is older than what is held is dropped, tombstones included. */
  take(answers: readonly Answer[], nowMs: number): Taken {
    // Every MAC that the answers can touch is named by them or by an IP as it stands now.
    const touched = answers.map((answer) => {
      const network = this.networkOf(answer.key.vni);
      return { network, macs: network.touchedBy(answer) };
    });
    const entries = (): Map<string, Entry> =>
      byKey(touched.flatMap(({ network, macs }) => [...macs].flatMap((mac) => network.entriesOfMac(mac))));
    const before = entries();
    const known = answers.map(({ key }, i) => (key.kind === "ip" ? touched[i]?.network.knownMacOf(key.ip) : undefined));
    answers.forEach((answer, i) => {
      touched[i]?.network.take(answer, nowMs);
    });
    const changedMacs = answers.flatMap(({ key, binding }, i) => {
      if (key.kind !== "ip" || !binding || known[i] === undefined || known[i] === binding.mac) return [];
      if (touched[i]?.network.knownMacOf(key.ip) !== binding.mac) return [];
      return [{ vni: key.vni, ip: key.ip, mac: binding.mac, router: binding.router ?? false }];
    });
    return { operations: plan(entries(), asOwn(before)), changedMacs };
  }

  /** Forgets everything and takes a complete set instead: a snapshot, perhaps of another epoch. */
  replace(answers: readonly Answer[], nowMs: number): void {
    this.networks.clear();
    this.take(answers, nowMs);
  }

  forgetNetwork(vni: Vni): void {
    this.networks.delete(vni);
  }

  /** Everything that the kernel should hold for a network. */
  desired(vni: Vni): Map<string, Entry> {
    const network = this.networks.get(vni);
    return byKey(network ? [...network.macs.keys()].flatMap((mac) => network.entriesOfMac(mac)) : []);
  }

  /** The entry that the kernel should hold at a place, if any. */
  desiredAt(place: Place): Entry | undefined {
    const network = this.networks.get(place.vni);
    const entries = place.kind === "neighbour" ? network?.entriesOfIp(place.ip) : network?.entriesOfMac(place.mac);
    return entries?.find((entry) => entryKey(entry) === entryKey(place));
  }

  /** How much of a key this host knows already, and so need not ask. */
  lookUp(key: BindingKey, nowMs: number): Knowledge {
    const network = this.networks.get(key.vni);
    if (!network) return { kind: "nothing" };
    const fact = network.macs.get((key.kind === "ip" ? network.ips.get(key.ip)?.mac : key.mac) as MacAddress);
    if (fact?.location.kind === "local") return { kind: "local" };
    if (fact) {
      return {
        kind: "remote",
        entries: key.kind === "ip" ? network.entriesOfIp(key.ip) : network.entriesOfMac(key.mac),
      };
    }
    const absence = network.absent.get(keyText(key));
    return absence ? { kind: "absent", forMs: nowMs - absence.sinceMs, times: absence.times } : { kind: "nothing" };
  }

  /** What is held of one address, for whoever looks: a MAC also where only an IP led to it. */
  find(key: BindingKey): HeldFact | undefined {
    return this.networks.get(key.vni)?.find(key);
  }

  /** What this host's interest is: every key held, known, local or absent. */
  keys(): BindingKey[] {
    return [...this.networks].flatMap(([vni, network]) => [
      ...[...network.ips.keys()].map((ip): BindingKey => ({ kind: "ip", vni, ip })),
      ...[...network.macs.values()]
        .filter((fact) => fact.asked)
        .map(({ mac }): BindingKey => ({ kind: "mac", vni, mac })),
      ...[...network.absent.values()].map(({ key }) => key),
    ]);
  }

  private networkOf(vni: Vni): HeldNetwork {
    const network = this.networks.get(vni) ?? new HeldNetwork(vni);
    this.networks.set(vni, network);
    return network;
  }
}

/** One address as it is held. */
export type HeldFact = {
  readonly key: BindingKey;
  readonly revision: Revision;
  /** When the controller last said so. */
  readonly sinceMs: number;
} & ((Location & { readonly mac: MacAddress }) | { readonly kind: "absent" });

export type Knowledge =
  | { readonly kind: "nothing" }
  /** The VM runs on this host: the bridge delivers, and the tunnel must never answer for it. */
  | { readonly kind: "local" }
  | { readonly kind: "remote"; readonly entries: readonly Entry[] }
  /** The controller said that nothing is registered there, so long ago and so many times in a row. */
  | { readonly kind: "absent"; readonly forMs: number; readonly times: number };
