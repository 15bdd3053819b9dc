// The embedded store: the contract of all stores, and tests specific to SQLite.
import { on } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { newestOf, readMigrations } from "../../controller/store/sqlite/migrations.ts";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import { StoreBrokenError, StoreOpenError, StoreUnavailableError } from "../../controller/store/store.ts";
import { loadAll } from "../support/stored.ts";
import { commitsOf, hostPut, networkPut, storeContract, vmPut } from "./store.ts";

function temporaryPath(): string {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-store-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "nearmiss.db");
}

storeContract("sqlite", () => {
  const path = temporaryPath();
  return { open: async () => openSqliteStore(path) };
});

/** The settings of the connection that the store itself uses: no other connection can read them. */
async function settingsWhileOpening(path: string): Promise<Record<string, unknown>> {
  const settings: Record<string, unknown> = {};
  const { close } = Database.prototype;
  Database.prototype.close = function (this: Database.Database) {
    for (const name of ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"]) {
      if (this.name === path) settings[name] = this.pragma(name, { simple: true });
    }
    return close.call(this);
  };
  try {
    await openSqliteStore(path).close();
  } finally {
    Database.prototype.close = close;
  }
  return settings;
}

test("every open, the second too, has WAL, full fsync, references checked, and a short wait for locks", async () => {
  const path = temporaryPath();
  const expected = { journal_mode: "wal", synchronous: 2, foreign_keys: 1, busy_timeout: 50 };
  expect(await settingsWhileOpening(path)).toEqual(expected);
  expect(await settingsWhileOpening(path)).toEqual(expected);
});

/** Runs the worker that writes commits, and posts its connection's settings when the connection closes. */
const spiedWorker = `
  import { parentPort } from "node:worker_threads";
  import Database from ${JSON.stringify(import.meta.resolve("better-sqlite3"))};
  const { close } = Database.prototype;
  Database.prototype.close = function () {
    const names = ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"];
    parentPort.postMessage(Object.fromEntries(names.map((name) => [name, this.pragma(name, { simple: true })])));
    return close.call(this);
  };
  await import(${JSON.stringify(new URL("../../dist/controller/store/sqlite/commit-worker.js", import.meta.url))});
`;

test("the thread that writes commits has the same settings, and may wait longer", async () => {
  const path = temporaryPath();
  await openSqliteStore(path).close();
  const source = new URL(`data:text/javascript,${encodeURIComponent(spiedWorker)}`);
  const worker = new Worker(source, { workerData: { path } });
  onTestFinished(async () => void (await worker.terminate()));
  for (const order of ["begin", "commit", "end"]) worker.postMessage(JSON.stringify({ do: order }));
  const messages: unknown[] = [];
  for await (const [message] of on(worker, "message")) if (messages.push(message) === 3) break;
  const settings = { journal_mode: "wal", synchronous: 2, foreign_keys: 1, busy_timeout: 1_000 };
  expect(messages).toEqual([{ ok: true }, { ok: true }, settings]);
});

test("a second controller on the same file is refused, and starts when the first has stopped", async () => {
  const path = temporaryPath();
  const first = openSqliteStore(path);
  expect(() => openSqliteStore(path)).toThrow(/in use by another controller/);
  await first.close();
  await openSqliteStore(path).close();
});

test("a newer schema is refused with instructions, and not touched", async () => {
  const path = temporaryPath();
  await openSqliteStore(path).close();
  const version = newestOf(readMigrations());
  const db = new Database(path);
  db.pragma(`user_version = ${version + 1}`);
  db.close();
  expect(() => openSqliteStore(path)).toThrow(
    `written by a newer nearmiss (schema ${version + 1}; this build knows up to ${version})`,
  );
});

test("missing migrations are applied in order, each once", async () => {
  const path = temporaryPath();
  const known = readMigrations();
  await openSqliteStore(path, known).close();
  const added = { version: newestOf(known) + 1, sql: "CREATE TABLE later (x INTEGER) STRICT" };
  await openSqliteStore(path, [...known, added]).close();
  await openSqliteStore(path, [...known, added]).close();
  const broken = { version: newestOf(known) + 2, sql: "CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE later (x)" };
  expect(() => openSqliteStore(path, [...known, added, broken])).toThrow(StoreOpenError);
  const db = new Database(path);
  expect(db.pragma("user_version", { simple: true })).toBe(newestOf(known) + 1);
  expect(db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").pluck().get()).toBe(0);
  db.close();
});

test("the database of another program is refused", () => {
  const path = temporaryPath();
  const db = new Database(path);
  db.exec("CREATE TABLE bookmarks (url TEXT)");
  db.close();
  expect(() => openSqliteStore(path)).toThrow("a database of another program");
});

test("a file that is not a database is refused", () => {
  const path = temporaryPath();
  writeFileSync(path, "not a database, but long enough that SQLite looks at it ".repeat(20));
  expect(() => openSqliteStore(path)).toThrow("not a SQLite database");
});

test("a path that cannot be created is refused", () => {
  expect(() => openSqliteStore(join(temporaryPath(), "x", "nearmiss.db"))).toThrow(StoreOpenError);
});

test("a database locked by another process is unavailable, and nothing of the batch is written", async () => {
  const path = temporaryPath();
  const store = openSqliteStore(path);
  const batch = commitsOf(new CommittedInventory(), 1, [networkPut("blue", 100)]);
  const other = new Database(path);
  other.exec("BEGIN IMMEDIATE");
  await expect(store.commit(batch)).rejects.toThrow(StoreUnavailableError);
  other.exec("ROLLBACK");
  other.close();
  await store.commit(batch);
  expect((await loadAll(store)).revision).toBe(1);
  await store.close();
});

test("a large revision that fails half way leaves nothing, and can be written again", async () => {
  const path = temporaryPath();
  const store = openSqliteStore(path);
  const lock = new Database(path);
  lock.exec("BEGIN IMMEDIATE");
  const many = Array.from({ length: 1_000 }, (_, i) => networkPut(`n-${i}`, 1_000 + i));
  const batch = commitsOf(new CommittedInventory(), 1, many);
  await expect(store.commit(batch)).rejects.toThrow(StoreUnavailableError);
  lock.exec("ROLLBACK");
  lock.exec(
    "CREATE TRIGGER full BEFORE INSERT ON networks WHEN NEW.name = 'n-900' BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  await expect(store.commit(batch)).rejects.toThrow(StoreBrokenError);
  lock.exec("DROP TRIGGER full");
  lock.close();
  expect(await loadAll(store)).toMatchObject({ revision: 0, networks: [] });
  await store.commit(batch);
  expect((await loadAll(store)).networks).toHaveLength(1_000);
  await store.close();
});

test("damage found at run time breaks the store", async () => {
  const path = temporaryPath();
  const store = openSqliteStore(path);
  const other = new Database(path);
  other.exec("DROP TABLE ips");
  other.close();
  const state = new CommittedInventory();
  const batch = commitsOf(state, 1, [networkPut("blue", 100)], [hostPut("a", "192.0.2.1")], [vmPut("web-1", "a", 1)]);
  await expect(store.commit(batch)).rejects.toThrow(StoreBrokenError);
  expect((await loadAll(store)).revision).toBe(0);
  await store.close();
});
