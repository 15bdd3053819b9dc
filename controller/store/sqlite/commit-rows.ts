// Writes one commit as rows, in order. The caller opens the transaction.
import type { Database } from "better-sqlite3";
import { defined } from "../../../common/defined.ts";
import type { Revision } from "../../../schema/address/index.ts";
import { changeDataVersion, describeChange, type ResourceChange } from "../../../schema/events/index.ts";
import { limits } from "../../../schema/plain/index.ts";
import { releasedBy } from "../../inventory/quarantine.ts";
import type { AuditRecord } from "../access-store.ts";
import { type AuthoredCommit, type Commit, type LogPosition, type Receipt, receiptLimits } from "../store.ts";
import { AuditTrail } from "./audit.ts";
import { type HostRow, type NetworkRow, toHostRow, toNetworkRow, toVmRow, type VmRow } from "./rows.ts";

interface LogEntry {
  readonly time: string;
  readonly data: string;
}

/** Changes of one revision that the audit trail names: the log has the rest. */
const maxAudited = 32;

/** The one audit row of the whole commit. */
export function auditOf({ time, by, revision, changes }: AuthoredCommit): AuditRecord {
  const { name, role, address } = by;
  const what: string[] = [];
  for (const change of changes) {
    what.push(describeChange(change));
    if (what.length === maxAudited) break;
  }
  return { time, by: { name, role, ...defined({ address }) }, revision, what, changes: changes.length };
}

/**
 * All rows must be removed before any is added: two VMs may swap an address. So `remove` for the whole change set, then
 * `add`, each at once or in parts. References are checked at the end of the transaction.
 */
export class CommitRows {
  private readonly statements: ReturnType<typeof prepare>;
  private readonly trail: AuditTrail;

  constructor(db: Database) {
    this.statements = prepare(db);
    this.trail = new AuditTrail(db);
  }

  /** Revision of the last commit; 0: there was none. */
  head(): Revision {
    return this.statements.head.get() as Revision;
  }

  audit(record: AuditRecord): void {
    this.trail.add(record);
  }

  remove({ time, changes }: { readonly time: string; readonly changes: Iterable<ResourceChange> }): void {
    const atMs = Date.parse(time);
    for (const change of changes) {
      if (change.before) this.statements.remove[change.kind].run(change.before.name);
      for (const { network, ip } of releasedBy(change)) {
        this.statements.addRelease.run(network, ip, atMs);
        this.statements.forgetReleases.run(atMs - limits.quarantineSeconds * 1_000);
      }
    }
  }

  /** @param forget keys of receipts that go first */
  addReceipts(receipts: readonly Receipt[], forget: readonly string[]): void {
    for (const key of forget) this.statements.forgetReceipt.run(key);
    for (const receipt of receipts) {
      this.statements.addReceipt.run(receipt);
      this.statements.forgetReceipts.run(receipt.atMs - receiptLimits.ageMs);
    }
  }

  /** @param firstIndex position of the first change in its revision */
  add({ revision, time, changes }: Commit, firstIndex: number): void {
    let index = firstIndex;
    for (const change of changes) {
      const { before, after } = change;
      this.addChange(change, { revision, index, time, data: JSON.stringify({ before, after }) });
      index += 1;
    }
  }

  /** @param data of the change, as the log has it */
  addChange(change: ResourceChange, { revision, index, time, data }: LogPosition & LogEntry): void {
    this.addResource(change);
    const name = (change.after ?? change.before)?.name;
    this.statements.addEvent.run(revision, index, time, change.kind, name, changeDataVersion, data);
  }

  private addResource(change: ResourceChange): void {
    if (change.after === null) return;
    switch (change.kind) {
      case "network":
        this.statements.addNetwork(toNetworkRow(change.after));
        return;
      case "host":
        this.statements.addHost(toHostRow(change.after));
        return;
      case "vm":
        this.statements.addVm(toVmRow(change.after));
        for (const { network, mac, ips } of change.after.interfaces) {
          this.statements.addMac.run(network, mac, change.after.name);
          for (const ip of ips) this.statements.addIp.run(network, ip, change.after.name);
        }
    }
  }
}

function prepare(db: Database) {
  return {
    head: db.prepare("SELECT coalesce(max(revision), 0) FROM events").pluck(),
    remove: {
      network: db.prepare("DELETE FROM networks WHERE name = ?"),
      host: db.prepare("DELETE FROM hosts WHERE name = ?"),
      vm: db.prepare("DELETE FROM vms WHERE name = ?"),
    },
    addNetwork: inserter<NetworkRow>(db, "networks", [
      "name",
      "uid",
      "vni",
      "subnets",
      "mtu",
      "revision",
      "labels",
      "description",
      "pool",
    ]),
    addHost: inserter<HostRow>(db, "hosts", [
      "name",
      "uid",
      "vtep",
      "port",
      "origin",
      "revision",
      "labels",
      "description",
      "down",
    ]),
    addVm: inserter<VmRow>(db, "vms", [
      "name",
      "uid",
      "host",
      "prepared_host",
      "interfaces",
      "owner_networks",
      "revision",
      "labels",
      "description",
    ]),
    addMac: db.prepare("INSERT INTO macs VALUES (?, ?, ?)"),
    addIp: db.prepare("INSERT INTO ips VALUES (?, ?, ?)"),
    addEvent: db.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"),
    addRelease: db.prepare("INSERT OR REPLACE INTO releases VALUES (?, ?, ?)"),
    forgetReleases: db.prepare("DELETE FROM releases WHERE at_ms < ?"),
    addReceipt: db.prepare(
      "INSERT OR REPLACE INTO receipts (key, fingerprint, at_ms, outcome) VALUES ($key, $fingerprint, $atMs, $outcome)",
    ),
    forgetReceipt: db.prepare("DELETE FROM receipts WHERE key = ?"),
    forgetReceipts: db.prepare("DELETE FROM receipts WHERE at_ms < ?"),
  };
}

/** With the columns by name: migrations add some at the end of a table. Values go by position, which is faster. */
function inserter<Row extends object>(db: Database, table: string, columns: readonly (keyof Row & string)[]) {
  const places = columns.map(() => "?").join(", ");
  const statement = db.prepare(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`);
  return (row: Row): void => void statement.run(columns.map((column) => row[column]));
}
