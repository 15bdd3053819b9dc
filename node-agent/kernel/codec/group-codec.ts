// Reports of IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710, 3810) as guests send them, and queries to guests. No I/O; no frame of a guest
// makes these functions throw.
import { findGroup, type GroupAddress, groupMac, groupToBytes, linkPurpose } from "../../../schema/address/index.ts";

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ethernetBytes = 14;
const ipv6Bytes = 40;
/** Hop-by-hop options with a router alert, as every MLD message has them. */
const hopByHopBytes = 8;
const IPPROTO_HOPOPTS = 0;
const IPPROTO_IGMP = 2;
const IPPROTO_ICMPV6 = 58;
const ipv4MinBytes = 20;

const IGMP_QUERY = 0x11;
const IGMP_V1_REPORT = 0x12;
const IGMP_V2_REPORT = 0x16;
const IGMP_V2_LEAVE = 0x17;
const IGMP_V3_REPORT = 0x22;
const MLD_QUERY = 130;
const MLD_V1_REPORT = 131;
const MLD_V1_DONE = 132;
const MLD_V2_REPORT = 143;

/** Types of a group record (RFC 3376 §4.2.12, RFC 3810 §5.2.12). */
const MODE_IS_INCLUDE = 1;
const MODE_IS_EXCLUDE = 2;
const CHANGE_TO_INCLUDE = 3;
const CHANGE_TO_EXCLUDE = 4;
const ALLOW_NEW_SOURCES = 5;
const BLOCK_OLD_SOURCES = 6;

/**
 * What a guest says of a group. `leave`: it may have no member any more, and is asked. Source lists are not kept: a
 * guest that wants a part of a group's sources is a member.
 */
export interface GroupReport {
  readonly verb: "join" | "leave";
  readonly group: GroupAddress;
}

/** In the order of the frame, without groups that are never copied. Empty where the frame is no valid report. */
export function decodeReports(frame: Buffer): GroupReport[] {
  if (frame.length < ethernetBytes) return [];
  const type = frame.readUInt16BE(12);
  const payload = frame.subarray(ethernetBytes);
  const found = type === ETHERTYPE_IPV4 ? readIgmp(payload) : type === ETHERTYPE_IPV6 ? readMld(payload) : [];
  return found.filter(({ group }) => linkPurpose(group) === undefined);
}

function readIgmp(packet: Buffer): GroupReport[] {
  if (packet.length < ipv4MinBytes || (packet[0] ?? 0) >> 4 !== 4 || packet[9] !== IPPROTO_IGMP) return [];
  const headerBytes = ((packet[0] ?? 0) & 0x0f) * 4;
  const totalBytes = packet.readUInt16BE(2);
  // Reports are not fragmented.
  const isFragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (isFragment || headerBytes < ipv4MinBytes || totalBytes > packet.length || totalBytes < headerBytes + 8) return [];
  const message = packet.subarray(headerBytes, totalBytes);
  if (checksum([message]) !== 0) return [];
  switch (message[0]) {
    case IGMP_V1_REPORT:
    case IGMP_V2_REPORT:
      return one("join", message.subarray(4, 8));
    case IGMP_V2_LEAVE:
      return one("leave", message.subarray(4, 8));
    case IGMP_V3_REPORT:
      return readRecords(message, 4);
    default:
      return [];
  }
}

function readMld(packet: Buffer): GroupReport[] {
  const start = ipv6Bytes + hopByHopBytes;
  if (packet.length < start + 8 || (packet[0] ?? 0) >> 4 !== 6) return [];
  const totalBytes = ipv6Bytes + packet.readUInt16BE(4);
  const hopLimit = packet[7];
  // Behind a router the message would be of another link (RFC 3810 §6.2).
  if (packet[6] !== IPPROTO_HOPOPTS || hopLimit !== 1 || totalBytes > packet.length || totalBytes < start + 8)
    return [];
  if (packet[ipv6Bytes] !== IPPROTO_ICMPV6 || packet[ipv6Bytes + 1] !== 0) return [];
  const message = packet.subarray(start, totalBytes);
  if (checksum([pseudoHeader(packet.subarray(8, 40), message.length), message]) !== 0) return [];
  switch (message[0]) {
    case MLD_V1_REPORT:
      return one("join", message.subarray(8, 24));
    case MLD_V1_DONE:
      return one("leave", message.subarray(8, 24));
    case MLD_V2_REPORT:
      return readRecords(message, 16);
    default:
      return [];
  }
}

function one(verb: GroupReport["verb"], bytes: Buffer): GroupReport[] {
  const group = findGroup(bytes);
  return group === undefined ? [] : [{ verb, group }];
}

