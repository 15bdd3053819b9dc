// The subscription to the kernel's neighbour misses (RTNLGRP_NEIGH).
import { RawNetlinkSocket } from "netlink";
import type { IpAddress, Vni } from "../../../schema/address/index.ts";
import type { Miss } from "../../misses/miss.ts";
import {
  decodeMiss,
  decodeNeighbourMessage,
  NDA_DST,
  NUD_STALE,
  RTM_GETNEIGH,
  RTNLGRP_NEIGH,
} from "../codec/neighbour-codec.ts";
import { splitMessages } from "../codec/netlink-codec.ts";
import { attachFilter } from "./libc.ts";
import { type BpfInstruction, type GuardedSocket, guardSocket } from "./socket-guard.ts";

const NETLINK_ROUTE = 0;
/** About 5,000 misses of a storm wait here (the kernel doubles the size). More would only be staler when they are read. */
export const receiveBytes = 2 * 1024 * 1024;
/** Larger than any neighbour message: the package reads it in one call instead of peeking at its size first. */
export const neighbourMessageBytes = 512;

const BPF_LD_W_ABS = 0x20;
const BPF_LD_H_ABS = 0x28;
const BPF_JA = 0x05;
const BPF_JEQ_K = 0x15;
const BPF_RET_K = 0x06;
const networkOrder16 = (value: number): number => ((value & 0xff) << 8) | (value >> 8);
function networkOrder32(value: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes.readUInt32BE();
}

const typeAt = 4;
const ifindexAt = 16 + 4;
const stateAt = 16 + 8;
/** Type of the first attribute: an l3miss begins with its address, an l2miss has none (vxlan_ip_miss()). */
const attributeAt = 16 + 12 + 2;
/** Within a filter's 4,096 instructions. */
const maxShutOut = 256;

const drop: BpfInstruction = { code: BPF_RET_K, jt: 0, jf: 0, k: 0 };
const take: BpfInstruction = { code: BPF_RET_K, jt: 0, jf: 0, k: 0xffff_ffff };

/** Devices whose misses the socket drops. */
export interface ShutOutDevices {
  /** By ifindex: of unknown addresses. */
  readonly l3: readonly number[];
  /** The same, of unknown MACs. */
  readonly l2: readonly number[];
}

/** `then` for these devices, `otherwise` for the others. */
const choose = (
  ifindexes: readonly number[],
  then: BpfInstruction,
  otherwise: BpfInstruction,
): readonly BpfInstruction[] => [
  { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: ifindexAt },
  ...ifindexes.flatMap((ifindex): BpfInstruction[] => [
    { code: BPF_JEQ_K, jt: 0, jf: 1, k: networkOrder32(ifindex) },
    then,
  ]),
  otherwise,
];
const dropOf = (ifindexes: readonly number[]): readonly BpfInstruction[] =>
  choose(ifindexes.slice(0, 2 * maxShutOut), drop, take);

/**
 * Only what can be a miss: RTM_GETNEIGH whose ndm_state is NUD_STALE. Keeps the agent's own changes (RTM_NEWNEIGH) and
 * the ARP probes of the host's stack out of the buffer. BPF loads in network byte order, netlink writes in the host's. A jump of
 * BPF_JEQ reaches 255 instructions, hence the unconditional one.
 */
function missesOnly(unknownIp: readonly BpfInstruction[], unknownMac: readonly BpfInstruction[]): BpfInstruction[] {
  return [
    { code: BPF_LD_H_ABS, jt: 0, jf: 0, k: typeAt },
    { code: BPF_JEQ_K, jt: 1, jf: 0, k: networkOrder16(RTM_GETNEIGH) },
    drop,
    { code: BPF_LD_H_ABS, jt: 0, jf: 0, k: stateAt },
    { code: BPF_JEQ_K, jt: 1, jf: 0, k: networkOrder16(NUD_STALE) },
    drop,
    { code: BPF_LD_H_ABS, jt: 0, jf: 0, k: attributeAt },
    { code: BPF_JEQ_K, jt: 0, jf: 1, k: networkOrder16(NDA_DST) },
    { code: BPF_JA, jt: 0, jf: 0, k: unknownMac.length },
    ...unknownMac,
    ...unknownIp,
  ];
}

/** Of a second reader. */
export interface SecondSocket {
  readonly fd: number;
  drops(): number;
}

export class MissSocket {
  private readonly socket: RawNetlinkSocket;
  private readonly guard: GuardedSocket;
  private shut: ShutOutDevices = { l3: [], l2: [] };
  private second: SecondSocket | undefined;
  /** Devices whose misses of unknown addresses go to the second socket. */
  private given: readonly number[] = [];
  /** Messages that earlier second sockets lost. */
  private droppedBefore = 0;
  private listeners: readonly ((miss: Miss, ifindex: number) => void)[] = [];

