// Databases that earlier versions wrote (`test/dumps/`): each is brought to the present schema, with all that is in it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { readMigrations } from "../../controller/store/sqlite/migrations.ts";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import { loadAll } from "../support/stored.ts";

const directory = new URL("../dumps/", import.meta.url);
const dumps = readdirSync(directory).sort();

/** Tables and indexes by name, as they were made. */
function schemaOf(path: string): unknown {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY type, name").all();
  } finally {
    db.close();
  }
}

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), "nearmiss-dump-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("there is a dump of every schema that a migration starts from", () => {
  const expected = readMigrations().map(({ version }) => `schema-${String(version).padStart(4, "0")}.sql`);
  expect(dumps).toEqual(expect.arrayContaining(expected.slice(0, -1)));
});

test.each(dumps)("%s", async (dump) => {
  const path = join(temporary(), "old.db");
  const old = new Database(path);
  old.exec(readFileSync(new URL(dump, directory), "utf8"));
  old.close();
  const store = openSqliteStore(path);
  const { revision, networks, hosts, vms } = await loadAll(store);
  expect(revision).toBe(7);
  expect(networks).toMatchObject([{ name: "blue", vni: 100, subnets: ["10.0.0.0/24", "fd00::/64"], mtu: 1450 }]);
  expect(hosts).toMatchObject([
    { name: "a", vtep: "192.0.2.1", port: 4789, origin: "operator" },
    { name: "b", vtep: "192.0.2.2", port: 4790 },
  ]);
  const interfaces = [{ network: "blue", mac: "52:54:00:00:00:01", ips: ["10.0.0.1", "fd00::1"], port: "tap1" }];
  expect(vms).toMatchObject([{ name: "web-1", host: "b", interfaces, revision: 6, labels: {}, description: "" }]);
  const events = await store.readEvents({ revision: 0 as never, index: Number.MAX_SAFE_INTEGER }, revision, 100);
  expect(events.map(({ revision: at, change }) => [at, change.kind])).toEqual([
    [1, "network"],
    [2, "host"],
    [3, "host"],
    [4, "vm"],
    [5, "vm"],
    [6, "vm"],
    [7, "vm"],
  ]);
  await store.close();

  const fresh = join(temporary(), "fresh.db");
  await openSqliteStore(fresh).close();
  expect(schemaOf(path)).toEqual(schemaOf(fresh));
});

test("VMs without interfaces belong to the networks of their last interfaces in the log", async () => {
  const path = join(temporary(), "old.db");
  const old = new Database(path);
  old.exec(readFileSync(new URL("schema-0007.sql", directory), "utf8"));
  const addVm = old.prepare(
    "INSERT INTO vms (name, uid, host, interfaces, revision, labels, description) VALUES (?, ?, 'a', ?, 9, '{}', '')",
  );
  const addEvent = old.prepare("INSERT INTO events VALUES (?, 0, '2026-01-01T00:00:00.000Z', 'vm', ?, 2, ?)");
  const side = (uid: string, ...networks: string[]) => ({ uid, interfaces: networks.map((network) => ({ network })) });
  const log = (revision: number, name: string, before: object, after: object | null) =>
    addEvent.run(revision, name, JSON.stringify({ before, after }));
  for (const name of ["detached", "made again", "forgotten"]) addVm.run(name, `${name} now`, "[]");
  addVm.run("attached", "attached now", '[{"network":"blue"}]');
  log(10, "detached", side("detached now", "blue"), side("detached now", "red", "blue", "red"));
  log(11, "detached", side("detached now", "red", "blue", "red"), side("detached now"));
  log(12, "detached", side("detached now"), side("detached now"));
  log(13, "made again", side("another", "blue"), side("another"));
  old.close();
  const store = openSqliteStore(path);
  const { vms } = await loadAll(store);
  const owners = Object.fromEntries(vms.map(({ name, ownerNetworks }) => [name, ownerNetworks]));
  expect(owners).toEqual({ "web-1": undefined, attached: undefined, detached: ["blue", "red"] });
  await store.close();
});