/** Group records of version 3 and 2: up to the first that is cut off. */
function readRecords(message: Buffer, addressBytes: 4 | 16): GroupReport[] {
  const reports: GroupReport[] = [];
  let left = message.readUInt16BE(6);
  let at = 8;
  for (; left > 0 && at + 4 + addressBytes <= message.length; left--) {
    const sources = message.readUInt16BE(at + 2);
    const end = at + 4 + addressBytes * (1 + sources) + 4 * (message[at + 1] ?? 0);
    if (end > message.length) break;
    const verb = verbOf(message[at] ?? 0, sources);
    const group = findGroup(message.subarray(at + 4, at + 4 + addressBytes));
    if (verb && group !== undefined) reports.push({ verb, group });
    at = end;
  }
  return reports;
}

function verbOf(type: number, sources: number): GroupReport["verb"] | undefined {
  switch (type) {
    case MODE_IS_EXCLUDE:
    case CHANGE_TO_EXCLUDE:
      return "join";
    case CHANGE_TO_INCLUDE:
      return sources > 0 ? "join" : "leave";
    case MODE_IS_INCLUDE:
    case ALLOW_NEW_SOURCES:
      return sources > 0 ? "join" : undefined;
    // It may have been the last source: the guest's answer says.
    case BLOCK_OLD_SOURCES:
      return "leave";
    default:
      return undefined;
  }
}

/**
 * The highest link-local address: where a guest is a querier itself, the lowest one is elected (RFC 3810 §7.6.2). IGMP has 0.0.0.0 for the
 * same purpose (RFC 4541 §2.1.1).
 */
const querier = Buffer.from("fe80000000000000ffffffffffffffff", "hex");

export interface GroupQuery {
  readonly family: 4 | 6;
  /** Absent: every group. */
  readonly group?: GroupAddress;
  /** Guests answer within, 100 … 12,700 ms. */
  readonly maxResponseMs: number;
  /** Six bytes. */
  readonly fromMac: Buffer;
}

/** Time between two queries that a guest may take over from this one, s. */
export const queryIntervalS = 125;
const robustness = 2;

/** A query of IGMPv3 or MLDv2; guests of earlier versions take it as one of theirs (RFC 3376 §7.2.1, RFC 3810 §8.2.1). */
export function encodeQuery({ family, group, maxResponseMs, fromMac }: GroupQuery): Buffer {
  const address = group === undefined ? Buffer.alloc(family === 4 ? 4 : 16) : groupToBytes(group);
  const tail = Buffer.of(robustness, queryIntervalS, 0, 0);
  if (family === 4) {
    const message = Buffer.concat([Buffer.of(IGMP_QUERY, Math.round(maxResponseMs / 100), 0, 0), address, tail]);
    message.writeUInt16BE(checksum([message]), 2);
    const to = group === undefined ? Buffer.of(224, 0, 0, 1) : address;
    const toMac = macBytes(group === undefined ? "01:00:5e:00:00:01" : groupMac(group));
    // With the router alert option (RFC 2113), precedence 6 and a TTL of 1.
    const header = Buffer.concat([
      Buffer.of(0x46, 0xc0, 0, 0, 0, 0, 0, 0, 1, IPPROTO_IGMP, 0, 0, 0, 0, 0, 0),
      to,
      Buffer.of(0x94, 4, 0, 0),
    ]);
    header.writeUInt16BE(header.length + message.length, 2);
    header.writeUInt16BE(checksum([header]), 10);
    return Buffer.concat([toMac, fromMac, Buffer.of(ETHERTYPE_IPV4 >> 8, ETHERTYPE_IPV4 & 255), header, message]);
  }
  const head = Buffer.alloc(8);
  head.writeUInt8(MLD_QUERY, 0);
  head.writeUInt16BE(Math.round(maxResponseMs), 4);
  const message = Buffer.concat([head, address, tail]);
  const to = group === undefined ? Buffer.from("ff020000000000000000000000000001", "hex") : address;
  const addresses = Buffer.concat([querier, to]);
  message.writeUInt16BE(checksum([pseudoHeader(addresses, message.length), message]), 2);
  const toMac = macBytes(group === undefined ? "33:33:00:00:00:01" : groupMac(group));
  const header = Buffer.of(0x60, 0, 0, 0, 0, hopByHopBytes + message.length, IPPROTO_HOPOPTS, 1);
  // Router alert for MLD (RFC 2711), and PadN.
  const options = Buffer.of(IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0);
  const type = Buffer.of(ETHERTYPE_IPV6 >> 8, ETHERTYPE_IPV6 & 255);
  return Buffer.concat([toMac, fromMac, type, header, addresses, options, message]);
}

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(":", ""), "hex");

/** RFC 8200 §8.1. @param addresses source and destination */
function pseudoHeader(addresses: Buffer, length: number): Buffer {
  return Buffer.concat([addresses, Buffer.of(0, 0, length >> 8, length & 255, 0, 0, 0, IPPROTO_ICMPV6)]);
}

/** RFC 1071, over parts of which only the last may have an odd length. 0 where a checksum among them is right. */
function checksum(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const bytes of parts) {
    for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
    if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] ?? 0) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
