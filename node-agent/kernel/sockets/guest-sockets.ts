// The guests of a bridge: what they ask, their ports, and frames to them. AF_PACKET sockets, one on each bridge that receives
// requests, and one for the host that sends answers through guests' ports. The agent does not poll them: it drains the first
// after a miss or an answer.
import { type MacAddress, macToBytes } from "../../../schema/address/index.ts";
import type { Heard } from "../../misses/waiting.ts";
import { decodeLink } from "../codec/link-codec.ts";
import { RTM_GETLINK } from "../codec/link-numbers.ts";
import { encodeLinkDump } from "../codec/link-requests.ts";
import { decodeNeighbourMessage, encodePortLookUp, RTM_GETNEIGH } from "../codec/neighbour-codec.ts";
import { decodeHeard } from "../codec/packet-codec.ts";
import {
  AF_PACKET,
  attachFilter,
  bindSocket,
  closeSocket,
  openSocket,
  receive,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  SystemCallError,
  sendTo,
  setsockopt,
} from "./libc.ts";
import type { RequestSocket } from "./request-socket.ts";
import type { BpfInstruction } from "./socket-guard.ts";

const ETH_P_ALL = 0x0003;
const SO_RCVBUFFORCE = 33;
/** About 300 requests: with more the agent cannot find the sender in time, and sends the answer to all guests. */
const receiveBytes = 256 * 1024;
/** Frames read at a time, so that a scanning guest cannot block the process. */
const maxDrain = 512;
/** Ethernet + IPv6 + a solicitation with one option; the rest of a longer frame is not needed. */
const snapBytes = 128;

const LD_B = 0x30;
const LD_H = 0x28;
const SKF_AD_PKTTYPE = 0xffff_f000 + 4;
const JEQ = 0x15;
const RET = 0x06;
const PACKET_OUTGOING = 4;

/** Received (not sent) ARP requests and neighbour solicitations, cut to `snapBytes`. Jumps count from the next line. */
const questionsOnly: readonly BpfInstruction[] = [
  /*  0 */ { code: LD_B, jt: 0, jf: 0, k: SKF_AD_PKTTYPE },
  /*  1 */ { code: JEQ, jt: 10, jf: 0, k: PACKET_OUTGOING },
  /*  2 */ { code: LD_H, jt: 0, jf: 0, k: 12 }, // EtherType
  /*  3 */ { code: JEQ, jt: 0, jf: 2, k: 0x0806 },
  /*  4 */ { code: LD_H, jt: 0, jf: 0, k: 14 + 6 }, // ARP operation
  /*  5 */ { code: JEQ, jt: 5, jf: 6, k: 1 },
  /*  6 */ { code: JEQ, jt: 0, jf: 5, k: 0x86dd },
  /*  7 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 6 }, // IPv6 next header
  /*  8 */ { code: JEQ, jt: 0, jf: 3, k: 58 },
  /*  9 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 40 }, // ICMPv6 type
  /* 10 */ { code: JEQ, jt: 0, jf: 1, k: 135 },
  /* 11 */ { code: RET, jt: 0, jf: 0, k: snapBytes },
  /* 12 */ { code: RET, jt: 0, jf: 0, k: 0 },
];

const LD_W = 0x20;
/** Within a filter's length, and more than scan at one time. */
const maxIgnored = 8;

/** Drops frames of these guests; all others continue at `questionsOnly`. */
function exceptFrom(macs: readonly MacAddress[]): BpfInstruction[] {
  return macs.flatMap((mac): BpfInstruction[] => {
    const bytes = macToBytes(mac);
    return [
      { code: LD_W, jt: 0, jf: 0, k: 6 }, // source address, first four bytes
      { code: JEQ, jt: 0, jf: 3, k: bytes.readUInt32BE(0) },
      { code: LD_H, jt: 0, jf: 0, k: 10 },
      { code: JEQ, jt: 0, jf: 1, k: bytes.readUInt16BE(4) },
      { code: RET, jt: 0, jf: 0, k: 0 },
    ];
  });
}

/** struct sockaddr_ll for one device. */
function linkAddress(ifindex: number, protocol: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(protocol, 2);
  address.writeInt32LE(ifindex, 4);
  address.writeUInt8(6, 11);
  return address;
}

