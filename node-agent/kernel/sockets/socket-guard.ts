// Makes a socket of the `netlink` package safe to keep: the package aborts the whole process on a receive overrun, and
// offers none of the options below. Its file descriptor is found through /proc and set with libc.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { RawNetlinkSocket } from "netlink";
import { attachFilter, droppedBy, SOL_NETLINK, SOL_SOCKET, setsockopt } from "./libc.ts";

const NETLINK_ROUTE = 0;
const NETLINK_NO_ENOBUFS = 5;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const SO_RCVBUFFORCE = 33;

// Of this thread, not of the process: tests open sockets in other namespaces.
const netlinkTable = "/proc/thread-self/net/netlink";

export interface GuardOptions {
  /** Receive buffer in bytes, past rmem_max: a queued miss costs about 832 bytes of it. */
  readonly receiveBytes: number;
  /** Classic BPF that decides which messages reach the socket. */
  readonly filter?: readonly BpfInstruction[];
  /** Of netlink; default NETLINK_ROUTE. */
  readonly protocol?: number;
}

/** One classic BPF instruction (struct sock_filter in linux/filter.h). */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** A socket that survives overruns, and counts the messages that they lost. */
export interface GuardedSocket {
  readonly fd: number;
  /** Messages that the kernel dropped because the buffer was full, since the socket was opened. */
  drops(): number;
}

/** @throws SystemCallError without CAP_NET_ADMIN; Error where /proc does not show the socket */
export function guardSocket(socket: RawNetlinkSocket, options: GuardOptions): GuardedSocket {
  const inode = inodeOf(socket.address().port, options.protocol ?? NETLINK_ROUTE);
  return guardDescriptor(descriptorOf(inode), options);
}

/** The same for a socket that was opened without the package. @throws SystemCallError without CAP_NET_ADMIN */
export function guardDescriptor(fd: number, options: Omit<GuardOptions, "protocol">): GuardedSocket {
  // Before anything can arrive in numbers: this one is the guard, the others are comfort.
  setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, options.receiveBytes);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  if (options.filter) attachFilter(fd, options.filter);
  return { fd, drops: () => droppedBy(fd) };
}

// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
function rowOf(match: (row: readonly string[]) => boolean): readonly string[] | undefined {
  return readFileSync(netlinkTable, "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .find(match);
}

function inodeOf(port: number, protocol: number): string {
  const inode = rowOf((row) => Number(row[1]) === protocol && Number(row[2]) === port)?.at(-1);
  if (!inode) throw new Error(`netlink port ${port} is not in ${netlinkTable}`);
  return inode;
}

function descriptorOf(inode: string): number {
  for (const name of readdirSync("/proc/self/fd")) {
    if (linkOf(`/proc/self/fd/${name}`) === `socket:[${inode}]`) return Number(name);
  }
  throw new Error(`no file descriptor of this process is socket ${inode}`);
}

/** The directory listing's own descriptor is gone by the time it is read. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
