// The answers that this host holds of one network. No I/O.
//
// An answer to (VNI, IP) carries two facts, each with its own life: the IP's MAC, and the MAC's location. Several IPs may
// share a MAC; its tunnel and bridge entries go with the last of them.
import {
  type Answer,
  type Binding,
  type BindingKey,
  type IpAddress,
  keyText,
  type MacAddress,
  type Revision,
  type Subnet,
  type Vni,
  type VtepAddress,
} from "../../schema/address/index.ts";
import { LastUse } from "./ageing.ts";
import type { Entry, Place, TunnelEntry } from "./entry.ts";

/** Maximum of unregistered addresses that are cached per network; beyond, the oldest is evicted. */
export const maxAbsentPerNetwork = 4_096;

interface RemoteLocation {
  readonly kind: "remote";
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
  readonly router?: true;
}

type Location = RemoteLocation | ({ readonly kind: "local" } & GuestPlace);

/** Where a VM of this host is attached. */
interface GuestPlace {
  /** Of the bridge, where it is registered. */
  readonly port?: string;
  /** Addresses that it may take at the port, and prefixes that it may send from. */
  readonly allowed?: readonly (IpAddress | Subnet)[];
}

/** A VM's interface on this host. */
export interface LocalGuest extends GuestPlace {
  readonly mac: MacAddress;
}

export interface AddressedGuest extends LocalGuest {
  readonly ips: readonly IpAddress[];
}

interface IpFact {
  readonly ip: IpAddress;
  readonly mac: MacAddress;
  readonly revision: Revision;
  /** When the controller last sent it. */
  readonly sinceMs: number;
}

interface MacFact {
  readonly mac: MacAddress;
  location: Location;
  revision: Revision;
  /** When the controller last sent it. */
  sinceMs: number;
  /** Queried as a MAC (l2miss), or sent without an IP: it stays even if no IP leads to it. */
  asked: boolean;
  /** In the order of their queries. */
  readonly ips: Set<IpAddress>;
}

interface Absence {
  readonly key: BindingKey;
  readonly revision: Revision;
  readonly sinceMs: number;
  /** Number of queries in a row that the controller answered as unknown. */
  readonly times: number;
  /** The former MAC of an IP: guests may still have it in their caches when the IP returns with another one. */
  readonly lastMac?: MacAddress;
}

export type Knowledge =
  | { readonly kind: "nothing" }
  /** The VM runs on this host: the bridge delivers, and the tunnel must never answer for it. */
  | { readonly kind: "local" }
  | { readonly kind: "remote"; readonly entries: readonly Entry[] }
  /** The controller answered that nothing is registered there, with the age and the number of such answers in a row. */
  | { readonly kind: "absent"; readonly forMs: number; readonly times: number };

/** The held answer for one address. */
export type HeldFact = {
  readonly key: BindingKey;
  readonly revision: Revision;
  /** When the controller last sent it. */
  readonly sinceMs: number;
} & ((Location & { readonly mac: MacAddress }) | { readonly kind: "absent" });

/** The reason of an answer: a guest's query, a change pushed by the controller, or a seed. */
export type Occasion = "asked" | "told";

const localHere: Location = { kind: "local" };

export class HeldNetwork {
  readonly lastUse = new LastUse();
  private readonly ips = new Map<IpAddress, IpFact>();
  private readonly macs = new Map<MacAddress, MacFact>();
  private readonly absent = new Map<string, Absence>();
  private readonly local = new Map<MacAddress, GuestPlace>();
  /** Of IPs that were removed with their MAC: guests may still have it, and the IP may return with another one. */
  private readonly formerMacs = new Map<IpAddress, MacAddress>();
  private remote = 0;
  private readonly vtepUses = new Map<VtepAddress, number>();

  /** @param onVteps the first VM behind a tunnel end came, or the last one left */
  constructor(
    readonly vni: Vni,
    private readonly onVteps: (vni: Vni) => void = () => {},
  ) {}

  /** The tunnel ends of the remote VMs. */
  get vteps(): VtepAddress[] {
    return [...this.vtepUses.keys()];
  }

  /** Number of addresses of remote VMs, which the limits apply to. */
  get size(): number {
    return this.remote;
  }

  /** All desired entries of the network, each as of the moment of its iteration; entries added during it may be left out. */
  *entries(): Generator<Entry, void> {
    for (const mac of this.macs.keys()) yield* this.entriesOfMac(mac);
  }

  /** The VMs' interfaces that are registered on this host. */
  locals(): AddressedGuest[] {
    return [...this.local].map(([mac, place]) => ({ mac, ips: [...(this.macs.get(mac)?.ips ?? [])], ...place }));
  }

  /** The entries that an address of this network should have now. */
  entriesOfMac(mac: MacAddress): Entry[] {
    const fact = this.macs.get(mac);
    if (fact?.location.kind !== "remote") return [];
    const { vni } = this;
    return [
      tunnelEntry(vni, mac, fact.location),
      { kind: "bridge", vni, mac },
      ...[...fact.ips].map((ip): Entry => ({ kind: "neighbour", vni, ip, mac })),
    ];
  }

