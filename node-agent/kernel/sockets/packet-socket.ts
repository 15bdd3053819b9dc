// AF_PACKET sockets: one on each bridge that hears who asks for whom, and one for the host that answers out of guests'
// ports. Neither is waited on: the first is drained when a miss or an answer makes it worth looking.

import { type MacAddress, macToBytes } from "../../../schema/index.ts";
import type { Heard } from "../../misses/waiting.ts";
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
import type { BpfInstruction } from "./socket-guard.ts";

const ETH_P_ALL = 0x0003;
const SO_RCVBUFFORCE = 33;
/** About 300 requests: with more the agent cannot find the sender in time, and sends the answer to all guests. */
const receiveBytes = 256 * 1024;
/** Frames read in one go, so that a scanning guest cannot hold the process. */
const maxDrain = 512;
/** Ethernet + IPv6 + a solicitation with one option; the rest of a longer frame says nothing about who asks. */
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

/** Drops what one of these guests sends; anything else goes on to `questionsOnly`. */
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

/** Hears the questions that guests of one bridge broadcast. Sees no unicast data: a bridge keeps that to its ports. */
export class AskerSocket {
  private readonly fd: number;
  private readonly frame = Buffer.alloc(snapBytes);

  /** Opens in the calling thread's network namespace, and stays there. */
  constructor(readonly bridgeIfindex: number) {
    // Protocol 0 receives nothing: no frame can slip in between opening and the filter.
    this.fd = openSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, receiveBytes);
    attachFilter(this.fd, questionsOnly);
    bindSocket(this.fd, linkAddress(bridgeIfindex, ETH_P_ALL));
  }

  /** What is waiting to be read, oldest first, without waiting for more. */
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

  /** Hears nothing of these guests from now on, and all others again: the buffer is theirs. */
  ignore(macs: readonly MacAddress[]): void {
    attachFilter(this.fd, [...exceptFrom(macs.slice(0, maxIgnored)), ...questionsOnly]);
  }

  close(): void {
    closeSocket(this.fd);
  }

  /** A device that went down or away says so once as an error, and there is nothing more to read. */
  private next(): Buffer | undefined {
    try {
      return receive(this.fd, this.frame);
    } catch (error) {
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }
}

/** Sends frames out of single devices: never through a bridge, which would let them into the tunnel. */
export class FrameSender {
  private readonly fd = openSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  /** @returns whether the device took the frame; a guest that misses one asks again */
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
