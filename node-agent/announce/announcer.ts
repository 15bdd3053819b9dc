// Sends new answers to waiting guests, so that none waits for its own next retry: the kernel's proxy has dropped the request
// that missed. Frames leave through guests' ports only, and so cannot enter the tunnel.
//
// While a guest scans, its misses fill the kernel's queue faster than the agent reads it, and misses of other guests are
// lost. Then the agent ignores the misses of that network and the requests of the scanner, and treats the recorded requests
// of the other guests as misses.
import { EventEmitter } from "node:events";
import { every, type Repetition } from "../../common/every.ts";
import type { IpAddress, MacAddress, Vni } from "../../schema/address/index.ts";
import { type Announcement, encodeAnnouncement, encodeReply } from "../kernel/codec/packet-codec.ts";
import type { GuestEdge } from "../kernel/sockets/guest-sockets.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import type { Miss } from "../misses/miss.ts";
import { type Askers, allowances } from "../misses/resolver.ts";
import { Scanners } from "../misses/scanners.ts";
import { type WaitingGuest, WaitingGuests } from "../misses/waiting.ts";
import type { HeldAnswers } from "../tables/held.ts";

/** Interval at which requests are read without a miss: it only keeps old requests from filling the sockets. */
const housekeepingMs = 500;
/** The same while a guest scans, and no miss signals requests of other guests. */
const scannedMs = 10;
/** Requests read at a time from a network that crowds: six times its budget of queries. */
const maxHeardOfCrowd = 64;

export interface AnnounceCounters {
  /** Replies to a guest whose request was recorded. */
  replied: number;
  /** Announcements to all guests of a network: the request was not recorded, or an address has a new MAC. */
  announced: number;
}

export interface AnnouncerDependencies {
  readonly guests: GuestEdge;
  readonly held: Pick<HeldAnswers, "lookUp">;
  nowMs(): number;
}

export interface AnnouncerEvents {
  /** A network has these devices, which guests are heard on. */
  attended: [Vni, { readonly ifindex: number; readonly bridgeIfindex: number }];
  left: [Vni];
  /** A request that replaces a miss: misses of its network are ignored. */
  missed: [Miss];
  /** A guest uses an address, or is about to. */
  claimed: [Vni, WaitingGuest];
  /** A guest has exceeded its budget. */
  scanBegan: [Vni, MacAddress];
  /** The vxlan devices of all networks in which a guest scans now, by ifindex. */
  scanned: [readonly number[]];
}

interface NetworkListener {
  readonly socket: ReturnType<GuestEdge["hear"]>;
  readonly tunnelIfindex: number;
  readonly ports: ReturnType<GuestEdge["portsOf"]>;
  readonly scanners: Scanners;
  listenedMs: number;
}

export class Announcer extends EventEmitter<AnnouncerEvents> implements Askers {
  readonly counters: AnnounceCounters = { replied: 0, announced: 0 };
  private readonly byNetwork = new Map<Vni, NetworkListener>();
  private readonly waiting = new WaitingGuests();
  private readonly housekeeping: Repetition;
  private scanWatch: Repetition | undefined;
  private crowded: ReadonlySet<Vni> = new Set();

  constructor(private readonly deps: AnnouncerDependencies) {
    super();
    this.housekeeping = every(
      housekeepingMs,
      () => {
        for (const [vni, { scanners, socket }] of this.byNetwork) {
          if (scanners.forget(this.deps.nowMs())) {
            socket.ignore(scanners.list());
            this.followScans();
          }
          this.listen(vni);
        }
      },
      { inStep: true },
    );
  }

  /** Listens on a network's bridge from now on; call it again after its devices were recreated. */
  attend(vni: Vni, bridgeIfindex: number, tunnelIfindex: number): void {
    const present = this.byNetwork.get(vni);
    if (present?.socket.bridgeIfindex === bridgeIfindex && present.tunnelIfindex === tunnelIfindex) return;
    this.leave(vni);
    const socket = this.deps.guests.hear(bridgeIfindex);
    const ports = this.deps.guests.portsOf(bridgeIfindex, tunnelIfindex);
    this.byNetwork.set(vni, { socket, tunnelIfindex, ports, scanners: new Scanners(allowances.guest), listenedMs: 0 });
    this.emit("attended", vni, { ifindex: tunnelIfindex, bridgeIfindex });
  }

  leave(vni: Vni): void {
    const listener = this.byNetwork.get(vni);
    listener?.socket.close();
    this.byNetwork.delete(vni);
    if (listener) this.emit("left", vni);
    this.followScans();
  }

  missed(vni: Vni, target: IpAddress): void {
    this.waiting.missed(vni, target, this.deps.nowMs());
  }

  /** Reads what the network's guests have asked. */
  listen(vni: Vni): void {
    const listener = this.byNetwork.get(vni);
    if (!listener) return;
    const nowMs = this.deps.nowMs();
    const isCrowd = this.crowded.has(vni);
    // A recorded request counts as a miss, which triggers reading again: endlessly, while the crowd lasts.
    if (isCrowd && nowMs - listener.listenedMs < scannedMs / 2) return;
    listener.listenedMs = nowMs;
    const open: IpAddress[] = [];
    for (const heard of listener.socket.drain(isCrowd ? maxHeardOfCrowd : undefined)) {
      this.waiting.heard(vni, heard, nowMs);
      const { asker, claim, target } = heard;
      if (claim) this.emit("claimed", vni, claim);
      if (!asker || !this.isOpen(vni, target, nowMs)) continue;
      if (listener.scanners.heard(asker.mac, nowMs)) this.emit("scanBegan", vni, asker.mac);
      if (!listener.scanners.isOne(asker.mac)) open.push(target);
    }
    if (this.isHeardInstead(vni, listener)) for (const ip of open) this.emit("missed", { kind: "l3miss", vni, ip });
  }

