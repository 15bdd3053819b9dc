// Notifies of changes to routes, next hops and routing rules.
import { RawNetlinkSocket } from "netlink";
import { guardSocket } from "./socket-guard.ts";

const NETLINK_ROUTE = 0;
/** RTNLGRP_IPV4_ROUTE, IPV4_RULE, IPV6_ROUTE, IPV6_RULE, NEXTHOP. */
const groups = [7, 8, 11, 19, 32];
/**
 * Lost messages do not matter: one is enough. A routing daemon changes a million routes at once, of which this holds and reads the
 * first few; the filter cuts each to its header.
 */
const receiveBytes = 32 * 1024;
const headerOnly = [{ code: 0x06, jt: 0, jf: 0, k: 16 }] as const;

/** Opens in the calling thread's network namespace. @returns what ends it */
export function watchRoutes(onChange: () => void): () => void {
  const socket = new RawNetlinkSocket(NETLINK_ROUTE);
  guardSocket(socket, { receiveBytes, filter: headerOnly });
  socket.on("message", onChange);
  socket.on("error", () => {});
  for (const group of groups) socket.addMembership(group);
  return () => socket.close();
}
