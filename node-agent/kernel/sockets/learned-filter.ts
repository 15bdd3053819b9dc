// Recognises messages about learned FDB entries, as classic BPF on struct nlmsghdr and struct ndmsg. A guest decides their
// number, so they never share a socket with messages that the agent must not miss.
import type { BpfInstruction } from "./socket-guard.ts";

const LD_B = 0x30;
const LD_H = 0x28;
const JEQ = 0x15;
const JSET = 0x45;
const RET = 0x06;
/** BPF loads in network byte order, netlink writes in the host's: little-endian on all that we run on. */
const swapped = (type: number): number => type << 8;
const RTM_NEWNEIGH = swapped(28);
const RTM_DELNEIGH = swapped(29);
const RTM_GETNEIGH = swapped(30);
const AF_BRIDGE = 7;
/** NUD_NOARP and NUD_PERMANENT: written by a program, not learned. */
const lasting = 0x40 | 0x80;
/** NTF_SELF and NTF_EXT_LEARNED: not a bridge's own, or ours. */
const notLearned = 0x02 | 0x10;

const typeAt = 4;
const familyAt = 16;
const stateAt = 24;
const flagsAt = 26;

/** All messages but misses, which have a separate socket, and learned addresses. Jumps count from the next line. */
export const changesOnly: readonly BpfInstruction[] = [
  /*  0 */ { code: LD_H, jt: 0, jf: 0, k: typeAt },
  /*  1 */ { code: JEQ, jt: 9, jf: 0, k: RTM_GETNEIGH },
  /*  2 */ { code: JEQ, jt: 1, jf: 0, k: RTM_NEWNEIGH },
  /*  3 */ { code: JEQ, jt: 0, jf: 6, k: RTM_DELNEIGH },
  /*  4 */ { code: LD_B, jt: 0, jf: 0, k: familyAt },
  /*  5 */ { code: JEQ, jt: 0, jf: 4, k: AF_BRIDGE },
  /*  6 */ { code: LD_B, jt: 0, jf: 0, k: stateAt },
  /*  7 */ { code: JSET, jt: 2, jf: 0, k: lasting },
  /*  8 */ { code: LD_B, jt: 0, jf: 0, k: flagsAt },
  /*  9 */ { code: JSET, jt: 0, jf: 1, k: notLearned },
  /* 10 */ { code: RET, jt: 0, jf: 0, k: 0xffff_ffff },
  /* 11 */ { code: RET, jt: 0, jf: 0, k: 0 },
];

/** Addresses that a bridge has learned, or moved to another port. */
export const learnedOnly: readonly BpfInstruction[] = [
  { code: LD_H, jt: 0, jf: 0, k: typeAt },
  { code: JEQ, jt: 0, jf: 7, k: RTM_NEWNEIGH },
  { code: LD_B, jt: 0, jf: 0, k: familyAt },
  { code: JEQ, jt: 0, jf: 5, k: AF_BRIDGE },
  { code: LD_B, jt: 0, jf: 0, k: stateAt },
  { code: JSET, jt: 3, jf: 0, k: lasting },
  { code: LD_B, jt: 0, jf: 0, k: flagsAt },
  { code: JSET, jt: 1, jf: 0, k: notLearned },
  { code: RET, jt: 0, jf: 0, k: 0xffff_ffff },
  { code: RET, jt: 0, jf: 0, k: 0 },
];

export const nothing: readonly BpfInstruction[] = [{ code: RET, jt: 0, jf: 0, k: 0 }];
