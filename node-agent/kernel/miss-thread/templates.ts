// Requests and replies as bytes, with the places of all that differs from miss to miss: made with the codecs on the main thread, filled in
// by the thread that answers misses. Pure.
import {
  type Family,
  ipToBytes,
  macToBytes,
  parseIp,
  parseMac,
  parseVni,
  parseVtep,
} from "../../../schema/address/index.ts";
import { encodeEntry, encodePortLookUp, RTM_GETNEIGH, RTM_NEWNEIGH } from "../codec/neighbour-codec.ts";
import { encodeMessage, NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST } from "../codec/netlink-codec.ts";
import { encodeReply } from "../codec/packet-codec.ts";

/** Port look-up, tunnel, bridge and neighbour entry in one datagram. Only the neighbour is acknowledged, unless something is refused. */
export interface RequestTemplate {
  readonly family: Family;
  readonly vtepFamily: Family;
  readonly bytes: Uint8Array;
  /** Offsets. Numbers are in the host's order, but the port of the VTEP and addresses. */
  readonly seqs: readonly number[];
  readonly bridge: number;
  readonly asker: number;
  readonly ifindexes: readonly number[];
  readonly macs: readonly number[];
  readonly vtep: number;
  readonly vtepPort: number;
  readonly tunnelFlags: number;
  readonly ip: number;
}

/** An ARP reply, or a solicited neighbour advertisement. */
export interface FrameTemplate {
  readonly family: Family;
  readonly bytes: Uint8Array;
  /** Offsets of the asker's and the answered addresses. */
  readonly askerMacs: readonly number[];
  readonly askerIp: number;
  readonly macs: readonly number[];
  readonly ips: readonly number[];
  /** Of an advertisement: its flags, and its checksum over everything from its source address on. */
  readonly flags?: number;
  readonly checksum?: number;
}

/** Values that no other part of the bytes has. */
const mac = parseMac("02:a1:b2:c3:d4:e5");
const askerMac = parseMac("02:f1:e2:d3:c4:b5");
const ifindex = 0x7a6b_5c4d;
const bridgeIfindex = 0x6d5c_4b3a;
const vtepPort = 0x9c8d;
const ips = {
  4: { target: parseIp("203.0.113.91"), asker: parseIp("198.51.100.87") },
  6: { target: parseIp("2001:db8:a1b2:c3d4::5b"), asker: parseIp("2001:db8:f1e2:d3c4::57") },
};
const vteps = { 4: parseVtep("192.0.2.173"), 6: parseVtep("2001:db8:9a8b::ad") };
const headerBytes = 16;
const flagsInNdmsg = 10;

export const families: readonly Family[] = [4, 6];

export function requestTemplate(family: Family, vtepFamily: Family): RequestTemplate {
  const vni = parseVni(1);
  const entries = [
    encodeEntry({ kind: "tunnel", vni, mac, vtep: vteps[vtepFamily], vtepPort }, ifindex),
    encodeEntry({ kind: "bridge", vni, mac }, ifindex),
    encodeEntry({ kind: "neighbour", vni, ip: ips[family].target, mac }, ifindex),
  ];
  const put = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;
  const messages = [
    encodeMessage(RTM_GETNEIGH, NLM_F_REQUEST, 0, encodePortLookUp(bridgeIfindex, askerMac)),
    ...entries.map((payload, i) => encodeMessage(RTM_NEWNEIGH, i === 2 ? put | NLM_F_ACK : put, 0, payload)),
  ];
  const starts = messages.map((_, i) => messages.slice(0, i).reduce((sum, { length }) => sum + length, 0));
  const bytes = Buffer.concat(messages);
  return {
    family,
    vtepFamily,
    bytes: new Uint8Array(bytes),
    seqs: starts.map((start) => start + 8),
    bridge: placeOf(bytes, int32(bridgeIfindex)),
    asker: placeOf(bytes, macToBytes(askerMac)),
    ifindexes: placesOf(bytes, int32(ifindex)),
    macs: placesOf(bytes, macToBytes(mac)),
    vtep: placeOf(bytes, ipToBytes(vteps[vtepFamily])),
    vtepPort: placeOf(bytes, Buffer.of(vtepPort >> 8, vtepPort & 255)),
    tunnelFlags: (starts[1] ?? 0) + headerBytes + flagsInNdmsg,
    ip: placeOf(bytes, ipToBytes(ips[family].target)),
  };
}

export function replyTemplate(family: Family): FrameTemplate {
  const { target, asker } = ips[family];
  const bytes = encodeReply({ ip: target, mac, router: false }, { mac: askerMac, ip: asker });
  const advertisement = 14 + 40;
  return {
    family,
    bytes: new Uint8Array(bytes),
    askerMacs: placesOf(bytes, macToBytes(askerMac)),
    askerIp: placeOf(bytes, ipToBytes(asker)),
    macs: placesOf(bytes, macToBytes(mac)),
    ips: placesOf(bytes, ipToBytes(target)),
    ...(family === 6 ? { flags: advertisement + 4, checksum: advertisement + 2 } : {}),
  };
}

function placesOf(bytes: Buffer, value: Buffer): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + 1)) places.push(at);
  return places;
}

function placeOf(bytes: Buffer, value: Buffer): number {
  const [place, another] = placesOf(bytes, value);
  if (place === undefined || another !== undefined) throw new Error(`${value.toString("hex")} is not there once`);
  return place;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
