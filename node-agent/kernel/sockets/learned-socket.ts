// Addresses that bridges learn from guests' frames, read while there are few. A guest can make the kernel report 100,000 new
// addresses a second: the socket is then closed for a while, and the agent reads the tables instead.
import { RawNetlinkSocket } from "netlink";
import { decodeNeighbourMessage, type NeighbourMessage, RTNLGRP_NEIGH } from "../codec/neighbour-codec.ts";
import { splitMessages } from "../codec/netlink-codec.ts";
import { learnedOnly, nothing } from "./learned-filter.ts";
import { attachFilter } from "./libc.ts";
import { guardSocket } from "./socket-guard.ts";

const NETLINK_ROUTE = 0;
/** About 300 messages: the maximum that is read after a flood was detected. */
const receiveBytes = 256 * 1024;
/** Messages in one window; beside a flood of 200 ms pauses this is at most some 2,000 a second, a hundredth of a core. */
const maxPerWindow = 200;
const windowMs = 100;
const shutMs = 200;

export interface LearnedHandlers {
  onLearned(message: NeighbourMessage): void;
  /**
   * More was learned than is read, and some messages were lost. Called each time that the socket is closed. @param last the
   * message that was one too many
   */
  onFlood(last: NeighbourMessage): void;
}

export class LearnedSocket {
  private readonly socket: RawNetlinkSocket;
  private readonly fd: number;
  private windowStartMs = 0;
  private inWindow = 0;
  private reopening: NodeJS.Timeout | undefined;

  /** Opens in the calling thread's network namespace, and stays there. */
  constructor(
    private readonly handlers: LearnedHandlers,
    private readonly nowMs: () => number,
  ) {
    this.socket = new RawNetlinkSocket(NETLINK_ROUTE);
    this.fd = guardSocket(this.socket, { receiveBytes, filter: learnedOnly }).fd;
    this.socket.on("message", (datagram) => {
      for (const message of splitMessages(datagram)) {
        const neighbour = decodeNeighbourMessage(message);
        if (neighbour) this.receive(neighbour);
      }
    });
    this.socket.on("error", () => {});
    this.socket.addMembership(RTNLGRP_NEIGH);
  }

  close(): void {
    clearTimeout(this.reopening);
    this.reopening = undefined;
    this.socket.close();
  }

  private receive(message: NeighbourMessage): void {
    const nowMs = this.nowMs();
    if (nowMs - this.windowStartMs >= windowMs) {
      this.windowStartMs = nowMs;
      this.inWindow = 0;
    }
    this.inWindow++;
    // Messages that were in the buffer when the socket was closed are still read.
    this.handlers.onLearned(message);
    if (this.inWindow <= maxPerWindow || this.reopening) return;
    attachFilter(this.fd, nothing);
    this.reopening = setTimeout(() => {
      this.reopening = undefined;
      attachFilter(this.fd, learnedOnly);
    }, shutMs);
    this.handlers.onFlood(message);
  }
}
