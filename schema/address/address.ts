// Addresses as branded types with one canonical text each, so that equal addresses are equal strings. Text and bytes
// are parsed here and nowhere else; a branded value is trusted everywhere.
import { isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";
import { findGroups, findOctets, writeGroups } from "./ip-text.ts";
import { octetAt } from "./mac-text.ts";
import { remember } from "./remember.ts";

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: { readonly [K in Name]: true } };

/** VXLAN network identifier, 1 … 2^24-1 (RFC 7348 §5). */
export type Vni = Brand<number, "Vni">;
/** Unicast Ethernet address: lower case, colons. */
export type MacAddress = Brand<string, "MacAddress">;
/** Unicast IPv4 (dotted quad) or IPv6 (RFC 5952) address without zone. */
export type IpAddress = Brand<string, "IpAddress">;
/** Underlay address of a VXLAN tunnel end: an IpAddress that other hosts can send to (no link-local, no loopback). */
export type VtepAddress = Brand<IpAddress, "VtepAddress">;
/** VXLAN's (RFC 7348 §8). */
export const defaultVtepPort = 4789;
/** `address/length` with the host bits zero. */
export type Subnet = Brand<string, "Subnet">;
/** Part of a subnet: `address`, `first-last`, or `address/length`. */
export type AddressRange = Brand<string, "AddressRange">;
/** Position in the log of changes: 0 is the empty log. Comparable within one epoch only. */
export type Revision = Brand<number, "Revision">;

export type Family = 4 | 6;

/** Describes the fault of an address, in words for its author. */
export class AddressError extends Error {
  override readonly name = "AddressError";
}

export const maxVni = 0xff_ffff;

/** @throws AddressError outside 1 … 16777215 */
export function parseVni(value: number): Vni {
  if (!Number.isInteger(value) || value < 1 || value > maxVni) {
    throw new AddressError(`VNI must be a whole number in 1 … ${maxVni}, got ${value}`);
  }
  return value as Vni;
}

/** @throws AddressError unless a whole number ≥ 0 */
export function parseRevision(value: number): Revision {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new AddressError(`a revision is a whole number ≥ 0, got ${value}`);
  return value as Revision;
}

const macPattern = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i;

/**
 * Six bytes in hex, separated by colons or dashes.
 * @throws AddressError for other text, and for the zero, multicast and broadcast addresses (IEEE 802: I/G bit), which
 * no interface can own.
 */
export function parseMac(text: string): MacAddress {
  if (!macPattern.test(text)) throw new AddressError(`"${text}" is not a MAC address such as 52:54:00:12:34:56`);
  const mac = text.toLowerCase().replaceAll("-", ":");
  if (mac === "00:00:00:00:00:00") throw new AddressError("the all-zeros MAC address belongs to no interface");
  if (mac === "ff:ff:ff:ff:ff:ff") throw new AddressError("the broadcast MAC address belongs to no interface");
  if (Number.parseInt(mac.slice(0, 2), 16) & 1) {
    throw new AddressError(`${mac} is a multicast MAC address and belongs to no interface`);
  }
  return mac as MacAddress;
}

export function macToBytes(mac: MacAddress): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  for (let i = 0; i < 6; i++) bytes[i] = octetAt(mac, 3 * i);
  return bytes;
}

/** The address in six bytes, or undefined where no interface can own it (see `parseMac`) or the length is another. */
export function findMac(bytes: Uint8Array): MacAddress | undefined {
  if (bytes.length !== 6 || ((bytes[0] ?? 1) & 1) !== 0) return undefined;
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 6).toString("hex");
  if (hex === "000000000000") return undefined;
  return `${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}:${hex.slice(8, 10)}:${hex.slice(10)}` as MacAddress;
}

/**
 * An IPv4 dotted quad, or any RFC 4291 text of an IPv6 address.
 * @throws AddressError for other text, zones, and what no interface can own: unspecified, multicast, broadcast,
 * loopback, IPv4-mapped.
 */
export function parseIp(text: string): IpAddress {
  if (text.includes("%")) throw new AddressError(`"${text}": write the address without a zone`);
  const parts = findParts(text);
  if (!parts) throw new AddressError(`"${text}" is not an IPv4 or IPv6 address`);
  const reason = unownable(parts);
  if (reason) throw new AddressError(`${text} is ${reason} and belongs to no interface`);
  return (parts.length === 4 ? text : writeGroups(parts)) as IpAddress;
}

/** Four octets, or eight groups of 16 bits. */
type Parts = readonly number[];

function findParts(text: string): Parts | undefined {
  return text.includes(":") ? findGroups(text) : findOctets(text);
}

