// Neighbour and FDB messages as bytes (include/uapi/linux/neighbour.h): misses in, entries in and out. No I/O.
import {
  familyOf,
  findIp,
  findMac,
  type IpAddress,
  ipToBytes,
  type MacAddress,
  macToBytes,
  type Vni,
  type VtepAddress,
} from "../../../schema/address/index.ts";
import type { Miss } from "../../misses/miss.ts";
import type { ActualEntry, BroadcastEntry, Entry, Place, TunnelEntry } from "../../tables/entry.ts";
import {
  type Attributes,
  attributeBytes,
  be16,
  type NetlinkMessage,
  parseAttributes,
  readBe16,
  readU32,
  u8,
  u32,
  writeAttribute,
} from "./netlink-codec.ts";

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;
export const RTNLGRP_NEIGH = 3;
export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;
export const NUD_STALE = 0x04;
export const NUD_FAILED = 0x20;
export const NUD_NOARP = 0x40;
export const NUD_PERMANENT = 0x80;
export const NTF_SELF = 0x02;
export const NTF_MASTER = 0x04;
export const NTF_EXT_LEARNED = 0x10;
const NTF_STICKY = 0x40;
export const NTF_ROUTER = 0x80;
export const NDA_DST = 1;
export const NDA_LLADDR = 2;
const NDA_CACHEINFO = 3;
const NDA_PORT = 6;
const NDA_VNI = 7;
const NDA_IFINDEX = 8;
const NDA_MASTER = 9;
const NDA_PROTOCOL = 12;
const NDA_NH_ID = 13;
/** Where an entry with nexthops leads to is in them: nowhere that an entry of the agent leads to. */
const behindNexthops = "0.0.0.0" as VtepAddress;

/** Marks neighbours of the agent (NDA_PROTOCOL); a number that rtnetlink.h does not assign. */
export const ownProtocol = 78;

const ndmsgBytes = 12;

/** One ndmsg with its attributes, not yet judged. */
export interface NeighbourMessage {
  readonly type: number;
  readonly family: number;
  readonly ifindex: number;
  readonly state: number;
  readonly flags: number;
  readonly attributes: Attributes;
}

/** The ndmsg in a netlink message, or undefined where it is of another type or too short. */
export function decodeNeighbourMessage(message: NetlinkMessage): NeighbourMessage | undefined {
  const { type, payload } = message;
  if (type < RTM_NEWNEIGH || type > RTM_GETNEIGH || payload.length < ndmsgBytes) return undefined;
  return {
    type,
    family: payload.readUInt8(0),
    ifindex: payload.readInt32LE(4),
    state: payload.readUInt16LE(8),
    flags: payload.readUInt8(10),
    attributes: parseAttributes(payload.subarray(ndmsgBytes)),
  };
}

/**
 * A vxlan miss, or undefined for anything else on RTNLGRP_NEIGH. Misses carry no usable VNI: `vniOf` returns the
 * device's. Misses of addresses that no interface can have (multicast, unspecified) are ignored. Source: vxlan_ip_miss() and
 * vxlan_fdb_miss() in drivers/net/vxlan/vxlan_core.c.
 */
export function decodeMiss(message: NeighbourMessage, vniOf: (ifindex: number) => Vni | undefined): Miss | undefined {
  if (message.type !== RTM_GETNEIGH || message.state !== NUD_STALE) return undefined;
  const vni = vniOf(message.ifindex);
  if (vni === undefined) return undefined;
  const destination = message.attributes.get(NDA_DST);
  if (destination) {
    const ip = findIp(destination);
    return ip && { kind: "l3miss", vni, ip };
  }
  const mac = findMac(message.attributes.get(NDA_LLADDR) ?? Buffer.alloc(0));
  return mac && { kind: "l2miss", vni, mac };
}

/** The vxlan device that entries of a network stand on. */
export interface EntryDevice {
  readonly ifindex: number;
  /** The bridge that it is a port of. */
  readonly bridgeIfindex: number;
  readonly vni: Vni;
  /** Its UDP port: what an FDB entry without NDA_PORT uses. */
  readonly vtepPort: number;
}

