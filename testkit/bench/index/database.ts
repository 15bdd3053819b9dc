// A database with a made-up fleet, written row by row without its history: a start reads none of it.
import Database from "better-sqlite3";
import { toHostRow, toNetworkRow, toVmRow } from "../../../controller/store/sqlite/rows.ts";
import { openSqliteStore } from "../../../controller/store/sqlite/sqlite-store.ts";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { resourcesOf } from "./fleet.ts";

export async function writeDatabase(path: string, vms: number): Promise<void> {
  await openSqliteStore(path).close();
  const db = new Database(path);
  try {
    db.pragma("foreign_keys = OFF");
    const add = adderTo(db);
    db.transaction(() => {
      for (const resource of resourcesOf(vms)) add(resource);
    })();
  } finally {
    db.close();
  }
}

function adderTo(db: Database.Database): (resource: ResourceChange) => void {
  const into = (table: string, columns: string) =>
    db.prepare(`INSERT INTO ${table} (${columns}) VALUES (${columns.replace(/\w+/g, "$$$&")})`);
  const network = into("networks", "name, uid, vni, subnets, mtu, revision, labels, description, pool");
  const host = into("hosts", "name, uid, vtep, port, origin, revision, labels, description, down");
  const vm = into("vms", "name, uid, host, prepared_host, interfaces, owner_networks, revision, labels, description");
  const mac = db.prepare("INSERT INTO macs VALUES (?, ?, ?)");
  const ip = db.prepare("INSERT INTO ips VALUES (?, ?, ?)");
  return ({ kind, after }) => {
    if (!after) return;
    if (kind === "network") network.run(toNetworkRow(after));
    else if (kind === "host") host.run(toHostRow(after));
    else {
      vm.run(toVmRow(after));
      for (const each of after.interfaces) {
        mac.run(each.network, each.mac, after.name);
        for (const address of each.ips) ip.run(each.network, address, after.name);
      }
    }
  };
}
