// ARP (RFC 826) and neighbour discovery (RFC 4861) as frames: requests of guests, and answers to waiting guests. No I/O; no
// frame of a guest makes these functions throw.
import {
  familyOf,
  findIp,
  findMac,
  type IpAddress,
  ipToBytes,
  type MacAddress,
  macToBytes,
} from "../../../schema/address/index.ts";
import type { Heard, WaitingGuest } from "../../misses/waiting.ts";

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const ethernetBytes = 14;
const arpBytes = 28;
const ipv6Bytes = 40;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const IPPROTO_ICMPV6 = 58;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const OPTION_SOURCE_LINK_LAYER_ADDRESS = 1;
const OPTION_TARGET_LINK_LAYER_ADDRESS = 2;
const ndBytes = 24;
const NA_ROUTER = 0x80;
const NA_SOLICITED = 0x40;
const NA_OVERRIDE = 0x20;
const broadcast = Buffer.alloc(6, 0xff);
const allNodes = Buffer.from("ff020000000000000000000000000001", "hex");
const allNodesMac = Buffer.from("333300000001", "hex");

/**
 * The request in a frame that a guest broadcast; undefined if the frame is neither an ARP request nor a solicitation. An
 * announcement of the guest's own address and a probe from the unspecified one (RFC 5227 §2.1.1, RFC 4862 §5.4) have no sender
 * to answer: the agent must never answer them.
 */
export function decodeHeard(frame: Buffer): Heard | undefined {
  if (frame.length < ethernetBytes) return undefined;
  const type = frame.readUInt16BE(12);
  const payload = frame.subarray(ethernetBytes);
  const question = type === ETHERTYPE_ARP ? readArp(payload) : type === ETHERTYPE_IPV6 ? readNs(payload) : undefined;
  const target = question && findIp(question.target);
  if (!target) return undefined;
  const ip = findIp(question.sender);
  const mac = findMac(frame.subarray(6, 12));
  if (!mac) return { target };
  if (!ip || ip === target) return { claim: { mac, ip: target }, target };
  return { asker: { mac, ip }, claim: { mac, ip }, target };
}

/** An address that a guest says it has. */
export interface HeardClaim {
  /** Source of the frame, and of what it says. */
  readonly mac: MacAddress;
  readonly ip: IpAddress;
  /** It is said to all, so that they replace what they know: a gratuitous ARP, an unsolicited advertisement. Otherwise it is only used. */
  readonly announces: boolean;
}

/** Undefined where the frame says nothing of an address, or of another MAC than that which it comes from. */
export function decodeClaim(frame: Buffer): HeardClaim | undefined {
  if (frame.length < ethernetBytes) return undefined;
  const mac = findMac(frame.subarray(6, 12));
  const type = frame.readUInt16BE(12);
  const payload = frame.subarray(ethernetBytes);
  const said =
    type === ETHERTYPE_ARP ? readArpSender(payload) : type === ETHERTYPE_IPV6 ? readNdSender(payload) : undefined;
  const ip = said && findIp(said.ip);
  if (!mac || !ip || (said.mac && findMac(said.mac) !== mac)) return undefined;
  return { mac, ip, announces: said.announces };
}

interface Said {
  readonly ip: Buffer;
  /** Absent: that of the frame. */
  readonly mac?: Buffer;
  readonly announces: boolean;
}

/** RFC 5944 §4.6: of a gratuitous request or reply both addresses are the sender's. A probe (RFC 5227) has none of its own. */
function readArpSender(payload: Buffer): Said | undefined {
  if (payload.length < arpBytes) return undefined;
  const operation = payload.readUInt16BE(6);
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return undefined;
  const ip = payload.subarray(14, 18);
  return { ip, mac: payload.subarray(8, 14), announces: ip.equals(payload.subarray(24, 28)) };
}

/** RFC 4861 §4.3 and §4.4. Options behind the first are not looked at: Linux and keepalived write the address there. */
function readNdSender(payload: Buffer): Said | undefined {
  if (payload.length < ipv6Bytes + ndBytes || payload[6] !== IPPROTO_ICMPV6) return undefined;
  const message = payload.subarray(ipv6Bytes);
  if (message[0] === NEIGHBOUR_SOLICITATION) return { ip: payload.subarray(8, 24), announces: false };
  if (message[0] !== NEIGHBOUR_ADVERTISEMENT) return undefined;
  const hasMac = message[ndBytes] === OPTION_TARGET_LINK_LAYER_ADDRESS && message.length >= ndBytes + 8;
  const mac = hasMac ? { mac: message.subarray(ndBytes + 2, ndBytes + 8) } : {};
  return { ip: message.subarray(8, 24), ...mac, announces: ((message[4] ?? 0) & NA_SOLICITED) === 0 };
}

interface Question {
  readonly sender: Buffer;
  readonly target: Buffer;
}

function readArp(payload: Buffer): Question | undefined {
  if (payload.length < arpBytes || payload.readUInt16BE(6) !== ARP_REQUEST) return undefined;
  return { sender: payload.subarray(14, 18), target: payload.subarray(24, 28) };
}

function readNs(payload: Buffer): Question | undefined {
  if (payload.length < ipv6Bytes + ndBytes || payload[6] !== IPPROTO_ICMPV6) return undefined;
  if (payload[ipv6Bytes] !== NEIGHBOUR_SOLICITATION) return undefined;
  return { sender: payload.subarray(8, 24), target: payload.subarray(ipv6Bytes + 8, ipv6Bytes + 24) };
}

/** An announcement: an address of a remote VM and its MAC. */
export interface Announcement {
  readonly ip: IpAddress;
  readonly mac: MacAddress;
  readonly router: boolean;
}

