// What the kernel should hold for a remote VM, and the operations that bring it there. An answer is three entries: the
// neighbour (IP → MAC), the tunnel's FDB entry (MAC → VTEP), and the bridge's own (MAC → tunnel port), without which
// the bridge floods every frame for that MAC to all guests of the host.
import type { IpAddress, MacAddress, Vni, VtepAddress } from "../../schema/index.ts";

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
export type Entry = NeighbourEntry | TunnelEntry | BridgeEntry;

/**
 * `put` creates or replaces; deleting what is absent succeeds. The kernel cannot change the router flag of a tunnel entry
 * in place: a put does so only where it names what it `replaces`.
 */
export type Operation =
  | { readonly verb: "put"; readonly entry: Entry; readonly replaces?: Entry }
  | { readonly verb: "delete"; readonly entry: Entry };

/** How one operation ended. Operations of one call succeed and fail each by itself: there is no rollback. */
export type OperationResult =
  | { readonly operation: Operation; readonly ok: true }
  | { readonly operation: Operation; readonly ok: false; readonly reason: string };

/** The tables of one host: the kernel's, or the strict fake that keeps the same contract. */
export interface Tables {
  /** Carries out all operations in order, in as few system calls as it can. */
  apply(operations: readonly Operation[]): Promise<OperationResult[]>;
  /** All entries of ours in a network. */
  list(vni: Vni): Promise<Entry[]>;
}

/** What two entries must share to be the same place in the tables. */
export function entryKey(entry: Entry): string {
  return `${entry.kind} ${entry.vni} ${entry.kind === "neighbour" ? entry.ip : entry.mac}`;
}

export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.kind === "neighbour") return b.kind === "neighbour" && a.mac === b.mac && entryKey(a) === entryKey(b);
  if (a.kind === "bridge") return entryKey(a) === entryKey(b);
  return (
    b.kind === "tunnel" &&
    entryKey(a) === entryKey(b) &&
    a.vtep === b.vtep &&
    a.vtepPort === b.vtepPort &&
    a.router === b.router
  );
}

/** Whether a tunnel entry must be deleted and added again, instead of replaced, because its flags differ. */
export function changesFlags(operation: Operation): boolean {
  if (operation.verb !== "put" || operation.entry.kind !== "tunnel") return false;
  const { entry, replaces } = operation;
  return replaces?.kind === "tunnel" && replaces.router !== entry.router;
}
