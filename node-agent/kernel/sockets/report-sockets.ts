// Reports of IGMP and MLD that guests send. AF_PACKET sockets: one on each guest's port, so that a report needs no look-up of where it came
// from, and one on the bridge, which sees that there is something to read: only that is polled.
import { openListener } from "./guest-sockets.ts";
import { closeSocket, receive, SystemCallError } from "./libc.ts";
import type { BpfInstruction } from "./socket-guard.ts";

/** Some 100 reports of one port: a second of a guest that does nothing else is more, and is asked again. */
const portBytes = 128 * 1024;
const bridgeBytes = 32 * 1024;
/** A report in a frame of any usual MTU. */
const wholeBytes = 9_216;
const noticeBytes = 64;

const LD_B = 0x30;
const LD_H = 0x28;
const SKF_AD = 0xffff_f000;
const SKF_AD_PKTTYPE = SKF_AD + 4;
const SKF_AD_VLAN_TAG_PRESENT = SKF_AD + 48;
const JEQ = 0x15;
const RET = 0x06;
const PACKET_OUTGOING = 4;

/**
 * Received untagged IGMP, ICMPv6 behind hop-by-hop options of 8 bytes that is a report of MLD, and RARP: a live migration announces its guest
 * so. Jumps count from the next line.
 */
const reportsOnly = (bytes: number): readonly BpfInstruction[] => [
  /*  0 */ { code: LD_B, jt: 0, jf: 0, k: SKF_AD_PKTTYPE },
  /*  1 */ { code: JEQ, jt: 17, jf: 0, k: PACKET_OUTGOING },
  /*  2 */ { code: LD_B, jt: 0, jf: 0, k: SKF_AD_VLAN_TAG_PRESENT },
  /*  3 */ { code: JEQ, jt: 0, jf: 15, k: 0 },
  /*  4 */ { code: LD_H, jt: 0, jf: 0, k: 12 }, // EtherType
  /*  5 */ { code: JEQ, jt: 12, jf: 0, k: 0x8035 },
  /*  6 */ { code: JEQ, jt: 0, jf: 2, k: 0x0800 },
  /*  7 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 9 }, // IPv4 protocol
  /*  8 */ { code: JEQ, jt: 9, jf: 10, k: 2 },
  /*  9 */ { code: JEQ, jt: 0, jf: 9, k: 0x86dd },
  /* 10 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 6 }, // IPv6 next header
  /* 11 */ { code: JEQ, jt: 0, jf: 7, k: 0 },
  /* 12 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 40 }, // next header behind the options
  /* 13 */ { code: JEQ, jt: 0, jf: 5, k: 58 },
  /* 14 */ { code: LD_B, jt: 0, jf: 0, k: 14 + 48 }, // ICMPv6 type
  /* 15 */ { code: JEQ, jt: 2, jf: 0, k: 131 },
  /* 16 */ { code: JEQ, jt: 1, jf: 0, k: 132 },
  /* 17 */ { code: JEQ, jt: 0, jf: 1, k: 143 },
  /* 18 */ { code: RET, jt: 0, jf: 0, k: bytes },
  /* 19 */ { code: RET, jt: 0, jf: 0, k: 0 },
];

/** Read and decoded in one turn. */
const frame = Buffer.alloc(wholeBytes);

/** What passes the filter on one device. */
export class ReportSocket {
  private readonly fd: number;

  /** Opens in the calling thread's network namespace. @throws SystemCallError where there is no such device */
  constructor(ifindex: number, on: "port" | "bridge") {
    const isPort = on === "port";
    this.fd = openListener(ifindex, reportsOnly(isPort ? wholeBytes : noticeBytes), isPort ? portBytes : bridgeBytes);
  }

  /** The next frame, without waiting; the next call of any socket overwrites it. A device that was deleted returns one error, and nothing more. */
  next(): Buffer | undefined {
    try {
      return receive(this.fd, frame);
    } catch (error) {
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }

  close(): void {
    closeSocket(this.fd);
  }
}
