// Tells waiting guests what has just become known, so that none waits for its own next retry: the kernel's proxy has
// swallowed the question that missed. Frames leave through guests' ports only; nothing of it can enter the tunnel.
//
// While a guest scans, what it misses fills the kernel's queue faster than anybody reads, and others' misses are lost in it.
// Then its network's misses are shut out, the scanner is not heard, and what the others are heard asking stands for misses.
import type { IpAddress, MacAddress, Vni } from "../../schema/index.ts";
import { type Announcement, encodeAnnouncement, encodeReply } from "../kernel/codec/packet-codec.ts";
import { GuestPorts } from "../kernel/devices/guest-ports.ts";
import { AskerSocket, FrameSender } from "../kernel/sockets/packet-socket.ts";
import { NetlinkError, type RequestSocket } from "../kernel/sockets/request-socket.ts";
import { allowances } from "../misses/resolver.ts";
import { Scanners } from "../misses/scanners.ts";
import { type WaitingGuest, WaitingGuests } from "../misses/waiting.ts";

/** Between two looks at what guests ask without missing: only keeps the sockets from filling up with the old. */
const housekeepingMs = 500;
/** Between two looks while a guest scans, and no miss tells that others ask. */
const scannedMs = 10;
/** Questions read at a time of a network that crowds: six times what its budget lets pass to the controller. */
const maxHeardOfCrowd = 64;

export interface AnnounceCounters {
  /** Replies to a guest that was heard asking. */
  replied: number;
  /** Announcements to all guests of a network: the asker was not heard, or an address has a new MAC. */
  announced: number;
}

export interface AnnouncerDependencies {
  readonly requests: RequestSocket;
  /** Neither held nor local: a question for it raises a miss. */
  isOpen(vni: Vni, target: IpAddress): boolean;
  /** Heard instead of read: misses of its network are shut out. */
  missed(vni: Vni, target: IpAddress): void;
  /** A guest speaks from an address, or is about to. */
  claimed(vni: Vni, claim: WaitingGuest): void;
  /** A guest has begun to ask for more than its budget. */
  scanBegan(vni: Vni, guest: MacAddress): void;
  /** Shuts out l3misses of these vxlan devices, and of no others. */
  shutOut(tunnelIfindexes: readonly number[]): void;
  nowMs(): number;
}

interface Ear {
  readonly socket: AskerSocket;
  readonly tunnelIfindex: number;
  readonly ports: GuestPorts;
  readonly scanners: Scanners;
  listenedMs: number;
}

export class Announcer {
  readonly counters: AnnounceCounters = { replied: 0, announced: 0 };
  private readonly ears = new Map<Vni, Ear>();
  private readonly waiting = new WaitingGuests();
  private readonly sender = new FrameSender();
  private readonly housekeeping: NodeJS.Timeout;
  private scanWatch: NodeJS.Timeout | undefined;
  private crowded: ReadonlySet<Vni> = new Set();

  constructor(private readonly deps: AnnouncerDependencies) {
    this.housekeeping = setInterval(() => {
      for (const [vni, { scanners, socket }] of this.ears) {
        if (scanners.forget(this.deps.nowMs())) {
          socket.ignore(scanners.list());
          this.followScans();
        }
        this.listen(vni);
      }
    }, housekeepingMs).unref();
  }

  /** Listens on a network's bridge from now on; again after its devices were made anew. */
  attend(vni: Vni, bridgeIfindex: number, tunnelIfindex: number): void {
    const present = this.ears.get(vni);
    if (present?.socket.bridgeIfindex === bridgeIfindex && present.tunnelIfindex === tunnelIfindex) return;
    this.leave(vni);
    const socket = new AskerSocket(bridgeIfindex);
    const ports = new GuestPorts(this.deps.requests, bridgeIfindex, tunnelIfindex);
    this.ears.set(vni, { socket, tunnelIfindex, ports, scanners: new Scanners(allowances.guest), listenedMs: 0 });
  }

  leave(vni: Vni): void {
    this.ears.get(vni)?.socket.close();
    this.ears.delete(vni);
    this.followScans();
  }

  missed(vni: Vni, target: IpAddress): void {
    this.waiting.missed(vni, target, this.deps.nowMs());
  }

  /** Reads what the network's guests have asked. */
  listen(vni: Vni): void {
    const ear = this.ears.get(vni);
    if (!ear) return;
    const nowMs = this.deps.nowMs();
    const isCrowd = this.crowded.has(vni);
    // What is heard raises misses, for which listening is tried again: without an end, as long as the crowd goes on.
    if (isCrowd && nowMs - ear.listenedMs < scannedMs / 2) return;
    ear.listenedMs = nowMs;
    const open: IpAddress[] = [];
    for (const heard of ear.socket.drain(isCrowd ? maxHeardOfCrowd : undefined)) {
      this.waiting.heard(vni, heard, nowMs);
      const { asker, claim, target } = heard;
      if (claim) this.deps.claimed(vni, claim);
      if (!asker || !this.deps.isOpen(vni, target)) continue;
      if (ear.scanners.heard(asker.mac, nowMs)) this.deps.scanBegan(vni, asker.mac);
      if (!ear.scanners.isOne(asker.mac)) open.push(target);
    }
    if (this.isHeardInstead(vni, ear)) for (const target of open) this.deps.missed(vni, target);
  }

