// Packets with header chains that a sender builds to hide something: IPv6 extension headers, fragments of both families, tags in front
// of the EtherType. Pure.
import { etherTypes, internetChecksum, ipBytes } from "./frames.ts";

/** One header of an IPv6 chain (RFC 8200 §4). */
export interface ChainHeader {
  readonly protocol: number;
  /** Its first byte is set to the protocol of the next header. */
  readonly bytes: Uint8Array;
}

/** Hop-by-hop or destination options with padding alone (RFC 8200 §4.2), a multiple of 8 bytes, 8 … 2,048. */
const options =
  (protocol: number) =>
  (length = 8): ChainHeader => {
    const bytes = Buffer.alloc(length);
    bytes.writeUInt8(length / 8 - 1, 1);
    // Pad1 throughout.
    return { protocol, bytes };
  };

export const hopByHop = options(0);
export const destinationOptions = options(60);

/** Type 0 without segments left, which every node walks past (RFC 8200 §4.4). */
export const routingHeader = (): ChainHeader => ({ protocol: 43, bytes: Buffer.alloc(8) });

/** Offset in bytes, a multiple of 8 (RFC 8200 §4.5). */
export function fragmentHeader({ offset = 0, more = false, id = 7 } = {}): ChainHeader {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16BE(offset | (more ? 1 : 0), 2);
  bytes.writeUInt32BE(id, 4);
  return { protocol: 44, bytes };
}

export interface ChainPacket {
  readonly from: string;
  readonly to: string;
  readonly headers: readonly ChainHeader[];
  /** Of the payload. */
  readonly protocol: number;
  readonly payload: Uint8Array;
  /** The false value of the length field. */
  readonly length?: number;
}

/** Hop limit 255, as neighbour discovery demands. */
export function ipv6Chain({ from, to, headers, protocol, payload, length }: ChainPacket): Buffer {
  const chain = headers.map(({ bytes }, index) => {
    const copy = Buffer.from(bytes);
    if (copy.length > 0) copy.writeUInt8(headers[index + 1]?.protocol ?? protocol, 0);
    return copy;
  });
  const content = Buffer.concat([...chain, payload]);
  const head = Buffer.alloc(8);
  head.writeUInt8(0x60);
  head.writeUInt16BE(length ?? content.length, 4);
  head.writeUInt8(headers[0]?.protocol ?? protocol, 6);
  head.writeUInt8(255, 7);
  return Buffer.concat([head, ipBytes(from), ipBytes(to), content]);
}

export interface Ipv4Fragment {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
  /** In bytes, a multiple of 8. */
  readonly offset?: number;
  readonly more?: boolean;
  /** A multiple of 4, up to 40. */
  readonly options?: Uint8Array;
  /** The false value of the total length. */
  readonly length?: number;
}

/** RFC 791. */
export function ipv4Fragment(fragment: Ipv4Fragment): Buffer {
  const { from, to, protocol, payload, offset = 0, more = false, options = Buffer.alloc(0) } = fragment;
  const header = Buffer.alloc(12);
  header.writeUInt8(0x45 + options.length / 4);
  header.writeUInt16BE(fragment.length ?? 20 + options.length + payload.length, 2);
  header.writeUInt16BE(7, 4);
  header.writeUInt16BE(offset / 8 + (more ? 0x2000 : 0), 6);
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  header.writeUInt16BE(internetChecksum(header, ipBytes(from), ipBytes(to), options), 10);
  return Buffer.concat([header, ipBytes(from), ipBytes(to), options, payload]);
}

/** The frame with a tag of this VLAN (0: priority alone) in front of its EtherType (IEEE 802.1Q §9.6). */
export function tagged(frame: Uint8Array, vlan: number, type = 0x8100): Buffer {
  const tag = Buffer.alloc(4);
  tag.writeUInt16BE(type);
  tag.writeUInt16BE(vlan | 0xe000, 2);
  return Buffer.concat([frame.subarray(0, 12), tag, frame.subarray(12)]);
}

/** An ARP message with header fields of one's own (RFC 826); addresses as long as the header says. */
export function oddArp(fields: {
  readonly hardware?: number;
  readonly protocol?: number;
  readonly operation: number;
  readonly sender: readonly [hardware: Uint8Array, protocol: Uint8Array];
  readonly target: readonly [hardware: Uint8Array, protocol: Uint8Array];
}): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(fields.hardware ?? 1);
  head.writeUInt16BE(fields.protocol ?? etherTypes.ipv4, 2);
  head.writeUInt8(fields.sender[0].length, 4);
  head.writeUInt8(fields.sender[1].length, 5);
  head.writeUInt16BE(fields.operation, 6);
  return Buffer.concat([head, ...fields.sender, ...fields.target]);
}
