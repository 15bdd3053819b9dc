// Addresses as 32-bit words, for tables that keep millions of them. One form for both families: an IPv4 address is written as
// an IPv4-mapped one (RFC 4291 §2.5.5.2), which `parseIp` refuses as input, so that the two never collide.
import type { IpAddress, MacAddress } from "./address.ts";
import { findGroups, writeGroups } from "./ip-text.ts";
import { octetAt } from "./mac-text.ts";

/** Words of an IP address, the most significant first. */
export type IpWords = [number, number, number, number];
/** Words of a MAC address: its upper 16 bits, its lower 32. */
export type MacWords = [high: number, low: number];

const mappedPrefix = 0xffff;
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
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = findGroups(ip) ?? [];
  into[0] = (a << 16) | b;
  into[1] = (c << 16) | d;
  into[2] = (e << 16) | f;
  into[3] = (g << 16) | h;
  return into;
}

/** The canonical text: a dotted quad, or as RFC 5952 §4 has it. */
export function wordsToIp(a: number, b: number, c: number, d: number): IpAddress {
  if (a === 0 && b === 0 && c === mappedPrefix) return wordToIpv4(d);
  const groups = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff, c >>> 16, c & 0xffff, d >>> 16, d & 0xffff];
  return writeGroups(groups) as IpAddress;
}

/** @param word the last one of the address */
export function wordToIpv4(word: number): IpAddress {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}` as IpAddress;
}

/** @param mac in its canonical text. @param into what is returned */
export function macToWords(mac: MacAddress, into: MacWords = [0, 0]): MacWords {
  into[0] = (octetAt(mac, 0) << 8) | octetAt(mac, 3);
  into[1] = (octetAt(mac, 6) << 24) | (octetAt(mac, 9) << 16) | (octetAt(mac, 12) << 8) | octetAt(mac, 15);
  return into;
}

const octets = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

export function wordsToMac(high: number, low: number): MacAddress {
  const upper = `${octets[(high >>> 8) & 0xff]}:${octets[high & 0xff]}`;
  const lower = `${octets[low >>> 24]}:${octets[(low >>> 16) & 0xff]}:${octets[(low >>> 8) & 0xff]}:${octets[low & 0xff]}`;
  return `${upper}:${lower}` as MacAddress;
}
