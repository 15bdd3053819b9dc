// What the guest behind one port says about addresses: an AF_PACKET socket on the port itself, so that a frame needs no look-up of where
// it came from. The agent drains it; a guest's data does not pass its filter.
import { decodeClaim, type HeardClaim } from "../codec/packet-codec.ts";
import { openListener } from "./guest-sockets.ts";
import { closeSocket, receive, SystemCallError } from "./libc.ts";
import type { BpfInstruction } from "./socket-guard.ts";

/** About 60 frames. */
const receiveBytes = 48 * 1024;
/** Ethernet, IPv6 and an advertisement with one option. */
const snapBytes = 128;

const LD_B = 0x30;
const LD_H = 0x28;
const SKF_AD_PKTTYPE = 0xffff_f000 + 4;
const JEQ = 0x15;
const RET = 0x06;
const PACKET_OUTGOING = 4;

/** Received ARP frames, solicitations and advertisements. Jumps count from the next line. */
const claimsOnly: readonly BpfInstruction[] = [
  /* 0 */ { code: LD_B, jt: 0, jf: 0, k: SKF_AD_PKTTYPE },
  /* 1 */ { code: JEQ, jt: 9, jf: 0, k: PACKET_OUTGOING },
  /* 2 */ { code: LD_H, jt: 0, jf: 0, k: 12 }, // EtherType
  /* 3 */ { code: JEQ, jt: 6, jf: 0, k: 0x0806 },
  /* 4 */ { code: JEQ, jt: 0, jf: 6, k: 0x86dd },
  /* 5 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 6 }, // IPv6 next header
  /* 6 */ { code: JEQ, jt: 0, jf: 4, k: 58 },
  /* 7 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 40 }, // ICMPv6 type
  /* 8 */ { code: JEQ, jt: 1, jf: 0, k: 135 },
  /* 9 */ { code: JEQ, jt: 0, jf: 1, k: 136 },
  /* 10 */ { code: RET, jt: 0, jf: 0, k: snapBytes },
  /* 11 */ { code: RET, jt: 0, jf: 0, k: 0 },
];

export class ClaimSocket {
  private readonly fd: number;
  private readonly frame = Buffer.alloc(snapBytes);

  /** Opens in the calling thread's network namespace. @throws SystemCallError where there is no such device */
  constructor(ifindex: number) {
    this.fd = openListener(ifindex, claimsOnly, receiveBytes);
  }

  /** The oldest first, without waiting for more. */
  drain(max: number): HeardClaim[] {
    const heard: HeardClaim[] = [];
    for (let i = 0; i < max; i++) {
      const frame = this.next();
      if (!frame) break;
      const claim = decodeClaim(frame);
      if (claim) heard.push(claim);
    }
    return heard;
  }

  close(): void {
    closeSocket(this.fd);
  }

  /** A device that was deleted returns one error, and nothing more. */
  private next(): Buffer | undefined {
    try {
      return receive(this.fd, this.frame);
    } catch (error) {
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }
}
