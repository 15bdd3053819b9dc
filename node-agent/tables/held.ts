// The answers that this host holds of all its networks, and the entries that follow from them. No I/O: every change returns
// the resulting operations.
import {
  type Answer,
  type BindingKey,
  type IpAddress,
  keyText,
  type MacAddress,
  type Vni,
  type VtepAddress,
} from "../../schema/address/index.ts";
import { type Caps, defaultCaps, isCrowded, spareShare } from "./ageing.ts";
import type { Desired } from "./comparison.ts";
import type { Entry, Operation, Place } from "./entry.ts";
import { type AddressedGuest, type HeldFact, HeldNetwork, type Knowledge, type Occasion } from "./held-network.ts";
import { asOwn, byKey, plan } from "./plan.ts";

/** Result of evicting addresses. */
export interface Evicted {
  readonly operations: readonly Operation[];
  /** Keys that this host does not need: the controller can end its interest in them. */
  readonly released: readonly BindingKey[];
}

/** Result of taking answers. Operations lead from the desired entries before to those now. */
export interface Taken extends Evicted {
  /** Networks of which guests on this host may have changed: came, left, or have other addresses or ports. */
  readonly guestsIn: readonly Vni[];
  /** The answers that were taken. Others were stale, or unrequested and without room. */
  readonly taken: readonly Answer[];
  /** IPs whose MAC changed: guests may have the old one in their caches. */
  readonly changedMacs: readonly {
    readonly vni: Vni;
    readonly ip: IpAddress;
    readonly mac: MacAddress;
    readonly router: boolean;
  }[];
}

export class HeldAnswers {
  private networks = new Map<Vni, HeldNetwork>();

  /** @param onVteps the tunnel ends of a network's remote VMs changed */
  constructor(
    readonly caps: Caps = defaultCaps,
    private readonly onVteps: (vni: Vni) => void = () => {},
  ) {}

  /** The tunnel ends of the cached remote VMs of a network. */
  vtepsOf(vni: Vni): readonly VtepAddress[] {
    return this.networks.get(vni)?.vteps ?? [];
  }

  /** Cached addresses of remote VMs, over all networks. */
  get size(): number {
    return [...this.networks.values()].reduce((sum, network) => sum + network.size, 0);
  }

  vnis(): Vni[] {
    return [...this.networks.keys()];
  }

  /** A limit is near, of a network or of the host: ages should be current, since the least recently used are evicted next. */
  isCrowded(): boolean {
    const { perNetwork, perHost } = this.caps;
    return isCrowded(this.size, perHost) || [...this.networks.values()].some(({ size }) => isCrowded(size, perNetwork));
  }

  /**
   * Takes answers in their order; an answer that is older than the held one is dropped, tombstones included. Without room, an
   * answer that a guest has asked for evicts the least recently used one; an unrequested answer is dropped.
   */
  take(answers: readonly Answer[], nowMs: number, occasion: Occasion = "asked"): Taken {
    const known = answers.map(({ key }) =>
      key.kind === "ip" ? this.networks.get(key.vni)?.knownMacOf(key.ip) : undefined,
    );
    const before = new Before();
    const released: BindingKey[] = [];
    const taken = answers.filter((answer) => {
      const network = this.networkFor(answer);
      if (!network) return false;
      if (occasion === "told" && !this.hasRoom(network, answer)) {
        released.push(...keysTold(answer));
        return false;
      }
      before.note(network, network.touchedBy(answer));
      return network.take(answer, occasion, nowMs);
    });
    released.push(...this.evictBeyondCaps(before), ...before.macKeys());
    const changedMacs = answers.flatMap(({ key, binding }, i) => {
      if (key.kind !== "ip" || !binding || known[i] === undefined || known[i] === binding.mac) return [];
      if (this.networks.get(key.vni)?.knownMacOf(key.ip) !== binding.mac) return [];
      return [{ vni: key.vni, ip: key.ip, mac: binding.mac, router: binding.router ?? false }];
    });
    return {
      operations: before.operations(),
      released: this.notHeld(released),
      guestsIn: before.guestsIn(),
      taken,
      changedMacs,
    };
  }

