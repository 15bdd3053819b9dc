// Addresses as 32-bit words, for tables that keep millions of them. One form for both families: an IPv4 address is written as
// an IPv4-mapped one (RFC 4291 §2.5.5.2), which `parseIp` refuses as input, so that the two never collide.
import type { IpAddress, MacAddress } from "./address.ts";

/** Words of an IP address, the most significant first. */
export type IpWords = [number, number, number, number];
/** Words of a MAC address: its upper 16 bits, its lower 32. */
export type MacWords = [high: number, low: number];

const mappedPrefix = 0xffff;
const colon = 58;
const dot = 46;
const newWords = (): IpWords => [0, 0, 0, 0];

/** @param ip in its canonical text. @param into what is returned: callers that look up millions make no object for each */
export function ipToWords(ip: IpAddress, into: IpWords = newWords()): IpWords {
  const end = ip.length;
  let value = 0;
  let at = 0;
  for (let octets = 0; at < end; at++) {
    const code = ip.charCodeAt(at);
    if (code === dot) {
      octets = (octets << 8) | value;
      value = 0;
    } else if (code >= 48 && code <= 57) value = value * 10 + code - 48;
    else return ipv6ToWords(ip, into);
    if (at === end - 1) into[3] = (octets << 8) | value;
  }
  into[0] = 0;
  into[1] = 0;
  into[2] = mappedPrefix;
  return into;
}

function ipv6ToWords(ip: string, into: IpWords): IpWords {
  into.fill(0);
  const gap = ip.indexOf("::");
  readGroups(ip, 0, gap < 0 ? ip.length : gap, 0, into);
  if (gap >= 0) {
    const start = gap + 2;
    let groups = start < ip.length ? 1 : 0;
    for (let at = start; at < ip.length; at++) if (ip.charCodeAt(at) === colon) groups++;
    readGroups(ip, start, ip.length, 8 - groups, into);
  }
  return into;
}

function readGroups(ip: string, start: number, end: number, first: number, into: IpWords): void {
  let group = first;
  let value = 0;
  for (let at = start; at <= end && start < end; at++) {
    const code = at === end ? colon : ip.charCodeAt(at);
    if (code !== colon) {
      value = (value << 4) | (code <= 57 ? code - 48 : code - 87);
      continue;
    }
    const word = group >> 1;
    into[word] = (into[word] ?? 0) | (group % 2 === 0 ? value << 16 : value);
    group++;
    value = 0;
  }
}

/** The canonical text: a dotted quad, or as RFC 5952 §4 has it. */
export function wordsToIp(a: number, b: number, c: number, d: number): IpAddress {
  if (a === 0 && b === 0 && c === mappedPrefix) {
    return `${d >>> 24}.${(d >>> 16) & 0xff}.${(d >>> 8) & 0xff}.${d & 0xff}` as IpAddress;
  }
  const groups = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff, c >>> 16, c & 0xffff, d >>> 16, d & 0xffff];
  const { start, length } = longestZeros(groups);
  if (length < 2) return hex(groups) as IpAddress;
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}` as IpAddress;
}

const hex = (groups: readonly number[]): string => groups.map((group) => group.toString(16)).join(":");

/** The first of the longest runs. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let at = 0; at <= groups.length; at++) {
    if (groups[at] === 0) continue;
    if (at - start > best.length) best = { start, length: at - start };
    start = at + 1;
  }
  return best;
}

/** @param mac in its canonical text. @param into what is returned */
export function macToWords(mac: MacAddress, into: MacWords = [0, 0]): MacWords {
  into[0] = (octetAt(mac, 0) << 8) | octetAt(mac, 3);
  into[1] = (octetAt(mac, 6) << 24) | (octetAt(mac, 9) << 16) | (octetAt(mac, 12) << 8) | octetAt(mac, 15);
  return into;
}

function octetAt(mac: string, at: number): number {
  return (digitAt(mac, at) << 4) | digitAt(mac, at + 1);
}

function digitAt(mac: string, at: number): number {
  const code = mac.charCodeAt(at);
  return code <= 57 ? code - 48 : code - 87;
}

const octets = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

export function wordsToMac(high: number, low: number): MacAddress {
  const upper = `${octets[(high >>> 8) & 0xff]}:${octets[high & 0xff]}`;
  const lower = `${octets[low >>> 24]}:${octets[(low >>> 16) & 0xff]}:${octets[(low >>> 8) & 0xff]}:${octets[low & 0xff]}`;
  return `${upper}:${lower}` as MacAddress;
}
