// Where broadcasts and groups of a network are copied to: one entry for each other host, or for each with a member, all at one address. Pure.
import {
  type GroupAddress,
  groupMac,
  type MacAddress,
  type Vni,
  type VtepAddress,
} from "../../schema/address/index.ts";
import { type ActualEntry, type BroadcastEntry, broadcastMac, entryKey, type Operation } from "./entry.ts";
import type { NetworkHost } from "./host-tables.ts";

/**
 * Copies of one frame. The kernel makes them one after the other in the context of the sender, 2 to 3 µs each, and looks for one of them
 * in a list.
 */
export const maxCopies = 512;

/**
 * Copies that the broadcasts of one guest port may become in a second: some 6 ms of a processor each second, and 20 broadcasts a
 * second to 100 hosts.
 */
export const defaultCopiesPerSecond = 2_000;

export interface TunnelEnd {
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
}

/**
 * The entries of a network, by place: each tunnel end once, also where two hosts share it, and never an own one: a copy to it would come
 * back to the guests that have the frame.
 */
export function broadcastEntries(
  vni: Vni,
  hosts: Iterable<NetworkHost>,
  own: readonly TunnelEnd[],
): ReadonlyMap<string, BroadcastEntry> {
  const entries = new Map<string, BroadcastEntry>();
  const [first] = own;
  for (const { vtep, port = first?.vtepPort } of hosts) {
    if (port === undefined || own.some((end) => end.vtep === vtep && end.vtepPort === port)) continue;
    const entry: BroadcastEntry = { kind: "broadcast", vni, mac: broadcastMac, vtep, vtepPort: port };
    entries.set(entryKey(entry), entry);
  }
  return entries;
}

/** MAC addresses of groups in one network, and their entries, that are written: what a kernel and its rules carry without being felt. */
export const maxCopiedGroups = 1_024;
const maxGroupEntries = 8_192;

/** A host of the network and the groups with members there. */
export interface GroupHost extends NetworkHost {
  readonly groups: Iterable<GroupAddress>;
}

export interface GroupEntries {
  /** By place. */
  readonly entries: ReadonlyMap<string, BroadcastEntry>;
  /** MAC addresses for which there was no room. */
  readonly leftOut: number;
}

/**
 * The entries of a network's groups: for each MAC address every host with a member of a group that has it, and never an own tunnel end.
 * @param inherited entries of an earlier run that no report has confirmed or ended yet
 */
export function groupEntries(
  vni: Vni,
  hosts: Iterable<GroupHost>,
  inherited: Iterable<BroadcastEntry>,
  own: readonly TunnelEnd[],
): GroupEntries {
  const byMac = new Map<MacAddress, Map<string, BroadcastEntry>>();
  const add = (entry: BroadcastEntry): void => {
    const known = byMac.get(entry.mac) ?? new Map<string, BroadcastEntry>();
    byMac.set(entry.mac, known.set(entryKey(entry), entry));
  };
  const [first] = own;
  for (const entry of inherited) add(entry);
  for (const { vtep, port = first?.vtepPort, groups } of hosts) {
    if (port === undefined || own.some((end) => end.vtep === vtep && end.vtepPort === port)) continue;
    for (const group of groups)
      add({ kind: "broadcast", vni, mac: groupMac(group) as MacAddress, vtep, vtepPort: port });
  }
  const entries = new Map<string, BroadcastEntry>();
  let copied = 0;
  // In an order that does not depend on who reported first.
  for (const [, ends] of [...byMac].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (copied === maxCopiedGroups || entries.size + ends.size > maxGroupEntries) break;
    copied += 1;
    for (const [key, entry] of ends) entries.set(key, entry);
  }
  return { entries, leftOut: byMac.size - copied };
}

/** By MAC address, the number of copies that a frame becomes. */
export function copiesByMac(entries: ReadonlyMap<string, BroadcastEntry>): ReadonlyMap<MacAddress, number> {
  const copies = new Map<MacAddress, number>();
  for (const { mac } of entries.values()) copies.set(mac, (copies.get(mac) ?? 0) + 1);
  return copies;
}

/** From one set to another: every destination that stays is served throughout. */
export function broadcastOperations(
  before: ReadonlyMap<string, BroadcastEntry>,
  after: ReadonlyMap<string, BroadcastEntry>,
): Operation[] {
  const puts = [...after].filter(([key]) => !before.has(key)).map(([, entry]): Operation => ({ verb: "put", entry }));
  const deletes = [...before].filter(([key]) => !after.has(key));
  return [...puts, ...deletes.map(([, entry]): Operation => ({ verb: "delete", entry }))];
}

export const isBroadcast = ({ entry }: ActualEntry): boolean => entry.kind === "broadcast";

/**
 * Lists of destinations as a whole, where another program has written to one: the mark is that of the list, and the kernel neither
 * gives it back nor deletes every form of a destination (vxlan_fdb_update_existing() in drivers/net/vxlan/vxlan_core.c). Empty where
 * all lists are ours. @returns the operations by MAC address
 */
export function broadcastRewrites(
  desired: ReadonlyMap<string, BroadcastEntry>,
  actual: readonly ActualEntry[],
): ReadonlyMap<MacAddress, readonly Operation[]> {
  const rewrites = new Map<MacAddress, Operation[]>();
  for (const each of actual) {
    const { entry } = each;
    if (!isBroadcast(each) || (each.own && each.lasting) || rewrites.has(entry.mac)) continue;
    const wanted = [...desired.values()].filter(({ mac }) => mac === entry.mac);
    rewrites.set(entry.mac, [
      { verb: "delete", entry, whole: true },
      ...wanted.map((put): Operation => ({ verb: "put", entry: put })),
    ]);
  }
  return rewrites;
}

/** The rate of one guest port whose frames become copies: frames a minute, and how many at once. At least one, or nothing would pass. */
export function frameRate(
  copiesPerSecond: number,
  copies: number,
): { readonly perMinute: number; readonly burst: number } {
  const each = Math.max(1, copies);
  return {
    perMinute: Math.max(1, Math.floor((copiesPerSecond * 60) / each)),
    burst: Math.max(1, Math.floor(copiesPerSecond / each)),
  };
}