  /**
   * Replaces everything by a complete set: a snapshot, perhaps of another epoch. @returns the keys without room
   */
  replace(answers: readonly Answer[], nowMs: number): BindingKey[] {
    const earlier = this.networks;
    this.networks = new Map();
    for (const answer of answers) this.networkFor(answer)?.take(answer, "asked", nowMs);
    for (const [vni, network] of this.networks) {
      const previous = earlier.get(vni);
      if (previous) network.lastUse.restore(previous.lastUse);
    }
    for (const vni of earlier.keys()) if (!this.networks.has(vni)) this.onVteps(vni);
    return this.notHeld(this.evictBeyondCaps(new Before()));
  }

  /**
   * Follows the log to a later position: what is held stays unless it is answered otherwise. @param vnis networks that stay
   * @param answers that changed @returns the keys without room
   */
  resume(vnis: ReadonlySet<Vni>, answers: readonly Answer[], nowMs: number): readonly BindingKey[] {
    for (const vni of this.networks.keys()) if (!vnis.has(vni)) this.forgetNetwork(vni);
    return this.take(answers, nowMs, "asked").released;
  }

  forgetNetwork(vni: Vni): void {
    if (this.networks.delete(vni)) this.onVteps(vni);
  }

  /**
   * Evicts the remote addresses of a network that no traffic has used for `idleMs`, a bounded batch per call.
   * @param ages how long ago the kernel last used the entry of each MAC, in ms
   */
  age(vni: Vni, ages: ReadonlyMap<MacAddress, number>, nowMs: number, idleMs: number): Evicted {
    const network = this.networks.get(vni);
    if (!network) return { operations: [], released: [] };
    network.lastUse.learn(ages, nowMs);
    const idle = network.lastUse.idle(nowMs, idleMs);
    const before = new Before();
    before.note(network, idle);
    const evicted = idle.flatMap((mac) => network.evictMac(mac));
    return { operations: before.operations(), released: this.notHeld(evicted) };
  }

  /** All desired entries of a network. */
  desired(vni: Vni): Map<string, Entry> {
    return byKey(this.networks.get(vni)?.entries() ?? []);
  }

  /** The desired entries of a network at the time of each call; a different object after the network was dropped or replaced. */
  desiredOf(vni: Vni): Desired | undefined {
    return this.networks.get(vni);
  }

  /** The VMs' interfaces of a network that are registered on this host. */
  locals(vni: Vni): AddressedGuest[] {
    return this.networks.get(vni)?.locals() ?? [];
  }

  /** The desired entry at a place, if any. */
  desiredAt(place: Place): Entry | undefined {
    return this.networks.get(place.vni)?.entryAt(place);
  }

  /** The knowledge about a key, which makes a query unnecessary. */
  lookUp(key: BindingKey, nowMs: number): Knowledge {
    return this.networks.get(key.vni)?.lookUp(key, nowMs) ?? { kind: "nothing" };
  }

  /** The held answer for one address, for status and explain; for a MAC also if only an IP led to it. */
  find(key: BindingKey): HeldFact | undefined {
    return this.networks.get(key.vni)?.find(key);
  }

  /** This host's interest: every key that is held, known, local or absent. */
  keys(): BindingKey[] {
    return [...this.networks.values()].flatMap((network) => network.keys());
  }

  /** Its part of one network. */
  keysIn(vni: Vni): BindingKey[] {
    return this.networks.get(vni)?.keys() ?? [];
  }

  /** A network is created by a binding, one of this host: without one, tombstones are not kept. */
  private networkFor({ key, binding }: Answer): HeldNetwork | undefined {
    const network = this.networks.get(key.vni) ?? (binding ? new HeldNetwork(key.vni, this.onVteps) : undefined);
    if (network) this.networks.set(key.vni, network);
    return network;
  }

