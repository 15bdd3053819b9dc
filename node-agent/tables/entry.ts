// The kernel's entries for a remote VM, and the operations that write them. An answer is three entries: the
// neighbour (IP → MAC), the tunnel's FDB entry (MAC → VTEP), and the bridge's own (MAC → tunnel port), without which
// the bridge floods every frame for that MAC to all guests of the host.
import type { IpAddress, MacAddress, Vni, VtepAddress } from "../../schema/address/index.ts";

export interface NeighbourEntry {
  readonly kind: "neighbour";
  readonly vni: Vni;
  readonly ip: IpAddress;
  readonly mac: MacAddress;
}
export interface TunnelEntry {
  readonly kind: "tunnel";
  readonly vni: Vni;
  readonly mac: MacAddress;
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
  /** The proxy's neighbour advertisements for this MAC carry the router flag (RFC 4861 §4.4). */
  readonly router?: true;
}
export interface BridgeEntry {
  readonly kind: "bridge";
  readonly vni: Vni;
  readonly mac: MacAddress;
}
/** The destination of all broadcasts of a network. */
export const broadcastMac = "ff:ff:ff:ff:ff:ff" as MacAddress;

/**
 * One of several destinations of the broadcast address, or of the MAC address of a multicast group, in the tunnel's FDB. The kernel keeps a
 * list for each address, with one mark for all of it.
 */
export interface BroadcastEntry {
  readonly kind: "broadcast";
  readonly vni: Vni;
  /** `broadcastMac`, or that of a group (`groupMac`). */
  readonly mac: MacAddress;
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
}
export type Entry = NeighbourEntry | TunnelEntry | BridgeEntry | BroadcastEntry;

/** A binding whose three entries another thread has written. */
export interface WrittenBinding {
  readonly vni: Vni;
  readonly ip: IpAddress;
  readonly mac: MacAddress;
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
  readonly router?: true;
}

/** An actual entry in the tables. */
export interface ActualEntry {
  readonly entry: Entry;
  /** It has our mark. A change by another program removes it from an FDB entry, and the mark cannot be restored in place. */
  readonly own: boolean;
  /** The kernel does not age it: a neighbour that is only reachable becomes a black hole when it turns stale. */
  readonly lasting: boolean;
}

/** The place of an entry, independent of its value. */
export type Place =
  | Pick<NeighbourEntry, "kind" | "vni" | "ip">
  | { readonly kind: "tunnel" | "bridge"; readonly vni: Vni; readonly mac: MacAddress }
  | Pick<BroadcastEntry, "kind" | "vni" | "mac" | "vtep" | "vtepPort">;

/**
 * `put` creates or replaces; deleting what is absent succeeds. The kernel cannot change the flags of an FDB entry in place
 * (the router flag, our mark): such a put is `anew`: it deletes the present entry and creates the new one in the same call.
 */
export type Operation =
  | { readonly verb: "put"; readonly entry: Entry; readonly anew?: true }
  /** `whole`: everything at the MAC address of an entry of the tunnel's FDB, whatever its destinations are. */
  | { readonly verb: "delete"; readonly entry: Entry; readonly whole?: true };

/** Result of one operation. Operations of one call succeed or fail independently: there is no rollback. */
/** Why an operation failed that the kernel has not acknowledged. */
export const unanswered = "the kernel said nothing";

export type OperationResult =
  | { readonly operation: Operation; readonly ok: true }
  | {
      readonly operation: Operation;
      readonly ok: false;
      readonly reason: string;
      /** The error, without the kernel's own text. Absent: it was not asked, or did not answer. */
      readonly errno?: string;
      /** The kernel has no room for it. */
      readonly full?: true;
    };

/** What entries of other programs hide, so that no miss occurs. */
export interface Hiding {
  /** All MAC addresses, by an all-zeros entry of the FDB. */
  readonly floods: boolean;
  /** By neighbours that are not permanent, as others make them. Those that are desired are replaced. */
  readonly hidden: ReadonlySet<IpAddress>;
  /** By FDB entries that lead to nexthops. Those that are desired are replaced. */
  readonly behindNexthops: ReadonlySet<MacAddress>;
}

/** Those of them that the agent does not replace. */
export interface HiddenAddresses {
  readonly floods: boolean;
  readonly hidden: readonly IpAddress[];
  readonly behindNexthops: readonly MacAddress[];
}

export const nothingHidden: Hiding = { floods: false, hidden: new Set(), behindNexthops: new Set() };

/** The tables of one host: the kernel's, or the strict fake with the same contract. */
export interface Tables {
  /** Carries out all operations in order, in as few system calls as it can. */
  apply(operations: readonly Operation[]): Promise<OperationResult[]>;
  /**
   * All unicast, broadcast and multicast entries on the devices of a network, others' too, after every earlier `apply`: neighbours as of one moment,
   * FDB entries as of one. Of operations that are applied before it resolves it may show either state; the result is stale by
   * then.
   */
  list(vni: Vni): Promise<ActualEntry[]>;
  /** As of the last `list` of the network. */
  hiding(vni: Vni): Hiding;
  /** Idle time of each MAC with a tunnel entry, in ms; a new entry counts as used. */
  idleMs(vni: Vni): Promise<ReadonlyMap<MacAddress, number>>;
}

/** Equal for entries that have the same place in the tables. */
export function entryKey(entry: Place): string {
  return `${entry.kind} ${entry.vni} ${placeText(entry)}`;
}

function placeText(entry: Place): string {
  if (entry.kind === "broadcast") {
    const end = `${entry.vtep}:${entry.vtepPort}`;
    return entry.mac === broadcastMac ? end : `${entry.mac} ${end}`;
  }
  return entry.kind === "neighbour" ? entry.ip : entry.mac;
}

export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.vni !== b.vni || a.mac !== b.mac) return false;
  if (a.kind === "bridge") return b.kind === "bridge";
  if (a.kind === "broadcast") return b.kind === "broadcast" && a.vtep === b.vtep && a.vtepPort === b.vtepPort;
  if (a.kind === "neighbour") return b.kind === "neighbour" && a.ip === b.ip;
  return b.kind === "tunnel" && a.vtep === b.vtep && a.vtepPort === b.vtepPort && a.router === b.router;
}
