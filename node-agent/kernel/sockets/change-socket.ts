// Changes of devices, addresses and entries by any program. This is the second subscription, separate from misses and from
// addresses that bridges learn.
import { RawNetlinkSocket } from "netlink";
import {
  decodeAddress,
  decodeLink,
  decodePortChange,
  type HostAddress,
  type Link,
  type PortOfBridge,
} from "../codec/link-codec.ts";
import { RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK } from "../codec/link-numbers.ts";
import {
  decodeNeighbourMessage,
  type NeighbourMessage,
  RTM_DELNEIGH,
  RTM_NEWNEIGH,
  RTNLGRP_NEIGH,
} from "../codec/neighbour-codec.ts";
import { type NetlinkMessage, splitMessages } from "../codec/netlink-codec.ts";
import {
  decodeFilterChange,
  RTM_DELQDISC,
  RTM_DELTFILTER,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  RTNLGRP_TC,
} from "../codec/traffic-control.ts";
import { changesOnly } from "./learned-filter.ts";
import { type GuardedSocket, guardSocket } from "./socket-guard.ts";

const NETLINK_ROUTE = 0;
const RTNLGRP_LINK = 1;
const RTNLGRP_IPV4_IFADDR = 5;
const RTNLGRP_IPV6_IFADDR = 9;
const receiveBytes = 8 * 1024 * 1024;

export interface ChangeHandlers {
  onLink(link: Link, gone: boolean): void;
  /** A bridge's settings of a port changed. */
  onPort(port: PortOfBridge): void;
  /** An address was added or removed. */
  onAddress(address: HostAddress): void;
  /** A device got or lost a qdisc or a filter. */
  onFilter(ifindex: number): void;
  /** A neighbour or FDB entry was written or deleted, also by the agent. */
  onEntry(message: NeighbourMessage): void;
}

export class ChangeSocket {
  private readonly socket: RawNetlinkSocket;
  private readonly guard: GuardedSocket;

  /** Opens in the calling thread's network namespace, and stays there. */
  constructor(private readonly handlers: ChangeHandlers) {
    this.socket = new RawNetlinkSocket(NETLINK_ROUTE);
    this.guard = guardSocket(this.socket, { receiveBytes, filter: changesOnly });
    this.socket.on("message", (datagram) => {
      for (const message of splitMessages(datagram)) this.dispatch(message);
    });
    // The subscription survives a receive error; `drops` counts the lost messages.
    this.socket.on("error", () => {});
    for (const group of [RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_TC, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]) {
      this.socket.addMembership(group);
    }
  }

  /** Changes that the kernel dropped because the reader was too slow, since the start. */
  drops(): number {
    return this.guard.drops();
  }

  close(): void {
    this.socket.close();
  }

  private dispatch(message: NetlinkMessage): void {
    switch (message.type) {
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH: {
        const neighbour = decodeNeighbourMessage(message);
        if (neighbour) this.handlers.onEntry(neighbour);
        break;
      }
      case RTM_NEWLINK:
      case RTM_DELLINK: {
        const link = decodeLink({ ...message, type: RTM_NEWLINK });
        const port = decodePortChange(message);
        if (link) this.handlers.onLink(link, message.type === RTM_DELLINK);
        if (port) this.handlers.onPort(port);
        break;
      }
      case RTM_NEWQDISC:
      case RTM_DELQDISC:
      case RTM_NEWTFILTER:
      case RTM_DELTFILTER: {
        const ifindex = decodeFilterChange(message);
        if (ifindex !== undefined) this.handlers.onFilter(ifindex);
        break;
      }
      case RTM_NEWADDR:
      case RTM_DELADDR: {
        const address = decodeAddress(message);
        if (address) this.handlers.onAddress(address);
        break;
      }
    }
  }
}
