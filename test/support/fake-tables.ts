// The kernel's tables in memory, as strict as the kernel: it refuses and keeps silent exactly where the real ones do.
// Held equal to them by test/contract/tables.ts.
import {
  changesFlags,
  type Entry,
  entryKey,
  type Operation,
  type OperationResult,
  type Tables,
} from "../../node-agent/tables/entry.ts";
import type { Vni } from "../../schema/index.ts";

export class FakeTables implements Tables {
  private readonly entries = new Map<string, Entry>();

  /** @param vnis networks whose vxlan device exists */
  constructor(private readonly vnis: ReadonlySet<Vni>) {}

  async apply(operations: readonly Operation[]): Promise<OperationResult[]> {
    return operations.map((operation) => this.applyOne(operation));
  }

  async list(vni: Vni): Promise<Entry[]> {
    return [...this.entries.values()].filter((entry) => entry.vni === vni);
  }

  private applyOne(operation: Operation): OperationResult {
    const { verb, entry } = operation;
    const key = entryKey(entry);
    if (!this.vnis.has(entry.vni)) {
      return verb === "delete" ? { operation, ok: true } : { operation, ok: false, reason: "no device" };
    }
    if (verb === "put")
      this.entries.set(key, changesFlags(operation) ? entry : keepFlags(entry, this.entries.get(key)));
    else if (namesTheStored(entry, this.entries.get(key))) this.entries.delete(key);
    return { operation, ok: true };
  }
}

/** Replacing a tunnel entry in place leaves its router flag as it was. */
function keepFlags(entry: Entry, stored: Entry | undefined): Entry {
  if (entry.kind !== "tunnel" || stored?.kind !== "tunnel") return entry;
  const { router: _, ...rest } = entry;
  return stored.router ? { ...rest, router: true } : rest;
}

/** The kernel acknowledges the deletion of a tunnel entry that names another VTEP than the stored one, and keeps it. */
function namesTheStored(entry: Entry, stored: Entry | undefined): boolean {
  if (entry.kind !== "tunnel" || stored?.kind !== "tunnel") return true;
  return entry.vtep === stored.vtep && entry.vtepPort === stored.vtepPort;
}
