// Encodes the question for the route to an address, and decodes the kernel's answer (include/uapi/linux/rtnetlink.h). No I/O.
import { familyOf, ipToBytes, type VtepAddress } from "../../../schema/address/index.ts";
import { familyNumber } from "./neighbour-codec.ts";
import { attribute, be16, type NetlinkMessage, parseAttributes, readU32, u8, u32 } from "./netlink-codec.ts";

const RTM_NEWROUTE = 24;
export const RTM_GETROUTE = 26;
const rtmsgBytes = 12;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_IP_PROTO = 27;
const RTA_DPORT = 29;
const RTAX_MTU = 2;
const RTN_LOCAL = 2;
/** The route itself, with all its next hops, instead of the one that a flow takes. */
const RTM_F_FIB_MATCH = 0x2000;
const RTNH_F_DEAD = 1;
const RTNH_F_LINKDOWN = 16;
const rtnexthopBytes = 8;
const IPPROTO_UDP = 17;

export interface RouteQuestion {
  readonly to: VtepAddress;
  readonly from: VtepAddress;
  /** UDP port of the destination: rules may look at it. */
  readonly port: number;
}

/** As the kernel looks it up for a tunnelled frame (udp_tunnel_dst_lookup() in net/ipv4/udp_tunnel_core.c). */
export function encodeRouteGet({ to, from, port }: RouteQuestion): Buffer {
  const bits = familyOf(to) === 4 ? 32 : 128;
  const head = Buffer.alloc(rtmsgBytes);
  head.writeUInt8(familyNumber(to), 0);
  head.writeUInt8(bits, 1);
  head.writeUInt8(bits, 2);
  u32(RTM_F_FIB_MATCH).copy(head, 8);
  return Buffer.concat([
    head,
    attribute(RTA_DST, ipToBytes(to)),
    attribute(RTA_SRC, ipToBytes(from)),
    attribute(RTA_IP_PROTO, u8(IPPROTO_UDP)),
    attribute(RTA_DPORT, be16(port)),
  ]);
}

export interface DecodedRoute {
  /** The address is one of this host. */
  readonly isLocal: boolean;
  /** ifindexes of the next hops that are in use. */
  readonly hops: readonly number[];
  /** Of the route itself; absent: that of the link. */
  readonly mtu?: number;
}

export function decodeRoute({ type, payload }: NetlinkMessage): DecodedRoute | undefined {
  if (type !== RTM_NEWROUTE || payload.length < rtmsgBytes) return undefined;
  const attributes = parseAttributes(payload.subarray(rtmsgBytes));
  const mtu = readU32(parseAttributes(attributes.get(RTA_METRICS) ?? Buffer.alloc(0)).get(RTAX_MTU));
  const several = decodeHops(attributes.get(RTA_MULTIPATH) ?? Buffer.alloc(0));
  const one = readU32(attributes.get(RTA_OIF));
  return {
    isLocal: payload.readUInt8(7) === RTN_LOCAL,
    hops: [...new Set([...several, ...(one === undefined ? [] : [one])])],
    ...(mtu ? { mtu } : {}),
  };
}

/** struct rtnexthop, each with its attributes behind it. */
function decodeHops(bytes: Buffer): number[] {
  const hops: number[] = [];
  for (let at = 0; at + rtnexthopBytes <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < rtnexthopBytes) break;
    if ((bytes.readUInt8(at + 2) & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) === 0) hops.push(bytes.readInt32LE(at + 4));
    at += (length + 3) & ~3;
  }
  return hops;
}