/** Ranges of RFC 6890 and RFC 4291 §2.4. */
function unownable(parts: Parts): string | undefined {
  const [first = 0] = parts;
  if (parts.length === 4) {
    if (first === 0) return "the unspecified address";
    if (first === 127) return "a loopback address";
    if (first >= 224 && first < 240) return "a multicast address";
    return parts.every((octet) => octet === 255) ? "the broadcast address" : undefined;
  }
  if (first >= 0xff00) return "a multicast address";
  if (first !== 0 || parts.slice(1, 5).some((group) => group !== 0)) return undefined;
  const [mapped, high, low = 0] = parts.slice(5);
  if (mapped === 0xffff) return "an IPv4-mapped address";
  if (mapped !== 0 || high !== 0 || low > 1) return undefined;
  return low === 0 ? "the unspecified address" : "a loopback address";
}

/** The address in 4 or 16 bytes, or undefined where no interface can own it (see `parseIp`) or the length is another. */
export function findIp(bytes: Uint8Array): IpAddress | undefined {
  if (bytes.length === 4) return findIpv4(bytes);
  if (bytes.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0));
  return unownable(groups) ? undefined : (writeGroups(groups) as IpAddress);
}

/** Without an array, because every miss passes through here. Ranges as in `unownable`. */
function findIpv4([a = 0, b = 0, c = 0, d = 0]: Uint8Array): IpAddress | undefined {
  const multicast = a >= 224 && a < 240;
  const loopback = a === 127;
  const unspecified = a === 0;
  const broadcast = (a & b & c & d) === 255;
  return multicast || loopback || unspecified || broadcast ? undefined : (`${a}.${b}.${c}.${d}` as IpAddress);
}

export function ipToBytes(ip: IpAddress): Buffer {
  const parts = partsOf(ip);
  return Buffer.from(parts.length === 4 ? parts : parts.flatMap((group) => [group >> 8, group & 255]));
}

function partsOf(ip: IpAddress): Parts {
  return findParts(ip) ?? [];
}

export function familyOf(ip: IpAddress): Family {
  return ip.includes(":") ? 6 : 4;
}

/** fe80::/10, accepted on any network beside its subnets (RFC 4291 §2.5.6). */
export function isLinkLocal(ip: IpAddress): boolean {
  return /^fe[89ab][0-9a-f]:/.test(ip);
}

/** @throws AddressError as `parseIp`, and for link-local addresses, which hosts behind a router cannot reach */
export function parseVtep(text: string): VtepAddress {
  const ip = parseIp(text);
  if (isLinkLocal(ip)) throw new AddressError(`${ip} is link-local: a VTEP needs a routable address`);
  return ip as VtepAddress;
}

/** @throws AddressError for other text, host bits that are set, or multicast and loopback ranges */
export function parseSubnet(text: string): Subnet {
  const [address = "", length = "", ...rest] = text.split("/");
  if (rest.length > 0 || !/^\d{1,3}$/.test(length) || !(isIPv4(address) || isIPv6(address)) || address.includes("%")) {
    throw new AddressError(`"${text}" is not a subnet such as 10.20.1.0/24 or fd00:20::/64`);
  }
  const parsed = ipaddr.parse(address);
  const bits = Number(length);
  const width = parsed.kind() === "ipv4" ? 32 : 128;
  if (bits < 1 || bits > width) throw new AddressError(`"${text}": the prefix length must be in 1 … ${width}`);
  const range = parsed.range();
  if (range === "multicast" || range === "loopback") throw new AddressError(`"${text}" is a ${range} range`);
  const network = networkAddress(parsed, bits);
  if (network.toString() !== parsed.toString()) {
    throw new AddressError(`"${text}" has host bits set: write ${network.toString()}/${bits}`);
  }
  return `${network.toString()}/${bits}` as Subnet;
}

function networkAddress(address: ipaddr.IPv4 | ipaddr.IPv6, bits: number): ipaddr.IPv4 | ipaddr.IPv6 {
  const bytes = address
    .toByteArray()
    .map((byte, i) => byte & (0xff << (8 - Math.max(0, Math.min(8, bits - i * 8)))) & 0xff);
  return ipaddr.fromByteArray(bytes);
}

export function subnetFamily(subnet: Subnet): Family {
  return subnet.includes(":") ? 6 : 4;
}

export function subnetContains(subnet: Subnet, ip: IpAddress): boolean {
  const { parts, length } = boundsOf(subnet);
  const sought = partsOf(ip);
  if (sought.length !== parts.length) return false;
  const width = parts.length === 4 ? 8 : 16;
  for (let i = 0, left = length; left > 0; i++, left -= width) {
    const shift = Math.max(0, width - left);
    if ((sought[i] ?? 0) >> shift !== (parts[i] ?? 0) >> shift) return false;
  }
  return true;
}

