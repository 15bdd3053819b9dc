// The tables of resources, and of addresses that VMs lost. The caller opens the transaction.
import type { Database } from "better-sqlite3";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { limits } from "../../../schema/plain/index.ts";
import type { Vm } from "../../../schema/rest/index.ts";
import { releasedBy } from "../../inventory/quarantine.ts";
import { type HostRow, type NetworkRow, toHostRow, toNetworkRow, toVmRow, type VmRow } from "./rows.ts";

/**
 * All rows must be removed before any is added: two VMs may swap an address. So `remove` for the whole change set, then
 * `add`, each at once or in parts. References are checked at the end of the transaction.
 */
export class TableRows {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.statements = prepare(db);
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

  add(changes: Iterable<ResourceChange>): void {
    for (const change of changes) {
      if (change.after === null) continue;
      switch (change.kind) {
        case "network":
          this.statements.addNetwork(toNetworkRow(change.after));
          break;
        case "host":
          this.statements.addHost(toHostRow(change.after));
          break;
        case "vm":
          this.addVm(change.after);
      }
    }
  }

  private addVm(vm: Vm): void {
    this.statements.addVm(toVmRow(vm));
    for (const { network, mac, ips } of vm.interfaces) {
      this.statements.addMac.run(network, mac, vm.name);
      for (const ip of ips) this.statements.addIp.run(network, ip, vm.name);
    }
  }
}

function prepare(db: Database) {
  return {
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
    addRelease: db.prepare("INSERT OR REPLACE INTO releases VALUES (?, ?, ?)"),
    forgetReleases: db.prepare("DELETE FROM releases WHERE at_ms < ?"),
  };
}

/** With the columns by name: migrations add some at the end of a table. Values go by position, which is faster. */
function inserter<Row extends object>(db: Database, table: string, columns: readonly (keyof Row & string)[]) {
  const places = columns.map(() => "?").join(", ");
  const statement = db.prepare(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`);
  return (row: Row): void => void statement.run(columns.map((column) => row[column]));
}