  /** The entry that the network should have at a place now, if any. */
  entryAt(place: Place): Entry | undefined {
    const { vni } = this;
    if (place.kind === "broadcast") return undefined;
    const mac = place.kind === "neighbour" ? this.ips.get(place.ip)?.mac : place.mac;
    const fact = mac && this.macs.get(mac);
    if (fact?.location.kind !== "remote") return undefined;
    if (place.kind === "neighbour") return { kind: "neighbour", vni, ip: place.ip, mac: fact.mac };
    return place.kind === "tunnel" ? tunnelEntry(vni, fact.mac, fact.location) : { kind: "bridge", vni, mac: fact.mac };
  }

  entriesOfIp(ip: IpAddress): Entry[] {
    const fact = this.ips.get(ip);
    return fact ? this.entriesOfMac(fact.mac).filter((entry) => entry.kind !== "neighbour" || entry.ip === ip) : [];
  }

  lookUp(key: BindingKey, nowMs: number): Knowledge {
    const mac = key.kind === "ip" ? this.ips.get(key.ip)?.mac : key.mac;
    const fact = mac && this.macs.get(mac);
    if (fact?.location.kind === "local") return { kind: "local" };
    if (fact) {
      const entries = key.kind === "ip" ? this.entriesOfIp(key.ip) : this.entriesOfMac(key.mac);
      return { kind: "remote", entries };
    }
    const absence = this.absent.get(keyText(key));
    return absence ? { kind: "absent", forMs: nowMs - absence.sinceMs, times: absence.times } : { kind: "nothing" };
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

  /** Known in any way: as a key, as the MAC behind an IP, or as absent. */
  holds(key: BindingKey): boolean {
    return (key.kind === "ip" ? this.ips.has(key.ip) : this.macs.has(key.mac)) || this.absent.has(keyText(key));
  }

  /** Every key that is held, known, local or absent. */
  keys(): BindingKey[] {
    const { vni } = this;
    return [
      ...[...this.ips.keys()].map((ip): BindingKey => ({ kind: "ip", vni, ip })),
      ...[...this.macs.values()].filter((fact) => fact.asked).map(({ mac }): BindingKey => ({ kind: "mac", vni, mac })),
      ...[...this.absent.values()].map(({ key }) => key),
    ];
  }

  /** The MAC that guests may have for an IP: the current one, or the last before it was unregistered. */
  knownMacOf(ip: IpAddress): MacAddress | undefined {
    const absent = this.absent.get(keyText({ kind: "ip", vni: this.vni, ip }));
    return this.ips.get(ip)?.mac ?? absent?.lastMac ?? this.formerMacs.get(ip);
  }

  /** The MACs whose entries an answer may change: the former and the new one of the key. */
  touchedBy({ key, binding }: Answer): Set<MacAddress> {
    const before = key.kind === "ip" ? this.ips.get(key.ip)?.mac : key.mac;
    return new Set([before, binding?.mac].filter((mac) => mac !== undefined));
  }

  /** Maximum of remote addresses that this answer adds. */
  roomFor({ key, binding }: Answer): number {
    if (!binding || binding.local || this.holds(key)) return 0;
    return key.kind === "mac" || this.isRemote(binding.mac) ? 1 : 2;
  }

  /** @returns false for an answer that is older than the held one: it is dropped, tombstones included */
  take(answer: Answer, occasion: Occasion, nowMs: number): boolean {
    const { key, revision, binding } = answer;
    if (revision < this.revisionOf(key)) return false;
    this.changing(this.touchedBy(answer), () => {
      if (binding) this.takeBinding(answer, binding, occasion, nowMs);
      else this.takeAbsence(key, revision, nowMs);
    });
    for (const mac of this.touchedBy(answer)) {
      const news = !this.lastUse.has(mac) || (occasion === "asked" && mac === binding?.mac);
      if (news && this.isRemote(mac)) this.lastUse.touch(mac, nowMs);
    }
    return true;
  }

  /** Evicts a MAC with all IPs that lead to it. @returns the keys in which the host has no interest any more */
  evictMac(mac: MacAddress): BindingKey[] {
    const { vni } = this;
    const ips = [...(this.macs.get(mac)?.ips ?? [])];
    this.changing([mac], () => this.removeMac(mac));
    return [...ips.map((ip): BindingKey => ({ kind: "ip", vni, ip })), { kind: "mac", vni, mac }];
  }

  /** Evicts one address: the oldest IP of the MAC, or the MAC itself with its last IP. */
  evictOne(mac: MacAddress): BindingKey[] {
    const { vni } = this;
    const [ip, another] = this.macs.get(mac)?.ips ?? [];
    if (ip === undefined || another === undefined) return this.evictMac(mac);
    this.changing([mac], () => this.unpointIp(ip));
    return [{ kind: "ip", vni, ip }];
  }

  /** Updates `size`, `lastUse` and `local` for a change of these MACs. */
  private changing(macs: Iterable<MacAddress>, change: () => void): void {
    const touched = [...macs];
    const before = this.weigh(touched);
    const vteps = this.vtepUses.size === 0 ? [] : touched.map((mac) => this.vtepOf(mac));
    change();
    this.remote += this.weigh(touched) - before;
    this.countVteps(
      vteps,
      touched.map((mac) => this.vtepOf(mac)),
    );
    for (const mac of touched) {
      if (!this.isRemote(mac)) this.lastUse.forget(mac);
      const location = this.macs.get(mac)?.location;
      if (location?.kind !== "local") this.local.delete(mac);
      else this.local.set(mac, placeOf(location));
    }
  }

  private vtepOf(mac: MacAddress): VtepAddress | undefined {
    const location = this.macs.get(mac)?.location;
    return location?.kind === "remote" ? location.vtep : undefined;
  }

  private countVteps(before: readonly (VtepAddress | undefined)[], now: readonly (VtepAddress | undefined)[]): void {
    let changed = false;
    const count = (vtep: VtepAddress, by: 1 | -1): void => {
      const uses = (this.vtepUses.get(vtep) ?? 0) + by;
      if (uses > 0) this.vtepUses.set(vtep, uses);
      else this.vtepUses.delete(vtep);
      if (uses === 0 || (by === 1 && uses === 1)) changed = true;
    };
    for (const vtep of now) if (vtep !== undefined) count(vtep, 1);
    for (const vtep of before) if (vtep !== undefined) count(vtep, -1);
    if (changed) this.onVteps(this.vni);
  }

  private weigh(macs: readonly MacAddress[]): number {
    return macs.reduce((sum, mac) => sum + (this.isRemote(mac) ? 1 + (this.macs.get(mac)?.ips.size ?? 0) : 0), 0);
  }

  private isRemote(mac: MacAddress): boolean {
    return this.macs.get(mac)?.location.kind === "remote";
  }

  private takeBinding({ key, revision }: Answer, binding: Binding, occasion: Occasion, nowMs: number): void {
    const { mac, vtep, vtepPort, router, local, guestPort, allowed } = binding;
    this.absent.delete(keyText(key));
    this.absent.delete(keyText({ kind: "mac", vni: this.vni, mac }));
    if (key.kind === "ip") this.pointIp({ ip: key.ip, mac, revision, sinceMs: nowMs });
    const known = this.macs.get(mac);
    const fact = known ?? {
      mac,
      location: localHere,
      revision,
      sinceMs: nowMs,
      asked: false,
      ips: new Set<IpAddress>(),
    };
    this.macs.set(mac, fact);
    if (key.kind === "ip") {
      fact.ips.delete(key.ip);
      fact.ips.add(key.ip);
    } else if (occasion === "asked" || !known || local) fact.asked = true;
    if (revision < fact.revision) return;
    fact.revision = revision;
    fact.sinceMs = nowMs;
    const here: Location =
      guestPort === undefined ? localHere : { kind: "local", port: guestPort, ...(allowed ? { allowed } : {}) };
    fact.location = local ? here : { kind: "remote", vtep, vtepPort, ...(router ? { router } : {}) };
  }

  private revisionOf(key: BindingKey): number {
    const absence = this.absent.get(keyText(key))?.revision ?? 0;
    return (key.kind === "ip" ? this.ips.get(key.ip) : this.macs.get(key.mac))?.revision ?? absence;
  }

  private pointIp(fact: IpFact): void {
    if (this.ips.get(fact.ip)?.mac !== fact.mac) this.unpointIp(fact.ip);
    this.ips.set(fact.ip, fact);
    this.formerMacs.delete(fact.ip);
  }

  private unpointIp(ip: IpAddress): void {
    const fact = this.ips.get(ip);
    if (!fact) return;
    this.ips.delete(ip);
    const macFact = this.macs.get(fact.mac);
    macFact?.ips.delete(ip);
    if (macFact && macFact.ips.size === 0 && !macFact.asked) this.macs.delete(fact.mac);
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

  /** Without the MAC's location its IPs have no neighbours either: a neighbour without a tunnel entry is a black hole. */
  private removeMac(mac: MacAddress): void {
    for (const ip of this.macs.get(mac)?.ips ?? []) {
      this.ips.delete(ip);
      this.formerMacs.delete(ip);
      this.formerMacs.set(ip, mac);
    }
    for (const ip of this.formerMacs.keys()) {
      if (this.formerMacs.size <= maxAbsentPerNetwork) break;
      this.formerMacs.delete(ip);
    }
    this.macs.delete(mac);
  }
}

const placeOf = ({ kind: _, ...place }: { readonly kind: "local" } & GuestPlace): GuestPlace => place;

function tunnelEntry(vni: Vni, mac: MacAddress, { vtep, vtepPort, router }: RemoteLocation): TunnelEntry {
  return { kind: "tunnel", vni, mac, vtep, vtepPort, ...(router ? { router } : {}) };
}
