// Multicast groups of guests: their text, their MAC address, and which of them are of one link only.
import { AddressError } from "./address.ts";
import { findGroups, findOctets, writeGroups } from "./ip-text.ts";

declare const brand: unique symbol;

/** An IPv4 (224.0.0.0/4) or IPv6 (ff00::/8) multicast address, in its canonical text. */
export type GroupAddress = string & { readonly [brand]: "GroupAddress" };

/** Four octets, or eight groups of 16 bits. */
type Parts = readonly number[];

/** In 224.0.0.0/4 or ff00::/8, in any text; that it is an address is not checked. */
export const isMulticast = (text: string): boolean => /^(?:22[4-9]|23\d)\.|^ff[\da-f]{2}:/i.test(text);

/** @throws AddressError for other text, zones, and addresses that are not multicast */
export function parseGroup(text: string): GroupAddress {
  const parts = text.includes(":") ? findGroups(text) : findOctets(text);
  const found = parts && groupOf(parts);
  if (!found) throw new AddressError(`"${text}" is not a multicast address such as 239.1.2.3 or ff05::123`);
  return found;
}

/** The group in 4 or 16 bytes, or undefined where it is no multicast address or the length is another. */
export function findGroup(bytes: Uint8Array): GroupAddress | undefined {
  if (bytes.length === 4) return groupOf([...bytes]);
  if (bytes.length !== 16) return undefined;
  return groupOf(Array.from({ length: 8 }, (_, i) => (bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)));
}

function groupOf(parts: Parts): GroupAddress | undefined {
  const [first = 0] = parts;
  if (parts.length === 4) return first >= 224 && first < 240 ? (parts.join(".") as GroupAddress) : undefined;
  return first >= 0xff00 ? (writeGroups(parts) as GroupAddress) : undefined;
}

export function groupToBytes(group: GroupAddress): Buffer {
  const parts = partsOf(group);
  return Buffer.from(parts.length === 4 ? parts : parts.flatMap((part) => [part >> 8, part & 255]));
}

const partsOf = (group: GroupAddress): Parts => (group.includes(":") ? findGroups(group) : findOctets(group)) ?? [];

/**
 * The MAC address that frames to the group have: of IPv4 the lower 23 bits (RFC 1112 §6.4), of IPv6 the lower 32 (RFC 2464 §7). Several
 * groups share one.
 */
export function groupMac(group: GroupAddress): string {
  const bytes = groupToBytes(group);
  const mac =
    bytes.length === 4
      ? [0x01, 0x00, 0x5e, (bytes[1] ?? 0) & 0x7f, bytes[2] ?? 0, bytes[3] ?? 0]
      : [0x33, 0x33, ...bytes.subarray(12)];
  return mac.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Groups that are never copied between hosts, beside the ranges below, and what they are for. */
export const linkGroups: Readonly<Record<string, string>> = {
  "224.0.0.1": "all systems of one link",
  "224.0.0.22": "reports of IGMP",
  "ff02::1": "all nodes of one link",
  "ff02::2": "router solicitations",
  "ff02::16": "reports of MLD",
  "ff02::6a": "multicast router discovery",
  "ff02::1:2": "DHCPv6",
  "ff05::1:3": "DHCPv6",
};

/** Why frames to the group stay on their host: what the group is for. Undefined: they are copied to hosts with a member. */
export function linkPurpose(group: GroupAddress): string | undefined {
  const known = linkGroups[group];
  if (known !== undefined) return known;
  const parts = partsOf(group);
  if (parts.length === 4) return undefined;
  const [first = 0, ...rest] = parts;
  const scope = first & 0x0f;
  if (scope <= 1) return "a group of one node";
  const [sixth, seventh = 0] = rest.slice(4);
  const isOfAddress = first === 0xff02 && rest.slice(0, 4).every((part) => part === 0) && seventh >> 8 === 0xff;
  if (isOfAddress && sixth === 1) return "neighbour discovery";
  return isOfAddress && sixth === 2 ? "node information queries" : undefined;
}
