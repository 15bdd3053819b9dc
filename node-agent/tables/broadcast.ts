// Where broadcasts of a network are copied to: one entry for each other host, all at the broadcast address. Pure.
import type { Vni, VtepAddress } from "../../schema/address/index.ts";
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
 * The list of destinations as a whole, where another program has written to it: the mark is that of the list, and the kernel neither
 * gives it back nor deletes every form of a destination (vxlan_fdb_update_existing() in drivers/net/vxlan/vxlan_core.c). Nothing where
 * the list is ours.
 */
export function broadcastRewrite(
  desired: ReadonlyMap<string, BroadcastEntry>,
  actual: readonly ActualEntry[],
): Operation[] {
  const foreign = actual.find((each) => isBroadcast(each) && !(each.own && each.lasting));
  if (!foreign) return [];
  return [
    { verb: "delete", entry: foreign.entry, whole: true },
    ...[...desired.values()].map((entry): Operation => ({ verb: "put", entry })),
  ];
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
