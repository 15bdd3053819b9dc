// Tells waiting guests what has just become known, so that none waits for its own next retry: the kernel's proxy has
// swallowed the question that missed. Frames leave through guests' ports only; nothing of it can enter the tunnel.
import type { IpAddress, MacAddress, Vni } from "../schema/index.ts";
import { GuestPorts } from "./kernel/guest-ports.ts";
import { type Announcement, encodeAnnouncement, encodeReply } from "./kernel/packet-codec.ts";
import { AskerSocket, FrameSender } from "./kernel/packet-socket.ts";
import { NetlinkError, type RequestSocket } from "./kernel/request-socket.ts";
import { type WaitingGuest, WaitingGuests } from "./misses/waiting.ts";

/** Between two looks at what guests ask without missing: only keeps the sockets from filling up with the old. */
const housekeepingMs = 500;
/** A guest over its budget is not heard for so long: what it asks would leave no room for what others ask. */
const ignoredMs = 5_000;

export interface AnnounceCounters {
  /** Replies to a guest that was heard asking. */
  replied: number;
  /** Announcements to all guests of a network: the asker was not heard, or an address has a new MAC. */
  announced: number;
}

interface Ear {
  readonly socket: AskerSocket;
  readonly tunnelIfindex: number;
  readonly ports: GuestPorts;
  /** Guests that are not heard, and until when; those that went over their budget last come last. */
  readonly ignored: Map<MacAddress, number>;
}

export class Announcer {
  readonly counters: AnnounceCounters = { replied: 0, announced: 0 };
  private readonly ears = new Map<Vni, Ear>();
  private readonly waiting = new WaitingGuests();
  private readonly sender = new FrameSender();
  private readonly housekeeping: NodeJS.Timeout;

  constructor(
    private readonly requests: RequestSocket,
    private readonly nowMs: () => number,
    /** A guest speaks from an address, or is about to. */
    private readonly onClaim: (vni: Vni, claim: WaitingGuest) => void,
  ) {
    this.housekeeping = setInterval(() => {
      for (const [vni, ear] of this.ears) {
        this.hearAgain(ear);
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
    const ports = new GuestPorts(this.requests, bridgeIfindex, tunnelIfindex);
    this.ears.set(vni, { socket, tunnelIfindex, ports, ignored: new Map() });
  }

  leave(vni: Vni): void {
    this.ears.get(vni)?.socket.close();
    this.ears.delete(vni);
  }

  missed(vni: Vni, target: IpAddress): void {
    this.waiting.missed(vni, target, this.nowMs());
  }

  /** Reads what the network's guests have asked. */
  listen(vni: Vni): void {
    const ear = this.ears.get(vni);
    if (!ear) return;
    const nowMs = this.nowMs();
    for (const heard of ear.socket.drain()) {
      this.waiting.heard(vni, heard, nowMs);
      if (heard.claim) this.onClaim(vni, heard.claim);
    }
  }

  /** Finds out where a guest is, while the controller is being asked for its sake. */
  locate(vni: Vni, guest: WaitingGuest): void {
    void this.ears.get(vni)?.ports.portOf(guest.mac, this.nowMs());
  }

  /** A guest asks for more than its budget allows: it is not listened to for a while, so that the others are. */
  ignore(vni: Vni, guest: MacAddress): void {
    const ear = this.ears.get(vni);
    if (!ear) return;
    const isNew = !ear.ignored.delete(guest);
    ear.ignored.set(guest, this.nowMs() + ignoredMs);
    if (isNew) ear.socket.ignore([...ear.ignored.keys()].reverse());
  }

  /** Who has most likely asked where nobody was heard: a guest that is not listened to. */
  suspectIn(vni: Vni): MacAddress | undefined {
    return [...(this.ears.get(vni)?.ignored.keys() ?? [])].at(-1);
  }

  /** The guest that asked last for `target`, where it was heard. */
  askerOf(vni: Vni, target: IpAddress): WaitingGuest | undefined {
    return this.waiting.lastAsker(vni, target);
  }

  /**
   * `known` is in the kernel: whoever waits for it is told, alone where it was heard asking.
   * @returns when the last frame had left, undefined where nobody waited
   */
  answer(vni: Vni, known: Announcement): Promise<number | undefined> {
    const ear = this.ears.get(vni);
    if (!ear) return Promise.resolve(undefined);
    this.listen(vni);
    const nowMs = this.nowMs();
    const { guests, unheard } = this.waiting.take(vni, known.ip, nowMs);
    const sent = guests.map((guest) => this.reply(ear, known, guest, nowMs));
    if (unheard) sent.push(this.announce(vni, known));
    return sent.length === 0 ? Promise.resolve(undefined) : Promise.all(sent).then(() => this.nowMs());
  }

  /** To all guests of the network on this host: somebody may hold an older MAC for it. */
  async announce(vni: Vni, known: Announcement): Promise<void> {
    const ear = this.ears.get(vni);
    if (!ear) return;
    this.counters.announced++;
    await this.sendToAll(ear, encodeAnnouncement(known));
  }

  close(): void {
    clearInterval(this.housekeeping);
    for (const vni of [...this.ears.keys()]) this.leave(vni);
    this.sender.close();
  }

  private hearAgain({ socket, ignored }: Ear): void {
    const nowMs = this.nowMs();
    const over = [...ignored].filter(([, untilMs]) => untilMs <= nowMs);
    for (const [guest] of over) ignored.delete(guest);
    if (over.length > 0) socket.ignore([...ignored.keys()].reverse());
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
