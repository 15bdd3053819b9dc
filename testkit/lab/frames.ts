// Frames for tests: builders from plain values to bytes, and the little decoding that a capture needs. Pure.
import { ipToBytes, parseIp } from "../../schema/address/index.ts";

export const etherTypes = { ipv4: 0x0800, arp: 0x0806, rarp: 0x8035, ipv6: 0x86dd } as const;
export const broadcastMac = "ff:ff:ff:ff:ff:ff";
const protocols = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

/** Any MAC, multicast and broadcast too: tests also send what no interface may own. */
export function macBytes(mac: string): Buffer {
  const bytes = Buffer.from(mac.replaceAll(":", ""), "hex");
  if (bytes.length !== 6) throw new RangeError(`"${mac}" is not a MAC address`);
  return bytes;
}

export function macText(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Any unicast address, the unspecified ones, and IPv6 multicast. */
export function ipBytes(ip: string): Buffer {
  if (ip === "0.0.0.0") return Buffer.alloc(4);
  if (ip === "::") return Buffer.alloc(16);
  if (ip === "255.255.255.255") return Buffer.alloc(4, 0xff);
  const solicited = /^ff02::1:ff([0-9a-f]{2}):([0-9a-f]{4})$/.exec(ip);
  if (solicited) return Buffer.from(`ff0200000000000000000001ff${solicited[1]}${solicited[2]}`, "hex");
  if (ip === "ff02::1") return Buffer.from("ff020000000000000000000000000001", "hex");
  return ipToBytes(parseIp(ip));
}

export function ethernet(frame: { to: string; from: string; type: number; payload: Uint8Array }): Buffer {
  const type = Buffer.alloc(2);
  type.writeUInt16BE(frame.type);
  return Buffer.concat([macBytes(frame.to), macBytes(frame.from), type, frame.payload]);
}

export interface Arp {
  readonly operation: "request" | "reply";
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac?: string;
  readonly targetIp: string;
}

/** RFC 826, in a frame from the sender: to the target of a reply, to all for a request. */
export function arp(message: Arp, to?: string): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, message.operation === "request" ? 1 : 2]);
  const targetMac = message.targetMac ?? "00:00:00:00:00:00";
  const payload = Buffer.concat([
    head,
    macBytes(message.senderMac),
    ipBytes(message.senderIp),
    macBytes(targetMac),
    ipBytes(message.targetIp),
  ]);
  const destination = to ?? (message.operation === "request" ? broadcastMac : targetMac);
  return ethernet({ to: destination, from: message.senderMac, type: etherTypes.arp, payload });
}

/**
 * The announcement that QEMU sends for a migrated guest, so that the switches on the path learn its new port (RFC 903,
 * request).
 */
export function rarpAnnouncement(mac: string): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, 3]);
  const payload = Buffer.concat([
    head,
    macBytes(mac),
    Buffer.alloc(4),
    macBytes(mac),
    Buffer.alloc(4),
    Buffer.alloc(18),
  ]);
  return ethernet({ to: broadcastMac, from: mac, type: etherTypes.rarp, payload });
}

/** RFC 1071. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface IpPacket {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
}

/** A packet of the addresses' family, hop limit 64 (255 where given). */
export function ipPacket(packet: IpPacket, hopLimit = 64): Buffer {
  const from = ipBytes(packet.from);
  const to = ipBytes(packet.to);
  if (from.length === 16) {
    const header = Buffer.alloc(8);
    header.writeUInt8(0x60);
    header.writeUInt16BE(packet.payload.length, 4);
    header.writeUInt8(packet.protocol, 6);
    header.writeUInt8(hopLimit, 7);
    return Buffer.concat([header, from, to, packet.payload]);
  }
  const header = Buffer.alloc(12);
  header.writeUInt8(0x45);
  header.writeUInt16BE(20 + packet.payload.length, 2);
  header.writeUInt8(hopLimit, 8);
  header.writeUInt8(packet.protocol, 9);
  header.writeUInt16BE(internetChecksum(header, from, to), 10);
  return Buffer.concat([header, from, to, packet.payload]);
}

function pseudoHeader(from: string, to: string, protocol: number, length: number): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(length);
  tail.writeUInt8(protocol, 7);
  return Buffer.concat([ipBytes(from), ipBytes(to), tail]);
}

export function udpPacket(packet: {
  from: string;
  to: string;
  fromPort: number;
  toPort: number;
  payload: Uint8Array;
}): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), packet.payload]);
  datagram.writeUInt16BE(packet.fromPort, 0);
  datagram.writeUInt16BE(packet.toPort, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  const sum = internetChecksum(pseudoHeader(packet.from, packet.to, protocols.udp, datagram.length), datagram);
  datagram.writeUInt16BE(sum === 0 ? 0xffff : sum, 6);
  return ipPacket({ from: packet.from, to: packet.to, protocol: protocols.udp, payload: datagram });
}