  /** Whether an answer that no guest asked for fits without making the limits near. @param more addresses that come before it */
  hasSpare(answer: Answer, more: number): boolean {
    const network = this.networks.get(answer.key.vni);
    if (!network) return false;
    const size = network.roomFor(answer) + more;
    const { perNetwork, perHost } = this.caps;
    return network.size + size <= perNetwork * spareShare && this.size + size <= perHost * spareShare;
  }

  private hasRoom(network: HeldNetwork, answer: Answer): boolean {
    const more = network.roomFor(answer);
    return more === 0 || (network.size + more <= this.caps.perNetwork && this.size + more <= this.caps.perHost);
  }

  /** Key by key, so that no more than necessary is evicted. */
  private evictBeyondCaps(before: Before): BindingKey[] {
    const evicted: BindingKey[] = [];
    const evictFrom = (networks: readonly HeldNetwork[]): boolean => {
      const network = leastRecentlyUsed(networks);
      const last = network?.lastUse.oldest();
      if (!network || !last) return false;
      before.note(network, [last.mac]);
      evicted.push(...network.evictOne(last.mac));
      return true;
    };
    const all = [...this.networks.values()];
    for (const network of all) while (network.size > this.caps.perNetwork && evictFrom([network]));
    while (this.size > this.caps.perHost && evictFrom(all));
    return evicted;
  }

  /** A released key must not be held in another way, such as the MAC behind an IP. */
  private notHeld(keys: readonly BindingKey[]): BindingKey[] {
    const unique = new Map(keys.map((key) => [keyText(key), key]));
    return [...unique.values()].filter((key) => !this.networks.get(key.vni)?.holds(key));
  }
}

function leastRecentlyUsed(networks: readonly HeldNetwork[]): HeldNetwork | undefined {
  const atMs = (network: HeldNetwork): number => network.lastUse.oldest()?.atMs ?? Number.POSITIVE_INFINITY;
  return networks.reduce<HeldNetwork | undefined>((a, b) => (a && atMs(a) <= atMs(b) ? a : b), undefined);
}

/** The interest that the controller assumes after an answer: it includes the MAC behind an IP. */
function keysTold({ key, binding }: Answer): BindingKey[] {
  return binding && key.kind === "ip" ? [key, { kind: "mac", vni: key.vni, mac: binding.mac }] : [key];
}

/** The MACs that a change touches and their entries, as they were before it. */
class Before {
  private readonly macs = new Map<HeldNetwork, Set<MacAddress>>();
  private readonly held: BindingKey[] = [];
  private readonly entries: Entry[] = [];
  private readonly guests = new Set<Vni>();

  /** Must come before the first change to each of the MACs. */
  note(network: HeldNetwork, macs: Iterable<MacAddress>): void {
    const noted = this.macs.get(network) ?? new Set();
    this.macs.set(network, noted);
    for (const mac of macs) {
      if (noted.has(mac)) continue;
      noted.add(mac);
      const key: BindingKey = { kind: "mac", vni: network.vni, mac };
      if (network.holds(key)) this.held.push(key);
      if (isGuest(network, mac)) this.guests.add(network.vni);
      this.entries.push(...network.entriesOfMac(mac));
    }
  }

  /** MACs that were held may have lost their last IP. */
  macKeys(): readonly BindingKey[] {
    return this.held;
  }

  /** Networks with touched MACs that were, or are now, of guests on this host. */
  guestsIn(): Vni[] {
    for (const [network, macs] of this.macs) {
      if ([...macs].some((mac) => isGuest(network, mac))) this.guests.add(network.vni);
    }
    return [...this.guests];
  }

  /** From before to now. */
  operations(): Operation[] {
    const now = [...this.macs].flatMap(([network, macs]) => [...macs].flatMap((mac) => network.entriesOfMac(mac)));
    return plan(byKey(now), asOwn(byKey(this.entries)));
  }
}

function isGuest(network: HeldNetwork, mac: MacAddress): boolean {
  return network.find({ kind: "mac", vni: network.vni, mac })?.kind === "local";
}