interface Bounds {
  /** Of the first address. */
  readonly parts: Parts;
  /** Of the prefix, in bits. */
  readonly length: number;
  readonly first: bigint;
  readonly last: bigint;
  readonly firstIp: IpAddress;
  readonly lastIp: IpAddress;
}

const boundsOf = remember((subnet: Subnet): Bounds => {
  const [address, lengthText = ""] = subnet.split("/");
  const firstIp = address as IpAddress;
  const length = Number(lengthText);
  const family = subnetFamily(subnet);
  const first = ipToNumber(firstIp);
  const last = first + (1n << BigInt((family === 4 ? 32 : 128) - length)) - 1n;
  return { parts: partsOf(firstIp), length, first, last, firstIp, lastIp: numberToIp(last, family) };
});

export function subnetsOverlap(a: Subnet, b: Subnet): boolean {
  if (subnetFamily(a) !== subnetFamily(b)) return false;
  const [boundsA, boundsB] = [boundsOf(a), boundsOf(b)];
  return boundsA.first <= boundsB.last && boundsB.first <= boundsA.last;
}

/** The lowest address of a subnet: its network address (IPv4), its subnet-router anycast address (IPv6). */
export function subnetFirst(subnet: Subnet): IpAddress {
  return boundsOf(subnet).firstIp;
}

/** The highest address of a subnet: the broadcast address where it is IPv4. */
export function subnetLast(subnet: Subnet): IpAddress {
  return boundsOf(subnet).lastIp;
}

/** Length of the prefix, in bits. */
export function subnetLength(subnet: Subnet): number {
  return boundsOf(subnet).length;
}

/**
 * One address, `first-last`, or a subnet.
 * @throws AddressError for other text, ends of two families, or a first address behind the last
 */
export function parseRange(text: string): AddressRange {
  if (text.includes("/")) return parseSubnet(text) as string as AddressRange;
  const [first = "", last, ...rest] = text.split("-");
  if (rest.length > 0) throw new AddressError(`"${text}" is not a valid range such as 10.20.1.200-10.20.1.254`);
  const from = parseIp(first);
  if (last === undefined) return from as string as AddressRange;
  const to = parseIp(last);
  if (familyOf(from) !== familyOf(to)) throw new AddressError(`"${text}" has ends of different address families`);
  if (ipToNumber(from) > ipToNumber(to)) throw new AddressError(`"${text}": the first address is after the last`);
  return `${from}-${to}` as AddressRange;
}

/** The first and the last address of a range. */
export function rangeEnds(range: AddressRange): [first: IpAddress, last: IpAddress] {
  if (range.includes("/")) return [subnetFirst(range as string as Subnet), subnetLast(range as string as Subnet)];
  const [first = range, last = first] = range.split("-");
  return [first as IpAddress, last as IpAddress];
}

/** The address as a number: of 32 bits, or of 128. */
export const ipToNumber: (ip: IpAddress) => bigint = remember((ip) => BigInt(`0x${ipToBytes(ip).toString("hex")}`));

function numberToIp(number: bigint, family: Family): IpAddress {
  const hex = number.toString(16).padStart(family === 4 ? 8 : 32, "0");
  const parts = hex.match(family === 4 ? /../g : /..../g) ?? [];
  const values = parts.map((part) => Number.parseInt(part, 16));
  return (family === 4 ? values.join(".") : writeGroups(values)) as IpAddress;
}

/** How many addresses a subnet has. */
export function subnetSize(subnet: Subnet): bigint {
  const { first, last } = boundsOf(subnet);
  return last - first + 1n;
}

/** The offset of an address from the first one of a subnet that contains it. */
export function subnetOffset(subnet: Subnet, ip: IpAddress): bigint {
  return ipToNumber(ip) - boundsOf(subnet).first;
}

/** The address `offset` behind the first one of a subnet. */
export function subnetAddress(subnet: Subnet, offset: bigint): IpAddress {
  return numberToIp(boundsOf(subnet).first + offset, subnetFamily(subnet));
}

/**
 * A locally administered unicast address (IEEE 802: U/L bit set, I/G bit clear) from six bytes, of which these two bits
 * are set right. Never with the first byte fe: libvirt gives it to the tap of a guest with otherwise the same address.
 */
export function localMac(bytes: Uint8Array): MacAddress {
  const [first = 0, ...rest] = bytes;
  const local = (first & 0xfc) | 0x02;
  const hex = [local === 0xfe ? 0x02 : local, ...rest].map((byte) => byte.toString(16).padStart(2, "0"));
  return parseMac(hex.join(":"));
}