/** The first segment of a connection (RFC 9293 §3.1), without options. */
export function tcpSyn(packet: { from: string; to: string; fromPort: number; toPort: number }): Buffer {
  const segment = Buffer.alloc(20);
  segment.writeUInt16BE(packet.fromPort, 0);
  segment.writeUInt16BE(packet.toPort, 2);
  segment.writeUInt32BE(1, 4);
  segment.writeUInt16BE(0x5002, 12);
  segment.writeUInt16BE(65_535, 14);
  const pseudo = pseudoHeader(packet.from, packet.to, protocols.tcp, segment.length);
  segment.writeUInt16BE(internetChecksum(pseudo, segment), 16);
  return ipPacket({ from: packet.from, to: packet.to, protocol: protocols.tcp, payload: segment });
}

/** RFC 7348 §5: the header and the frame of the overlay inside; the payload of a UDP datagram. */
export function vxlan(vni: number, frame: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(0x08);
  header.writeUInt32BE(vni * 256, 4);
  return Buffer.concat([header, frame]);
}

export function icmpEcho(packet: { from: string; to: string; id?: number; sequence?: number }): Buffer {
  const v6 = packet.from.includes(":");
  const message = Buffer.alloc(16);
  message.writeUInt8(v6 ? 128 : 8);
  message.writeUInt16BE(packet.id ?? 1, 4);
  message.writeUInt16BE(packet.sequence ?? 1, 6);
  const protocol = v6 ? protocols.icmpv6 : protocols.icmp;
  const pseudo = v6 ? pseudoHeader(packet.from, packet.to, protocol, message.length) : Buffer.alloc(0);
  message.writeUInt16BE(internetChecksum(pseudo, message), 2);
  return ipPacket({ from: packet.from, to: packet.to, protocol, payload: message });
}

/** The group that a neighbour solicitation for `ip` is sent to (RFC 4291 §2.7.1), and its MAC (RFC 2464 §7). */
export function solicitedNode(ip: string): { ip: string; mac: string } {
  const tail = ipBytes(ip).subarray(13);
  const [a = 0, b = 0, c = 0] = tail;
  const hex = (byte: number) => byte.toString(16).padStart(2, "0");
  return { ip: `ff02::1:ff${hex(a)}:${hex(b)}${hex(c)}`, mac: `33:33:ff:${macText(tail)}` };
}

/** RFC 4861 §4.3; from `::` it is a duplicate address detection and carries no source link-layer address. */
export function neighbourSolicitation(ask: { mac: string; from: string; target: string }): Buffer {
  const group = solicitedNode(ask.target);
  const body = Buffer.concat([Buffer.from([135, 0, 0, 0, 0, 0, 0, 0]), ipBytes(ask.target)]);
  const option = Buffer.concat([Buffer.from([1, 1]), macBytes(ask.mac)]);
  const message = ask.from === "::" ? body : Buffer.concat([body, option]);
  const pseudo = pseudoHeader(ask.from, group.ip, protocols.icmpv6, message.length);
  message.writeUInt16BE(internetChecksum(pseudo, message), 2);
  const packet = ipPacket({ from: ask.from, to: group.ip, protocol: protocols.icmpv6, payload: message }, 255);
  return ethernet({ to: group.mac, from: ask.mac, type: etherTypes.ipv6, payload: packet });
}

/** Unsolicited, with override, to all nodes: the guest has the address (RFC 4861 §7.2.6). */
export function neighbourAdvertisement({ mac, ip }: { readonly mac: string; readonly ip: string }): Buffer {
  const head = Buffer.from([136, 0, 0, 0, 0x20, 0, 0, 0]);
  const message = Buffer.concat([head, ipBytes(ip), Buffer.from([2, 1]), macBytes(mac)]);
  const to = "ff02::1";
  message.writeUInt16BE(internetChecksum(pseudoHeader(ip, to, protocols.icmpv6, message.length), message), 2);
  const packet = ipPacket({ from: ip, to, protocol: protocols.icmpv6, payload: message }, 255);
  return ethernet({ to: "33:33:00:00:00:01", from: mac, type: etherTypes.ipv6, payload: packet });
}

export interface EthernetHeader {
  readonly to: string;
  readonly from: string;
  readonly type: number;
  readonly payload: Buffer;
}

/** @throws RangeError for less than a header */
export function readEthernet(frame: Buffer): EthernetHeader {
  if (frame.length < 14) throw new RangeError(`an Ethernet frame has at least 14 bytes, got ${frame.length}`);
  return {
    to: macText(frame.subarray(0, 6)),
    from: macText(frame.subarray(6, 12)),
    type: frame.readUInt16BE(12),
    payload: frame.subarray(14),
  };
}

/** The VNI and the inner frame of an IPv4 or IPv6 UDP packet to `port`; undefined for anything else. */
export function findVxlan(frame: Buffer, port = 4789): { vni: number; inner: Buffer } | undefined {
  const { type, payload } = readEthernet(frame);
  const v4 = type === etherTypes.ipv4;
  if (!v4 && type !== etherTypes.ipv6) return undefined;
  const headerLength = v4 ? ((payload[0] ?? 0) & 0x0f) * 4 : 40;
  if (payload[v4 ? 9 : 6] !== protocols.udp || payload.length < headerLength + 16) return undefined;
  const datagram = payload.subarray(headerLength);
  if (datagram.readUInt16BE(2) !== port) return undefined;
  return { vni: datagram.readUInt32BE(12) >>> 8, inner: datagram.subarray(16) };
}
