// The sockets of the thread that answers misses. The main thread opens them in its network namespace, sets their filters, and reads what is left in
// them when the thread has failed.

import { RTNLGRP_NEIGH } from "../codec/neighbour-codec.ts";
import { openFrameSocket } from "../sockets/guest-sockets.ts";
import {
  AF_NETLINK,
  bindSocket,
  closeSocket,
  connectSocket,
  openPipe,
  openSocket,
  receive,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  setsockopt,
} from "../sockets/libc.ts";
import { neighbourMessageBytes, receiveBytes } from "../sockets/miss-socket.ts";
import { type GuardedSocket, guardDescriptor } from "../sockets/socket-guard.ts";

const NETLINK_ROUTE = 0;
const NETLINK_ADD_MEMBERSHIP = 1;
/** Acknowledgements of some requests. */
const requestReceiveBytes = 256 * 1024;
/** Netlink addresses: any port of ours; the kernel. */
const anyAddress = Buffer.of(AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

const nothing = [{ code: 0x06, jt: 0, jf: 0, k: 0 }];

export interface ThreadSockets {
  readonly misses: number;
  readonly missSocket: GuardedSocket;
  readonly requests: number;
  readonly frames: number;
  readonly deaf: number;
  /** `read` belongs to the main thread's stream. */
  readonly wakeEnds: { readonly read: number; readonly write: number };
}

/** @throws SystemCallError; then nothing is left open */
export function openThreadSockets(): ThreadSockets {
  const opened: number[] = [];
  const open = (make: () => number): number => {
    const fd = make();
    opened.push(fd);
    return fd;
  };
  const netlink = () => openSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  try {
    const misses = open(netlink);
    const missSocket = guardDescriptor(misses, { receiveBytes, filter: nothing });
    bindSocket(misses, anyAddress);
    setsockopt(misses, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_NEIGH);
    const requests = open(netlink);
    guardDescriptor(requests, { receiveBytes: requestReceiveBytes });
    connectSocket(requests, anyAddress);
    const frames = open(openFrameSocket);
    const deaf = open(openFrameSocket);
    return { misses, missSocket, requests, frames, deaf, wakeEnds: openPipe() };
  } catch (error) {
    for (const fd of opened) closeSocket(fd);
    throw error;
  }
}

/** Misses that no thread has read. */
export function* unreadMisses({ misses }: ThreadSockets): Generator<Buffer, void> {
  const into = Buffer.alloc(neighbourMessageBytes);
  for (;;) {
    const datagram = receive(misses, into);
    if (!datagram) return;
    yield datagram;
  }
}

export function closeThreadSockets({ misses, requests, frames, deaf, wakeEnds }: ThreadSockets): void {
  for (const fd of [misses, requests, frames, deaf, wakeEnds.write]) closeSocket(fd);
}