/**
 * The reply that the remote VM itself would have sent to the asker alone: an ARP reply, or a neighbour advertisement with
 * solicited and override set. The guest's entry is REACHABLE at once, whatever its sysctls say about gratuitous ones.
 */
export function encodeReply({ ip, mac, router }: Announcement, to: WaitingGuest): Buffer {
  if (familyOf(ip) === 4) return arpFrame(macToBytes(to.mac), ARP_REPLY, mac, ip, macToBytes(to.mac), ipToBytes(to.ip));
  return naFrame(macToBytes(to.mac), ipToBytes(to.ip), { ip, mac, router }, NA_SOLICITED | NA_OVERRIDE);
}

/**
 * For guests whose request was not recorded. A gratuitous ARP request, not a reply: only that overrides an entry within the
 * guest's locktime (net/ipv4/arp.c, arp_process); an advertisement to all nodes with override.
 */
export function encodeAnnouncement({ ip, mac, router }: Announcement): Buffer {
  if (familyOf(ip) === 4) return arpFrame(broadcast, ARP_REQUEST, mac, ip, Buffer.alloc(6), ipToBytes(ip));
  return naFrame(allNodesMac, allNodes, { ip, mac, router }, NA_OVERRIDE);
}

/** Of the range for documentation (RFC 7042 §2.1.2): no device has it. The frames do not leave the guest's port. */
const askerMac = Buffer.from("00005e0053ff", "hex");
/** Its link-local address (RFC 4291, appendix A). */
const askerLinkLocal = Buffer.from("fe8000000000000002005efffe0053ff", "hex");

/**
 * Asks a guest whether it has an address. A guest that is about to have it must not take the frame for a conflict, and must learn nothing
 * wrong, so the frame says to be from the guest's own MAC: an ARP probe from there is none of another host (RFC 5227 §2.1.1), and a
 * solicitation from a unicast address is ignored while the target is tentative (RFC 4862 §5.4.3; from :: it would be a conflict). The
 * answer goes to that MAC, too: the bridge does not forward it, and it is no miss. Linux answers; FreeBSD ignores such ARP frames.
 * @param mac of the guest
 */
export function encodeAsk(ip: IpAddress, mac: MacAddress): Buffer {
  const own = macToBytes(mac);
  if (familyOf(ip) === 4) return arpProbe(own, ip);
  const target = ipToBytes(ip);
  // RFC 4291 §2.7.1, RFC 2464 §7.
  const group = Buffer.concat([Buffer.from("ff0200000000000000000001ff", "hex"), target.subarray(13)]);
  const groupMac = Buffer.concat([Buffer.of(0x33, 0x33), group.subarray(12)]);
  const head = Buffer.of(NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0);
  const message = Buffer.concat([head, target, Buffer.of(OPTION_SOURCE_LINK_LAYER_ADDRESS, 1), own]);
  return ethernet(groupMac, askerMac, ETHERTYPE_IPV6, icmpv6(askerLinkLocal, group, message));
}

/**
 * The same for a guest that has the address and may ignore the other form. A guest that is about to have it takes an ARP probe for a
 * conflict. Its answer goes to no device: the tunnel drops it, as all ARP.
 */
export function encodeOwnerAsk(ip: IpAddress, mac: MacAddress): Buffer {
  return familyOf(ip) === 4 ? arpProbe(askerMac, ip) : encodeAsk(ip, mac);
}

/** RFC 5227 §1.1: without an address of the sender. */
function arpProbe(sender: Buffer, ip: IpAddress): Buffer {
  const head = Buffer.of(0, 1, 0x08, 0, 6, 4, 0, ARP_REQUEST);
  const payload = Buffer.concat([head, sender, Buffer.alloc(4), Buffer.alloc(6), ipToBytes(ip)]);
  return ethernet(broadcast, askerMac, ETHERTYPE_ARP, payload);
}

function ethernet(to: Buffer, from: Buffer, type: number, payload: Buffer): Buffer {
  const header = Buffer.concat([to, from, Buffer.alloc(2)]);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, payload]);
}

function arpFrame(
  to: Buffer,
  operation: number,
  mac: MacAddress,
  ip: IpAddress,
  targetMac: Buffer,
  targetIp: Buffer,
): Buffer {
  const head = Buffer.of(0, 1, 0x08, 0, 6, 4, 0, operation);
  const sender = macToBytes(mac);
  return ethernet(to, sender, ETHERTYPE_ARP, Buffer.concat([head, sender, ipToBytes(ip), targetMac, targetIp]));
}

function naFrame(toMac: Buffer, toIp: Buffer, { ip, mac, router }: Announcement, flags: number): Buffer {
  const source = ipToBytes(ip);
  const message = Buffer.concat([
    Buffer.of(NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags | (router ? NA_ROUTER : 0), 0, 0, 0),
    source,
    Buffer.of(OPTION_TARGET_LINK_LAYER_ADDRESS, 1),
    macToBytes(mac),
  ]);
  return ethernet(toMac, macToBytes(mac), ETHERTYPE_IPV6, icmpv6(source, toIp, message));
}

/** The packet; sets the checksum of the message. */
function icmpv6(from: Buffer, to: Buffer, message: Buffer): Buffer {
  message.writeUInt16BE(icmpv6Checksum(from, to, message), 2);
  const hopLimit = 255;
  const header = Buffer.of(0x60, 0, 0, 0, 0, message.length, IPPROTO_ICMPV6, hopLimit);
  return Buffer.concat([header, from, to, message]);
}

/** RFC 4443 §2.3, over the pseudo-header of RFC 8200 §8.1. `message` has an even length and a zero checksum field. */
function icmpv6Checksum(from: Buffer, to: Buffer, message: Buffer): number {
  let sum = message.length + IPPROTO_ICMPV6;
  for (const bytes of [from, to, message]) {
    for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