/**
 * A unicast, broadcast or multicast entry on a network's vxlan device, or undefined for anything else. Entries of the agent are neighbours with our
 * protocol tag, and FDB entries with `extern_learn` (where NDA_PROTOCOL is acknowledged and lost).
 */
export function decodeEntry(message: NeighbourMessage, device: EntryDevice): ActualEntry | undefined {
  const place = decodePlace(message, device);
  const { attributes, flags, state } = message;
  if (!place) return undefined;
  const lasting = (state & (NUD_PERMANENT | NUD_NOARP)) !== 0;
  if (place.kind === "neighbour") {
    const mac = findMac(attributes.get(NDA_LLADDR) ?? Buffer.alloc(0));
    return mac && { entry: { ...place, mac }, own: attributes.get(NDA_PROTOCOL)?.[0] === ownProtocol, lasting };
  }
  const own = (flags & NTF_EXT_LEARNED) !== 0;
  if (place.kind === "broadcast") {
    // With another VNI or a device, which the agent never writes, it is another destination, and is not deleted by this one's values.
    const isPlain = !attributes.has(NDA_VNI) && !attributes.has(NDA_IFINDEX);
    return { entry: place, own: own && isPlain, lasting };
  }
  const { vni, mac } = place;
  // The bridge does not age what is extern_learn, whatever its state says.
  if (place.kind === "bridge") return { entry: { kind: "bridge", vni, mac }, own, lasting: own || lasting };
  const hasNexthops = attributes.has(NDA_NH_ID);
  const end = hasNexthops ? { vtep: behindNexthops, vtepPort: device.vtepPort } : readDestination(message, device);
  if (!end) return undefined;
  const router = (flags & NTF_ROUTER) !== 0;
  const entry = {
    kind: "tunnel",
    vni,
    mac,
    ...end,
    ...(router ? { router } : {}),
  } as const;
  // The kernel acknowledges a replacement and changes nothing (vxlan_fdb_replace()), so it has to be deleted: as one of others.
  return { entry, own: own && !hasNexthops, lasting };
}

/** Where an FDB entry of the tunnel leads to. */
function readDestination(
  { attributes }: NeighbourMessage,
  device: EntryDevice,
): Pick<TunnelEntry, "vtep" | "vtepPort"> | undefined {
  const vtep = findIp(attributes.get(NDA_DST) ?? Buffer.alloc(0));
  const vtepPort = attributes.has(NDA_PORT) ? readBe16(attributes.get(NDA_PORT)) : device.vtepPort;
  return vtep && vtepPort !== undefined ? { vtep: vtep as VtepAddress, vtepPort } : undefined;
}

/** The place of the entry in a message: a deleted neighbour has already lost its MAC address. */
export function decodePlace(message: NeighbourMessage, device: EntryDevice): Place | undefined {
  if (message.type === RTM_GETNEIGH || message.ifindex !== device.ifindex) return undefined;
  const { vni } = device;
  if (message.family !== AF_BRIDGE) {
    const ip = findIp(message.attributes.get(NDA_DST) ?? Buffer.alloc(0));
    return ip && { kind: "neighbour", vni, ip };
  }
  const lladdr = message.attributes.get(NDA_LLADDR);
  if ((message.flags & NTF_SELF) !== 0 && lladdr && isGroupAddress(lladdr)) {
    const end = readDestination(message, device);
    return end && { kind: "broadcast", vni, mac: macText(lladdr), ...end };
  }
  const mac = findMac(lladdr ?? Buffer.alloc(0));
  return mac && { kind: (message.flags & NTF_SELF) === 0 ? "bridge" : "tunnel", vni, mac };
}

/** Broadcast or multicast: IEEE 802's I/G bit. */
const isGroupAddress = (bytes: Uint8Array): boolean => bytes.length === 6 && ((bytes[0] ?? 0) & 1) === 1;

const macText = (bytes: Uint8Array): MacAddress =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":") as MacAddress;

/**
 * An entry of another program that hides misses: an all-zeros FDB entry those of all MACs, a neighbour that is not permanent those of its
 * IP address, for which the proxy then answers nothing either. Source: vxlan_find_mac() and arp_reduce() in vxlan_core.c.
 */
