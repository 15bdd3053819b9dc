// The embedded store: one SQLite file. State and events of a batch go into one transaction with a full fsync.
import { randomUUID } from "node:crypto";
import Database from "better-sqlite3";
import { changeDataVersion, type LoggedEvent, type ResourceChange, type Revision } from "../../../schema/index.ts";
import {
  type Commit,
  type LogPosition,
  type Store,
  StoreBrokenError,
  type StoredState,
  StoreOpenError,
} from "../store.ts";
import { asStoreError } from "./errors.ts";
import { lockDatabase } from "./lock.ts";
import { type Migration, migrate, readMigrations } from "./migrations.ts";
import {
  type EventRow,
  fromEventRow,
  fromHostRow,
  fromNetworkRow,
  fromVmRow,
  type HostRow,
  type NetworkRow,
  toNetworkRow,
  toVmRow,
  type VmRow,
} from "./rows.ts";

/** SQLite waits for a lock on the event loop, so never for long. */
const busyTimeoutMs = 50;

/** @throws StoreOpenError with what to do about it */
export function openSqliteStore(path: string, migrations: readonly Migration[] = readMigrations()): Store {
  const closers: (() => void)[] = [];
  try {
    closers.push(lockDatabase(path));
    const db = new Database(path, { timeout: busyTimeoutMs });
    closers.push(() => db.close());
    makeDurable(db, path);
    migrate(db, path, migrations);
    return new SqliteStore(db, path, () => closeAll(closers));
  } catch (error) {
    closeAll(closers);
    if (error instanceof StoreOpenError) throw error;
    throw new StoreOpenError(`cannot open ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function closeAll(closers: (() => void)[]): void {
  while (closers.length > 0) closers.pop()?.();
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  if (code === "SQLITE_NOTADB") return "the file is not a SQLite database; name another with --db";
  if (code === "SQLITE_CORRUPT") return "the file is damaged; restore a backup";
  return error.message;
}

/** A WAL database that is opened again falls back to synchronous=NORMAL, which loses commits: set and read back. */
function makeDurable(db: Database.Database, path: string): void {
  const settings = { journal_mode: "wal", synchronous: 2, foreign_keys: 1 };
  for (const [name, wanted] of Object.entries(settings)) {
    db.pragma(`${name} = ${wanted}`);
    const actual: unknown = db.pragma(name, { simple: true });
    if (actual !== wanted) throw new StoreOpenError(`${path}: SQLite keeps ${name} at ${actual}, ${wanted} is needed`);
  }
}

class SqliteStore implements Store {
  readonly epoch: string;
  private readonly statements: ReturnType<typeof prepare>;
  private readonly write: (batch: readonly Commit[]) => void;

  constructor(
    private readonly db: Database.Database,
    private readonly path: string,
    private readonly closeFiles: () => void,
  ) {
    this.statements = prepare(db);
    this.write = db.transaction((batch: readonly Commit[]) => {
      for (const commit of batch) this.writeCommit(commit);
    }).immediate;
    this.statements.addEpoch.run(randomUUID());
    this.epoch = this.statements.epoch.get() as string;
  }

  async load(): Promise<StoredState> {
    return this.guard(() => ({
      revision: this.statements.lastRevision.get() as Revision,
      networks: (this.statements.networks.all() as NetworkRow[]).map(fromNetworkRow),
      hosts: (this.statements.hosts.all() as HostRow[]).map(fromHostRow),
      vms: (this.statements.vms.all() as VmRow[]).map(fromVmRow),
    }));
  }

  async commit(batch: readonly Commit[]): Promise<void> {
    this.guard(() => this.write(batch));
    if (this.db.inTransaction)
      throw new StoreBrokenError(`${this.path}: a transaction neither committed nor rolled back`);
  }

  async readEvents(after: LogPosition, upTo: Revision, limit: number): Promise<LoggedEvent[]> {
    const rows = this.guard(() => this.statements.events.all({ ...after, upTo, limit }) as EventRow[]);
    return rows.map(fromEventRow);
  }

  async close(): Promise<void> {
    this.closeFiles();
  }

  private guard<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw asStoreError(error, this.path);
    }
  }

  /** All rows that go leave before any that comes: two VMs may swap an address. References are checked at the end. */
  private writeCommit(commit: Commit): void {
    for (const change of commit.changes) this.removeRow(change);
    for (const change of commit.changes) this.addRow(change);
    commit.changes.forEach((change, idx) => {
      this.statements.addEvent.run({
        revision: commit.revision,
        idx,
        time: commit.time,
        kind: change.kind,
        name: (change.after ?? change.before)?.name,
        data_version: changeDataVersion,
        data: JSON.stringify({ before: change.before, after: change.after }),
      });
    });
  }

  private removeRow({ kind, before }: ResourceChange): void {
    if (before) this.statements.remove[kind].run(before.name);
  }

  private addRow(change: ResourceChange): void {
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
    addEpoch: db.prepare("INSERT INTO meta (name, value) VALUES ('epoch', ?) ON CONFLICT DO NOTHING"),
    epoch: db.prepare("SELECT value FROM meta WHERE name = 'epoch'").pluck(),
    lastRevision: db.prepare("SELECT coalesce(max(revision), 0) FROM events").pluck(),
    networks: db.prepare("SELECT * FROM networks"),
    hosts: db.prepare("SELECT * FROM hosts"),
    vms: db.prepare("SELECT * FROM vms"),
    events: db.prepare(
      "SELECT * FROM events WHERE (revision, idx) > ($revision, $index) AND revision <= $upTo ORDER BY revision, idx LIMIT $limit",
    ),
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
