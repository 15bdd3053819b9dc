// The kernel's tables in memory, as strict as the kernel: they refuse and stay silent in exactly the same cases.
// Compared with the kernel's by test/contract/tables.ts.
import {
  type ActualEntry,
  type Entry,
  entryKey,
  type Hiding,
  nothingHidden,
  type Operation,
  type OperationResult,
  type Tables,
} from "../../node-agent/tables/entry.ts";
import type { MacAddress, Vni } from "../../schema/address/index.ts";

export class FakeTables implements Tables {
  private readonly entries = new Map<string, ActualEntry>();

  private readonly usedMs = new Map<string, number>();

  /** @param vnis networks whose vxlan device exists */
  constructor(
    private readonly vnis: ReadonlySet<Vni>,
    private readonly nowMs: () => number = () => 0,
  ) {}

  async apply(operations: readonly Operation[]): Promise<OperationResult[]> {
    return operations.map((operation) => this.applyOne(operation));
  }

  async list(vni: Vni): Promise<ActualEntry[]> {
    return this.present(vni);
  }

  present(vni: Vni): ActualEntry[] {
    return [...this.entries.values()].filter(({ entry }) => entry.vni === vni);
  }

  hiding(): Hiding {
    return nothingHidden;
  }

  async idleMs(vni: Vni): Promise<ReadonlyMap<MacAddress, number>> {
    const tunnels = (await this.list(vni)).map(({ entry }) => entry).filter(({ kind }) => kind === "tunnel");
    return new Map(tunnels.map((each) => [each.mac, this.nowMs() - (this.usedMs.get(entryKey(each)) ?? 0)]));
  }

  /** A guest sends to this MAC, or is answered for it by the proxy. */
  use(vni: Vni, mac: MacAddress): void {
    const key = entryKey({ kind: "tunnel", vni, mac });
    if (this.entries.has(key)) this.usedMs.set(key, this.nowMs());
  }

  /**
   * A foreign `ip neigh replace` or `bridge fdb replace`: it keeps our mark except on tunnel entries. Of broadcasts `bridge fdb append`, after
   * which the whole list is without it.
   */
  putForeign(entry: Entry): void {
    if (entry.kind === "broadcast") {
      this.entries.set(entryKey(entry), { entry, own: false, lasting: true });
      for (const [key, each] of this.destinations(entry)) this.entries.set(key, { ...each, own: false });
      return;
    }
    const stored = this.entries.get(entryKey(entry));
    this.entries.set(entryKey(entry), { entry, own: entry.kind !== "tunnel" && (stored?.own ?? false), lasting: true });
  }

  private applyOne(operation: Operation): OperationResult {
    const { verb, entry } = operation;
    if (!this.vnis.has(entry.vni)) {
      return verb === "delete" ? { operation, ok: true } : { operation, ok: false, reason: "no device" };
    }
    if (verb === "delete" && operation.whole && entry.kind === "broadcast") {
      for (const [key] of this.destinations(entry)) this.entries.delete(key);
    } else if (verb === "delete") this.remove(entry);
    else {
      if (operation.anew) this.entries.delete(entryKey(entry));
      this.put(entry);
    }
    return { operation, ok: true };
  }

  /** Replacing an FDB entry in place leaves its flags as they were: the router flag, and whose it is. */
  private put(entry: Entry): void {
    const stored = this.entries.get(entryKey(entry)) ?? this.listOf(entry);
    if (!stored) this.usedMs.set(entryKey(entry), this.nowMs());
    const own = entry.kind === "neighbour" || (stored?.own ?? true);
    this.entries.set(entryKey(entry), { entry: keepRouterFlag(entry, stored?.entry), own, lasting: true });
  }

  /** The mark is that of the list, and given with its first destination. */
  private listOf(entry: Entry): ActualEntry | undefined {
    return entry.kind === "broadcast" ? this.destinations(entry)[0]?.[1] : undefined;
  }

  private destinations({ vni, mac }: Entry): [string, ActualEntry][] {
    return [...this.entries].filter(
      ([, { entry }]) => entry.kind === "broadcast" && entry.vni === vni && entry.mac === mac,
    );
  }

  /** The kernel acknowledges the deletion of a tunnel entry that names another VTEP than the stored one, and keeps it. */
  private remove(entry: Entry): void {
    const stored = this.entries.get(entryKey(entry))?.entry;
    const other =
      entry.kind === "tunnel" &&
      stored?.kind === "tunnel" &&
      (stored.vtep !== entry.vtep || stored.vtepPort !== entry.vtepPort);
    if (!other) this.entries.delete(entryKey(entry));
  }
}

function keepRouterFlag(entry: Entry, stored: Entry | undefined): Entry {
  if (entry.kind !== "tunnel" || stored?.kind !== "tunnel") return entry;
  const { router: _, ...rest } = entry;
  return stored.router ? { ...rest, router: true } : rest;
}
