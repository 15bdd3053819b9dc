// The subscription to the kernel's neighbour misses (RTNLGRP_NEIGH).
import { RawNetlinkSocket } from "netlink";
import type { Vni } from "../../schema/index.ts";
import type { Miss } from "../misses/miss.ts";
import { decodeMiss, decodeNeighbourMessage, NUD_STALE, RTM_GETNEIGH, RTNLGRP_NEIGH } from "./neighbour-codec.ts";
import { splitMessages } from "./netlink-codec.ts";
import { type BpfInstruction, type GuardedSocket, guardSocket } from "./socket-guard.ts";

const NETLINK_ROUTE = 0;
/** About 5,000 misses of a storm wait here (the kernel doubles the size). More would only be older when they are read. */
const receiveBytes = 2 * 1024 * 1024;
/** Larger than any neighbour message: the package reads it in one call instead of peeking at its size first. */
const messageBytes = 512;

const BPF_LD_H_ABS = 0x28;
const BPF_JEQ_K = 0x15;
const BPF_RET_K = 0x06;
const bigEndian = (value: number): number => ((value & 0xff) << 8) | (value >> 8);

/**
 * Only what can be a miss: RTM_GETNEIGH whose ndm_state is NUD_STALE. Keeps the agent's own changes (RTM_NEWNEIGH) and
 * the ARP probes of the host's stack out of the buffer. BPF loads in network byte order, netlink writes in the host's.
 */
const missesOnly: readonly BpfInstruction[] = [
  { code: BPF_LD_H_ABS, jt: 0, jf: 0, k: 4 }, // nlmsg_type
  { code: BPF_JEQ_K, jt: 0, jf: 3, k: bigEndian(RTM_GETNEIGH) },
  { code: BPF_LD_H_ABS, jt: 0, jf: 0, k: 16 + 8 }, // ndm_state
  { code: BPF_JEQ_K, jt: 0, jf: 1, k: bigEndian(NUD_STALE) },
  { code: BPF_RET_K, jt: 0, jf: 0, k: 0xffff_ffff },
  { code: BPF_RET_K, jt: 0, jf: 0, k: 0 },
];

export class MissSocket {
  private readonly socket: RawNetlinkSocket;
  private readonly guard: GuardedSocket;

  /**
   * Opens in the calling thread's network namespace, and stays there.
   * @param vniOf the network behind a vxlan device of ours; other devices' misses are nobody's here
   * @param onMiss called for every missed frame: the kernel neither deduplicates nor limits
   */
  constructor(vniOf: (ifindex: number) => Vni | undefined, onMiss: (miss: Miss) => void) {
    this.socket = new RawNetlinkSocket(NETLINK_ROUTE, {
      messagePeeking: false,
      msgBufferSize: messageBytes,
      recvBufferSize: receiveBytes,
      sendBufferSize: 0,
    });
    this.guard = guardSocket(this.socket, { receiveBytes, filter: missesOnly });
    this.socket.on("message", (datagram) => {
      for (const message of splitMessages(datagram)) {
        const neighbour = decodeNeighbourMessage(message);
        const miss = neighbour && decodeMiss(neighbour, vniOf);
        if (miss) onMiss(miss);
      }
    });
    // A receive error leaves the subscription standing; what was lost shows in `drops`.
    this.socket.on("error", () => {});
    this.socket.addMembership(RTNLGRP_NEIGH);
  }

  /** Misses that the kernel dropped because the reader was too slow, since the start. */
  drops(): number {
    return this.guard.drops();
  }

  close(): void {
    this.socket.close();
  }
}
