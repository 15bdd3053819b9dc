// Netlink framing as bytes: message headers and attributes (include/uapi/linux/netlink.h). No I/O, and nothing here
// throws on what arrives: a truncated tail is left out, because a reader of the kernel must outlive any datagram.
// Numbers are in the host's byte order; every platform that `netlink` is built for is little-endian.

export const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLM_F_DUMP_INTR = 0x10;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;
const headerBytes = 16;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly payload: Buffer;
}

export type Attributes = ReadonlyMap<number, Buffer>;

const align = (length: number): number => (length + 3) & ~3;

/** The whole messages of one datagram; a truncated last one is left out. */
export function splitMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0, length = messageLength(datagram, at); length > 0; length = messageLength(datagram, at)) {
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      seq: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + headerBytes, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** The types of the messages in a datagram, and all their flags together, without decoding thousands. */
export function surveyMessages(datagram: Buffer): { readonly types: ReadonlySet<number>; readonly flags: number } {
  const types = new Set<number>();
  let flags = 0;
  for (let at = 0, length = messageLength(datagram, at); length > 0; length = messageLength(datagram, at)) {
    types.add(datagram.readUInt16LE(at + 4));
    flags |= datagram.readUInt16LE(at + 6);
    at += align(length);
  }
  return { types, flags };
}

/** The request that a datagram answers; 0 if it is too short. */
export function seqOf(datagram: Buffer): number {
  return datagram.length < headerBytes ? 0 : datagram.readUInt32LE(8);
}

/** In bytes; 0 where no whole message begins. */
function messageLength(datagram: Buffer, at: number): number {
  if (at + headerBytes > datagram.length) return 0;
  const length = datagram.readUInt32LE(at);
  return length < headerBytes || at + length > datagram.length ? 0 : length;
}

/** Attributes by type, the last of each; what is truncated is left out. */
export function parseAttributes(bytes: Buffer): Attributes {
  const attributes = new Map<number, Buffer>();
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    attributes.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align(length);
  }
  return attributes;
}

export function encodeMessage(type: number, flags: number, seq: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(align(headerBytes + payload.length));
  bytes.writeUInt32LE(headerBytes + payload.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(seq, 8);
  payload.copy(bytes, headerBytes);
  return bytes;
}

export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(attributeBytes(value));
  writeAttribute(bytes, 0, type, value);
  return bytes;
}

/** What an attribute with the value takes. */
export const attributeBytes = (value: Buffer): number => align(4 + value.length);

/** @param into zeroes from `at` on. @returns where the next attribute begins */
export function writeAttribute(into: Buffer, at: number, type: number, value: Buffer): number {
  into.writeUInt16LE(4 + value.length, at);
  into.writeUInt16LE(type, at + 2);
  into.set(value, at + 4);
  return at + attributeBytes(value);
}

export const u8 = (value: number): Buffer => Buffer.of(value);

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

/** Network byte order: UDP ports and EtherTypes stay big-endian in attributes. */
export function be16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** In network byte order, as all numbers of nf_tables are. */
export function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** NUL-terminated, as device names and kinds are. */
export const text = (value: string): Buffer => Buffer.from(`${value}\0`);

export function nested(type: number, ...attributes: Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

export function readText(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString("utf8").replace(/\0.*$/s, "");
}

export function readU32(bytes: Buffer | undefined): number | undefined {
  return bytes && bytes.length >= 4 ? bytes.readUInt32LE() : undefined;
}

export function readU16(bytes: Buffer | undefined): number | undefined {
  return bytes && bytes.length >= 2 ? bytes.readUInt16LE() : undefined;
}

/** In network byte order. */
export function readBe16(bytes: Buffer | undefined): number | undefined {
  return bytes && bytes.length >= 2 ? bytes.readUInt16BE() : undefined;
}

/** The kernel's answer to one request. `errno` 0 is success; `message` is the kernel's own (NETLINK_EXT_ACK). */
export interface Acknowledgement {
  readonly errno: number;
  readonly message?: string;
}

export function decodeAcknowledgement(message: NetlinkMessage): Acknowledgement | undefined {
  if (message.type !== NLMSG_ERROR || message.payload.length < 4 + headerBytes) return undefined;
  const errno = Math.abs(message.payload.readInt32LE(0));
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno };
  // The answer always contains the request's header, and its payload unless capped.
  const requestBytes = message.flags & NLM_F_CAPPED ? headerBytes : message.payload.readUInt32LE(4);
  const detail = readText(parseAttributes(message.payload.subarray(4 + align(requestBytes))).get(NLMSGERR_ATTR_MSG));
  return detail === undefined ? { errno } : { errno, message: detail };
}