  /** Networks whose misses are not read, because their guests raise too many. */
  hearInstead(vnis: readonly Vni[]): void {
    this.crowded = new Set(vnis);
    this.watchScans();
  }

  /** The thread that answers misses has sent a guest its reply. */
  answered(vni: Vni, target: IpAddress, guest: MacAddress): void {
    this.counters.replied++;
    this.waiting.answered(vni, target, guest);
  }

  /** Looks up the port of a guest during the query for it. */
  locate(vni: Vni, guest: WaitingGuest): void {
    void this.byNetwork.get(vni)?.ports.portOf(guest.mac, this.deps.nowMs());
  }

  /** A guest exceeds its budget: its requests are ignored for a while, so that those of the others are read. */
  ignore(vni: Vni, guest: MacAddress): void {
    const listener = this.byNetwork.get(vni);
    if (!listener) return;
    listener.scanners.add(guest, this.deps.nowMs());
    listener.socket.ignore(listener.scanners.list());
    this.followScans();
  }

  /** Guests whose requests are ignored. */
  scanners(): { readonly vni: Vni; readonly guest: MacAddress }[] {
    return [...this.byNetwork].flatMap(([vni, { scanners }]) => scanners.list().map((guest) => ({ vni, guest })));
  }

  /** The guest that most likely asked if no request was recorded: one whose requests are ignored. */
  suspectIn(vni: Vni): MacAddress | undefined {
    return this.byNetwork.get(vni)?.scanners.list()[0];
  }

  /** The guest that asked last for `target`, if its request was recorded. */
  askerOf(vni: Vni, target: IpAddress): WaitingGuest | undefined {
    return this.waiting.lastAsker(vni, target);
  }

  /** A guest may wait for `target`. */
  isAwaited(vni: Vni, target: IpAddress): boolean {
    return this.waiting.isAwaited(vni, target, this.deps.nowMs());
  }

  /**
   * `known` is in the kernel: sends it to the waiting guests, or to one guest if its request was recorded.
   * @returns when the last frame was sent, undefined if no guest waited
   */
  answer(vni: Vni, known: Announcement): Promise<number | undefined> {
    const listener = this.byNetwork.get(vni);
    if (!listener) return Promise.resolve(undefined);
    this.listen(vni);
    const nowMs = this.deps.nowMs();
    const { guests, unheard } = this.waiting.take(vni, known.ip, nowMs);
    const sent = guests.map((guest) => this.reply(listener, known, guest, nowMs));
    if (unheard) sent.push(this.announce(vni, known));
    return sent.length === 0 ? Promise.resolve(undefined) : Promise.all(sent).then(() => this.deps.nowMs());
  }

  /** To all guests of the network on this host: a guest may have an older MAC for it in its cache. */
  async announce(vni: Vni, known: Announcement): Promise<void> {
    const listener = this.byNetwork.get(vni);
    if (!listener) return;
    this.counters.announced++;
    await this.sendToAll(listener, encodeAnnouncement(known));
  }

  close(): void {
    this.housekeeping.stop();
    this.scanWatch?.stop();
    for (const vni of [...this.byNetwork.keys()]) this.leave(vni);
    this.deps.guests.sender.close();
  }

  /** Ignores the misses of networks in which a guest scans, and records requests more often there. */
  private followScans(): void {
    const scanned = [...this.byNetwork.values()].filter(({ scanners }) => scanners.size > 0);
    this.emit(
      "scanned",
      scanned.map(({ tunnelIfindex }) => tunnelIfindex),
    );
    this.watchScans();
  }

  private watchScans(): void {
    this.scanWatch?.stop();
    const heard = [...this.byNetwork].filter(([vni, listener]) => this.isHeardInstead(vni, listener));
    if (heard.length === 0) return;
    this.scanWatch = every(scannedMs, () => {
      for (const [vni] of heard) this.listen(vni);
    });
  }

  /** Neither held nor local: a request for it raises a miss. */
  private isOpen(vni: Vni, ip: IpAddress, nowMs: number): boolean {
    const { kind } = this.deps.held.lookUp({ kind: "ip", vni, ip }, nowMs);
    return kind === "nothing" || kind === "absent";
  }

  /** The recorded requests of its guests replace misses. */
  private isHeardInstead(vni: Vni, { scanners }: NetworkListener): boolean {
    return scanners.size > 0 || this.crowded.has(vni);
  }

  private async reply(
    listener: NetworkListener,
    known: Announcement,
    guest: WaitingGuest,
    nowMs: number,
  ): Promise<void> {
    this.counters.replied++;
    const frame = encodeReply(known, guest);
    const port = await listener.ports.portOf(guest.mac, nowMs);
    // Unicast to the guest, so that no other guest takes it even if its port is unknown.
    if (port === undefined) await this.sendToAll(listener, frame);
    else this.deps.guests.sender.send(frame, port);
  }

  private async sendToAll(listener: NetworkListener, frame: Buffer): Promise<void> {
    try {
      for (const port of await listener.ports.all()) this.deps.guests.sender.send(frame, port);
    } catch (error) {
      // The guest retries in a second; a kernel that lists no ports is reported elsewhere.
      if (!(error instanceof NetlinkError)) throw error;
    }
  }
}
