// One commit as rows: what is written, and in which order. The transaction around it is the caller's.
import type Database from "better-sqlite3";
import { changeDataVersion, describeChange, type ResourceChange } from "../../../schema/index.ts";
import type { AuditRecord } from "../access-store.ts";
import type { Commit } from "../store.ts";
import { AuditTrail } from "./audit.ts";
import { toNetworkRow, toVmRow } from "./rows.ts";

/** Changes of one revision that the audit trail names: the log has the rest. */
const maxAudited = 32;

/** The one row of the trail that tells of the whole commit. */
export function auditOf({ time, by, revision, changes }: Commit): AuditRecord {
  return { time, by, revision, what: changes.slice(0, maxAudited).map(describeChange), changes: changes.length };
}

/**
 * All rows that go must leave before any that comes: two VMs may swap an address. So `remove` for the whole change set,
 * then `add`, each as a whole or part by part. References are checked at the end of the transaction.
 */
export class CommitRows {
  private readonly statements: ReturnType<typeof prepare>;
  private readonly trail: AuditTrail;

  constructor(db: Database.Database) {
    this.statements = prepare(db);
    this.trail = new AuditTrail(db);
  }

  audit(record: AuditRecord): void {
    this.trail.add(record);
  }

  remove(changes: readonly ResourceChange[]): void {
    for (const { kind, before } of changes) if (before) this.statements.remove[kind].run(before.name);
  }

  /** @param firstIndex position of the first change in its revision */
  add({ revision, time, changes }: Commit, firstIndex: number): void {
    changes.forEach((change, i) => {
      this.addResource(change);
      this.statements.addEvent.run({
        revision,
        idx: firstIndex + i,
        time,
        kind: change.kind,
        name: (change.after ?? change.before)?.name,
        data_version: changeDataVersion,
        data: JSON.stringify({ before: change.before, after: change.after }),
      });
    });
  }

  private addResource(change: ResourceChange): void {
    if (change.after === null) return;
    switch (change.kind) {
      case "network":
        this.statements.addNetwork.run(toNetworkRow(change.after));
        return;
      case "host":
        this.statements.addHost.run(change.after);
        return;
      case "vm":
        this.statements.addVm.run(toVmRow(change.after));
        for (const { network, mac, ips } of change.after.interfaces) {
          this.statements.addMac.run(network, mac, change.after.name);
          for (const ip of ips) this.statements.addIp.run(network, ip, change.after.name);
        }
    }
  }
}

function prepare(db: Database.Database) {
  return {
    remove: {
      network: db.prepare("DELETE FROM networks WHERE name = ?"),
      host: db.prepare("DELETE FROM hosts WHERE name = ?"),
      vm: db.prepare("DELETE FROM vms WHERE name = ?"),
    },
    addNetwork: db.prepare("INSERT INTO networks VALUES ($name, $uid, $vni, $subnets, $mtu, $revision)"),
    addHost: db.prepare("INSERT INTO hosts VALUES ($name, $uid, $vtep, $port, $origin, $revision)"),
    addVm: db.prepare("INSERT INTO vms VALUES ($name, $uid, $host, $interfaces, $revision)"),
    addMac: db.prepare("INSERT INTO macs VALUES (?, ?, ?)"),
    addIp: db.prepare("INSERT INTO ips VALUES (?, ?, ?)"),
    addEvent: db.prepare("INSERT INTO events VALUES ($revision, $idx, $time, $kind, $name, $data_version, $data)"),
  };
}