  /**
   * Opens in the calling thread's network namespace, and stays there.
   * @param vniOf the network behind a vxlan device of ours; misses of other devices are ignored
   */
  constructor(private readonly vniOf: (ifindex: number) => Vni | undefined) {
    this.socket = new RawNetlinkSocket(NETLINK_ROUTE, {
      messagePeeking: false,
      msgBufferSize: neighbourMessageBytes,
      recvBufferSize: receiveBytes,
      sendBufferSize: 0,
    });
    this.guard = guardSocket(this.socket, { receiveBytes, filter: missesOnly(dropOf([]), dropOf([])) });
    // The subscription survives a receive error; `drops` counts the lost messages.
    this.socket.on("error", () => {});
  }

  /**
   * Subscribes: misses arrive from now on.
   * @param listeners each is called for every missed frame, with the ifindex of the vxlan device: the kernel neither
   * deduplicates nor limits
   */
  read(...listeners: readonly ((miss: Miss, ifindex: number) => void)[]): void {
    this.listen(...listeners);
    this.socket.addMembership(RTNLGRP_NEIGH);
  }

  /** The same without the subscription: only what is sent to its port arrives. */
  listen(...listeners: readonly ((miss: Miss, ifindex: number) => void)[]): void {
    this.listeners = listeners;
    this.socket.on("message", (datagram) => this.dispatch(datagram));
  }

  /** Of netlink. */
  get port(): number {
    return this.socket.address().port;
  }

  /** A miss, as it was read from the kernel by whichever reader. */
  dispatch(datagram: Buffer): void {
    // Queued before the filter was set: thousands, which the decoder can skip.
    if (this.isShutOut(datagram)) return;
    for (const message of splitMessages(datagram)) {
      const neighbour = decodeNeighbourMessage(message);
      const miss = neighbour && decodeMiss(neighbour, this.vniOf);
      if (miss) for (const listener of this.listeners) listener(miss, neighbour.ifindex);
    }
  }

  /** The same of an address that the second reader has missed. */
  hand(ip: IpAddress, ifindex: number): void {
    const vni = this.vniOf(ifindex);
    if (vni === undefined || this.shut.l3.includes(ifindex)) return;
    for (const listener of this.listeners) listener({ kind: "l3miss", vni, ip }, ifindex);
  }

  /** A second reader, which gets no misses yet. */
  addSecond(second: SecondSocket): void {
    attachFilter(second.fd, missesOnly(choose([], take, drop), [drop]));
    this.second = second;
  }

  /** The second socket gets the misses of unknown addresses of exactly these devices from now on. In between both may, and none is lost. */
  give(ifindexes: readonly number[]): void {
    const before = this.given;
    this.given = [...new Set([...before, ...ifindexes])];
    this.filterSecond();
    this.filterOwn(ifindexes);
    this.given = ifindexes;
    this.filterSecond();
  }

  /** This reader gets all misses again. */
  dropSecond(): void {
    this.given = [];
    this.filterOwn([]);
    this.droppedBefore += this.second?.drops() ?? 0;
    this.second = undefined;
  }

  /** Misses that the kernel dropped because the reader was too slow, since the start. */
  drops(): number {
    return this.guard.drops() + this.droppedBefore + (this.second?.drops() ?? 0);
  }

  /** Drops the misses of exactly these devices from now on, including queued ones. */
  shutOut(devices: ShutOutDevices): void {
    if (JSON.stringify(devices) === JSON.stringify(this.shut)) return;
    const l3 = devices.l3.slice(0, maxShutOut);
    this.shut = { l3, l2: devices.l2.slice(0, maxShutOut) };
    this.filterSecond();
    this.filterOwn(this.given);
  }

  close(): void {
    this.socket.close();
  }

  private filterOwn(given: readonly number[]): void {
    const { l3, l2 } = this.shut;
    attachFilter(this.guard.fd, missesOnly(dropOf([...l3, ...given]), dropOf(l2)));
  }

  private filterSecond(): void {
    if (!this.second) return;
    const devices = this.given.filter((ifindex) => !this.shut.l3.includes(ifindex));
    attachFilter(this.second.fd, missesOnly(choose(devices, take, drop), [drop]));
  }

  private isShutOut(datagram: Buffer): boolean {
    const { l3, l2 } = this.shut;
    if (l3.length + l2.length === 0 || datagram.length < attributeAt + 2) return false;
    return (datagram.readUInt16LE(attributeAt) === NDA_DST ? l3 : l2).includes(datagram.readInt32LE(ifindexAt));
  }
}