  /** Networks whose misses are not read, because their guests raise too many. */
  hearInstead(vnis: readonly Vni[]): void {
    this.crowded = new Set(vnis);
    this.watchScans();
  }

  /** Finds out where a guest is, while the controller is being asked for its sake. */
  locate(vni: Vni, guest: WaitingGuest): void {
    void this.ears.get(vni)?.ports.portOf(guest.mac, this.deps.nowMs());
  }

  /** A guest asks for more than its budget allows: it is not listened to for a while, so that the others are. */
  ignore(vni: Vni, guest: MacAddress): void {
    const ear = this.ears.get(vni);
    if (!ear) return;
    ear.scanners.add(guest, this.deps.nowMs());
    ear.socket.ignore(ear.scanners.list());
    this.followScans();
  }

  /** Guests that are not listened to. */
  scanners(): { readonly vni: Vni; readonly guest: MacAddress }[] {
    return [...this.ears].flatMap(([vni, { scanners }]) => scanners.list().map((guest) => ({ vni, guest })));
  }

  /** The guest that most likely asked if no request was recorded: one whose requests are ignored. */
  suspectIn(vni: Vni): MacAddress | undefined {
    return this.ears.get(vni)?.scanners.list()[0];
  }

  /** The guest that asked last for `target`, where it was heard. */
  askerOf(vni: Vni, target: IpAddress): WaitingGuest | undefined {
    return this.waiting.lastAsker(vni, target);
  }

  /**
   * `known` is in the kernel: sends it to the waiting guests, or to one guest if its request was recorded.
   * @returns when the last frame was sent, undefined if no guest waited
   */
  answer(vni: Vni, known: Announcement): Promise<number | undefined> {
    const ear = this.ears.get(vni);
    if (!ear) return Promise.resolve(undefined);
    this.listen(vni);
    const nowMs = this.deps.nowMs();
    const { guests, unheard } = this.waiting.take(vni, known.ip, nowMs);
    const sent = guests.map((guest) => this.reply(ear, known, guest, nowMs));
    if (unheard) sent.push(this.announce(vni, known));
    return sent.length === 0 ? Promise.resolve(undefined) : Promise.all(sent).then(() => this.deps.nowMs());
  }

  /** To all guests of the network on this host: a guest may have an older MAC for it in its cache. */
  async announce(vni: Vni, known: Announcement): Promise<void> {
    const ear = this.ears.get(vni);
    if (!ear) return;
    this.counters.announced++;
    await this.sendToAll(ear, encodeAnnouncement(known));
  }

  close(): void {
    clearInterval(this.housekeeping);
    clearInterval(this.scanWatch);
    for (const vni of [...this.ears.keys()]) this.leave(vni);
    this.sender.close();
  }

  /** Ignores the misses of networks in which a guest scans, and records requests more often there. */
  private followScans(): void {
    const scanned = [...this.ears.values()].filter(({ scanners }) => scanners.size > 0);
    this.deps.shutOut(scanned.map(({ tunnelIfindex }) => tunnelIfindex));
    this.watchScans();
  }

  private watchScans(): void {
    clearInterval(this.scanWatch);
    const heard = [...this.ears].filter(([vni, ear]) => this.isHeardInstead(vni, ear));
    if (heard.length === 0) return;
    this.scanWatch = setInterval(() => {
      for (const [vni] of heard) this.listen(vni);
    }, scannedMs);
  }

  /** What its guests are heard asking stands for misses. */
  private isHeardInstead(vni: Vni, { scanners }: Ear): boolean {
    return scanners.size > 0 || this.crowded.has(vni);
  }

  private async reply(ear: Ear, known: Announcement, guest: WaitingGuest, nowMs: number): Promise<void> {
    this.counters.replied++;
    const frame = encodeReply(known, guest);
    const port = await ear.ports.portOf(guest.mac, nowMs);
    // Addressed to the guest alone, so that it is no other's even where its port is not known.
    if (port === undefined) await this.sendToAll(ear, frame);
    else this.sender.send(frame, port);
  }

  private async sendToAll(ear: Ear, frame: Buffer): Promise<void> {
    try {
      for (const port of await ear.ports.all()) this.sender.send(frame, port);
    } catch (error) {
      // The guest asks again in a second; a kernel that lists no ports shows elsewhere.
      if (!(error instanceof NetlinkError)) throw error;
    }
  }
}