export function findHiding({ family, flags, state, attributes }: NeighbourMessage): "flood" | IpAddress | undefined {
  if (family === AF_BRIDGE) {
    const isZero = attributes.get(NDA_LLADDR)?.every((byte) => byte === 0) ?? false;
    return (flags & NTF_SELF) !== 0 && isZero ? "flood" : undefined;
  }
  const lasting = (state & (NUD_PERMANENT | NUD_NOARP)) !== 0;
  return lasting ? undefined : findIp(attributes.get(NDA_DST) ?? Buffer.alloc(0));
}

/** The MAC address of an entry of the tunnel's FDB that leads to nexthops, as only other programs make them. */
export function findBehindNexthops({ family, flags, attributes }: NeighbourMessage): MacAddress | undefined {
  const isThat = family === AF_BRIDGE && (flags & NTF_SELF) !== 0 && attributes.has(NDA_NH_ID);
  return isThat ? findMac(attributes.get(NDA_LLADDR) ?? Buffer.alloc(0)) : undefined;
}

/** The MAC address that an FDB entry of a bridge is about, and the bridge; undefined for anything else. */
export function decodeBridgeEntry(message: NeighbourMessage): { mac: MacAddress; bridgeIfindex: number } | undefined {
  const bridgeIfindex = readU32(message.attributes.get(NDA_MASTER));
  const mac = findMac(message.attributes.get(NDA_LLADDR) ?? Buffer.alloc(0));
  if (message.family !== AF_BRIDGE || bridgeIfindex === undefined || !mac) return undefined;
  return { mac, bridgeIfindex };
}

/** A bridge's entry on one of its ports: learned from a frame, or pinned by the agent. Undefined for other entries. */
export function decodePortEntry(
  { family, ifindex, flags, state, attributes }: NeighbourMessage,
  portIfindex: number,
): { readonly kind: "learned" | "pinned"; readonly mac: MacAddress } | undefined {
  const mac = findMac(attributes.get(NDA_LLADDR) ?? Buffer.alloc(0));
  if (family !== AF_BRIDGE || ifindex !== portIfindex || !mac || (flags & NTF_SELF) !== 0) return undefined;
  if ((flags & NTF_EXT_LEARNED) !== 0) return { kind: "pinned", mac };
  return (state & (NUD_PERMANENT | NUD_NOARP)) === 0 ? { kind: "learned", mac } : undefined;
}

/** Ages in struct nda_cacheinfo are in clock ticks for user space: USER_HZ, 100 a second on every architecture we run on. */
const msPerTick = 10;

/**
 * How long ago the tunnel last used its entry for a MAC, in ms: a frame sent there, or a guest's ARP request or neighbour
 * solicitation answered for it (vxlan_find_mac()). Replacing the entry does not count. Undefined for other messages.
 */
export function decodeIdle(message: NeighbourMessage): { mac: MacAddress; idleMs: number } | undefined {
  const mac = findMac(message.attributes.get(NDA_LLADDR) ?? Buffer.alloc(0));
  const ages = message.attributes.get(NDA_CACHEINFO);
  if (message.family !== AF_BRIDGE || (message.flags & NTF_SELF) === 0 || !mac || !ages || ages.length < 8) {
    return undefined;
  }
  return { mac, idleMs: ages.readUInt32LE(4) * msPerTick };
}

/** How long ago the bridge saw a frame from the address of one of its entries, ms; undefined where the kernel does not say. */
export function decodeHeardAgo(message: NeighbourMessage): number | undefined {
  const ages = message.attributes.get(NDA_CACHEINFO);
  return ages && ages.length >= 12 ? ages.readUInt32LE(8) * msPerTick : undefined;
}

interface Ndmsg {
  readonly family: number;
  readonly ifindex: number;
  readonly state: number;
  readonly flags: number;
}

type Attribute = readonly [type: number, value: Buffer];

/** In one buffer: each answer is three of these. */
function ndmsg({ family, ifindex, state, flags }: Ndmsg, ...attributes: readonly Attribute[]): Buffer {
  let length = ndmsgBytes;
  for (const [, value] of attributes) length += attributeBytes(value);
  const bytes = Buffer.alloc(length);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(ifindex, 4);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt8(flags, 10);
  let at = ndmsgBytes;
  for (const [type, value] of attributes) at = writeAttribute(bytes, at, type, value);
  return bytes;
}