/** A socket that receives nothing, and sends. */
export function openFrameSocket(): number {
  return openSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/** A socket that receives what guests of a bridge ask. Opens in the calling thread's network namespace. @throws SystemCallError */
export function openQuestionSocket(bridgeIfindex: number): number {
  return openListener(bridgeIfindex, questionsOnly, receiveBytes);
}

/** Receives what passes the filter on one device. @throws SystemCallError */
export function openListener(ifindex: number, filter: readonly BpfInstruction[], bufferBytes: number): number {
  // Protocol 0 receives nothing: no frame can slip in between opening and the filter.
  const fd = openFrameSocket();
  try {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes);
    attachFilter(fd, filter);
    bindSocket(fd, linkAddress(ifindex, ETH_P_ALL));
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/** Receives the requests that guests of one bridge broadcast. Receives no unicast: a bridge sends that to ports only. */
class AskerSocket {
  private readonly fd: number;
  private readonly frame = Buffer.alloc(snapBytes);

  /** Opens in the calling thread's network namespace, and stays there. */
  constructor(readonly bridgeIfindex: number) {
    this.fd = openQuestionSocket(bridgeIfindex);
  }

  /** All queued frames, oldest first, without waiting for more. */
  drain(max = maxDrain): Heard[] {
    const heard: Heard[] = [];
    for (let i = 0; i < max; i++) {
      const frame = this.next();
      if (!frame) break;
      const one = decodeHeard(frame);
      if (one) heard.push(one);
    }
    return heard;
  }

  /** Ignores exactly these guests from now on: the buffer is for the others. */
  ignore(macs: readonly MacAddress[]): void {
    attachFilter(this.fd, [...exceptFrom(macs.slice(0, maxIgnored)), ...questionsOnly]);
  }

  close(): void {
    closeSocket(this.fd);
  }

  /** A device that was set down or deleted returns one error, and nothing more. */
  private next(): Buffer | undefined {
    try {
      return receive(this.fd, this.frame);
    } catch (error) {
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }
}

/** Sends frames through single devices: never through a bridge, which would send them into the tunnel. */
export class FrameSender {
  private readonly fd = openFrameSocket();

  /** @returns whether the device accepted the frame; a guest without an answer retries */
  send(frame: Buffer, ifindex: number): boolean {
    try {
      sendTo(this.fd, frame, linkAddress(ifindex, 0));
      return true;
    } catch (error) {
      if (error instanceof SystemCallError) return false;
      throw error;
    }
  }

  close(): void {
    closeSocket(this.fd);
  }
}

/** A guest rarely changes its port; one that did retries within this time. */
const freshMs = 1_000;
const maxRemembered = 4_096;

interface Remembered {
  readonly port: Promise<number | undefined>;
  readonly sinceMs: number;
}

class GuestPorts {
  private readonly byMac = new Map<MacAddress, Remembered>();

  /** @param tunnelIfindex the one port that is not a guest's; frames must never be sent to it */
  constructor(
    private readonly socket: RequestSocket,
    private readonly bridgeIfindex: number,
    private readonly tunnelIfindex: number,
  ) {}

  /** ifindex of the guest's port; undefined where the bridge does not know the MAC, or has it behind the tunnel. */
  portOf(mac: MacAddress, nowMs: number): Promise<number | undefined> {
    const known = this.byMac.get(mac);
    if (known && nowMs - known.sinceMs < freshMs) return known.port;
    const port = this.lookUp(mac);
    this.byMac.delete(mac);
    this.byMac.set(mac, { port, sinceMs: nowMs });
    const [oldest] = this.byMac.keys();
    if (this.byMac.size > maxRemembered && oldest !== undefined) this.byMac.delete(oldest);
    return port;
  }

  /** ifindexes of all guests' ports. @throws NetlinkError */
  async all(): Promise<number[]> {
    const messages = await this.socket.dump("list bridge ports", RTM_GETLINK, encodeLinkDump(this.bridgeIfindex));
    return messages
      .map(decodeLink)
      .filter((link) => link !== undefined)
      .filter((link) => link.master === this.bridgeIfindex && link.ifindex !== this.tunnelIfindex)
      .map((link) => link.ifindex);
  }

  private async lookUp(mac: MacAddress): Promise<number | undefined> {
    const message = await this.socket.get(RTM_GETNEIGH, encodePortLookUp(this.bridgeIfindex, mac));
    const ifindex = message && decodeNeighbourMessage(message)?.ifindex;
    // The bridge's own addresses have the bridge as their port.
    return ifindex === this.tunnelIfindex || ifindex === this.bridgeIfindex ? undefined : ifindex;
  }
}

/** The guests of this host's bridges, as the announcer needs them. */
export interface GuestEdge {
  /** Opens in the calling thread's network namespace, and stays there. */
  hear(bridgeIfindex: number): Pick<AskerSocket, "bridgeIfindex" | "drain" | "ignore" | "close">;
  portsOf(bridgeIfindex: number, tunnelIfindex: number): Pick<GuestPorts, "portOf" | "all">;
  readonly sender: Pick<FrameSender, "send" | "close">;
}

export function openGuestEdge(requests: RequestSocket): GuestEdge {
  return {
    hear: (bridgeIfindex) => new AskerSocket(bridgeIfindex),
    portsOf: (bridgeIfindex, tunnelIfindex) => new GuestPorts(requests, bridgeIfindex, tunnelIfindex),
    sender: new FrameSender(),
  };
}