export const familyNumber = (ip: IpAddress): number => (familyOf(ip) === 4 ? AF_INET : AF_INET6);

/** The body of RTM_NEWNEIGH and RTM_DELNEIGH for an entry: a delete must name the stored VTEP, or it deletes nothing. */
export function encodeEntry(entry: Entry, ifindex: number): Buffer {
  if (entry.kind === "tunnel" || entry.kind === "broadcast") return encodeTunnel(entry, ifindex, ipToBytes(entry.vtep));
  if (entry.kind === "bridge") {
    const flags = NTF_MASTER | NTF_EXT_LEARNED;
    return ndmsg({ family: AF_BRIDGE, ifindex, state: NUD_NOARP, flags }, [NDA_LLADDR, macToBytes(entry.mac)]);
  }
  return ndmsg(
    { family: familyNumber(entry.ip), ifindex, state: NUD_PERMANENT, flags: 0 },
    [NDA_DST, ipToBytes(entry.ip)],
    [NDA_LLADDR, macToBytes(entry.mac)],
    [NDA_PROTOCOL, u8(ownProtocol)],
  );
}

/**
 * The body of RTM_DELNEIGH for whatever stands in the place of an entry: the unspecified VTEP means all
 * (__vxlan_fdb_delete() in drivers/net/vxlan/vxlan_core.c).
 */
export function encodePlace(entry: Entry, ifindex: number): Buffer {
  if (entry.kind !== "tunnel" && entry.kind !== "broadcast") return encodeEntry(entry, ifindex);
  return encodeTunnel(entry, ifindex, ipToBytes(entry.vtep).fill(0));
}

function encodeTunnel(entry: TunnelEntry | BroadcastEntry, ifindex: number, vtep: Buffer): Buffer {
  const { mac, vtepPort } = entry;
  const isRouter = entry.kind === "tunnel" && entry.router === true;
  const flags = NTF_SELF | NTF_EXT_LEARNED | (isRouter ? NTF_ROUTER : 0);
  return ndmsg(
    { family: AF_BRIDGE, ifindex, state: NUD_PERMANENT, flags },
    [NDA_LLADDR, macToBytes(mac)],
    [NDA_DST, vtep],
    [NDA_PORT, be16(vtepPort)],
  );
}

/**
 * The body of RTM_NEWNEIGH that pins a MAC to a port: `held`, static and sticky, then `marked` as ours. Both flags at once
 * make an entry that is not sticky (br_fdb_external_learn_add() in net/bridge/br_fdb.c).
 */
export function encodePin(ifindex: number, mac: MacAddress, step: "held" | "marked"): Buffer {
  const flags = NTF_MASTER | (step === "held" ? NTF_STICKY : NTF_EXT_LEARNED);
  return ndmsg({ family: AF_BRIDGE, ifindex, state: NUD_NOARP, flags }, [NDA_LLADDR, macToBytes(mac)]);
}

/** The body of RTM_DELNEIGH: deletes nothing where the MAC stands on another port by now. */
export function encodeUnpin(ifindex: number, mac: MacAddress): Buffer {
  return ndmsg({ family: AF_BRIDGE, ifindex, state: 0, flags: NTF_MASTER }, [NDA_LLADDR, macToBytes(mac)]);
}

/** The body of a dump request for one device's neighbours, both families (needs NETLINK_GET_STRICT_CHK). */
export function encodeNeighbourDump(ifindex: number): Buffer {
  return ndmsg({ family: AF_UNSPEC, ifindex: 0, state: 0, flags: 0 }, [NDA_IFINDEX, u32(ifindex)]);
}

/** The body of a dump request for one bridge port's FDB entries, `self` and `master` (needs NETLINK_GET_STRICT_CHK). */
export function encodeFdbDump(ifindex: number): Buffer {
  return ndmsg({ family: AF_BRIDGE, ifindex, state: 0, flags: 0 });
}

/** The body of a request for the port behind a MAC address on a bridge. */
export function encodePortLookUp(bridgeIfindex: number, mac: MacAddress): Buffer {
  return ndmsg(
    { family: AF_BRIDGE, ifindex: 0, state: 0, flags: 0 },
    [NDA_LLADDR, macToBytes(mac)],
    [NDA_MASTER, u32(bridgeIfindex)],
  );
}
