// The embedded store: one SQLite file. State, events and audit of a batch go into one transaction with a full fsync, which a thread
// of its own writes; the little that is written beside, tokens and certificates, is written here while the thread rests.
import { randomUUID } from "node:crypto";
import Database from "better-sqlite3";
import type { Revision } from "../../../schema/address/index.ts";
import type { LoggedEvent, ResourceKind } from "../../../schema/events/index.ts";
import type { Vm } from "../../../schema/rest/index.ts";
import type { Changes } from "../../inventory/changes.ts";
import type { PackedVm } from "../../inventory/packed/packed-vm.ts";
import type { TimedRelease } from "../../inventory/quarantine.ts";
import {
  type AuthoredCommit,
  HeadMovedError,
  type LogExtent,
  type LogLimits,
  type LogPosition,
  type Receipt,
  type ReceiptHead,
  type Store,
  type StoredState,
  StoreOpenError,
} from "../store.ts";
import { SqliteAccess } from "./access.ts";
import { CommitThread } from "./commit-thread.ts";
import { busyTimeoutMs, makeDurable } from "./connection.ts";
import { SqliteCredentials } from "./credentials.ts";
import { EventLog } from "./event-log.ts";
import { intactProblem } from "./integrity.ts";
import { lockDatabase } from "./lock.ts";
import { type Migration, migrate, readMigrations } from "./migrations.ts";
import { fromHostRow, fromNetworkRow, fromVmValues, type HostRow, type NetworkRow, vmColumns } from "./rows.ts";
import { limitsAtStart, TableFollower } from "./table-follower.ts";
import { Transactions, type WhileIdle } from "./transactions.ts";
import { VmScan } from "./vm-scan.ts";

/** @throws StoreOpenError with what to do about it */
export function openSqliteStore(path: string, migrations: readonly Migration[] = readMigrations()): Store {
  const closers: (() => void)[] = [];
  try {
    closers.push(lockDatabase(path));
    const db = new Database(path, { timeout: busyTimeoutMs });
    closers.push(() => db.close());
    checkIntact(db, path);
    makeDurable(db, path);
    migrate(db, path, migrations);
    new TableFollower(db, limitsAtStart).finish();
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

/** Before anything is written: a damaged page would otherwise be found only when it is read, perhaps after weeks. */
function checkIntact(db: Database.Database, path: string): void {
  // Throws if the file is of another kind.
  db.pragma("user_version");
  const problem = intactProblem(db);
  if (problem !== undefined) throw new StoreOpenError(damaged(path, problem));
}

function damaged(path: string, problem: string): string {
  return (
    `${path} is damaged (${problem}): move it away together with ${path}-wal, ` +
    `and run \`nearmiss restore BACKUP --db ${path}\``
  );
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  if (code === "SQLITE_NOTADB") return "the file is not a SQLite database; name another with --db";
  return error.message;
}

class SqliteStore implements Store {
  readonly epoch: string;
  readonly access: SqliteAccess;
  private readonly log: EventLog;
  private readonly vms: VmScan;
  readonly credentials: SqliteCredentials;
  private readonly statements: ReturnType<typeof prepare>;
  private readonly database: Transactions;
  private readonly thread: CommitThread;

  constructor(
    db: Database.Database,
    private readonly path: string,
    private readonly closeFiles: () => void,
  ) {
    this.thread = new CommitThread(path);
    const whileIdle: WhileIdle = (task) => this.thread.whileIdle(task);
    this.database = new Transactions(db, path, whileIdle);
    this.statements = prepare(db);
    this.access = new SqliteAccess(db, path, whileIdle);
    this.log = new EventLog(db);
    this.vms = new VmScan(db);
    this.credentials = new SqliteCredentials(db, path, whileIdle);
    this.statements.addEpoch.run(randomUUID());
    this.epoch = this.statements.epoch.get() as string;
  }

  async load(onVm: (vm: Vm) => void, onPacked?: (vm: PackedVm) => void): Promise<StoredState> {
    await this.thread.followed();
    try {
      return this.database.read(() => {
        if (onPacked) this.vms.read(onVm, onPacked);
        else for (const values of this.statements.vms.iterate()) onVm(fromVmValues(values as unknown[]));
        return {
          revision: this.statements.lastRevision.get() as Revision,
          networks: (this.statements.networks.all() as NetworkRow[]).map(fromNetworkRow),
          hosts: (this.statements.hosts.all() as HostRow[]).map(fromHostRow),
          released: this.statements.releases.all() as TimedRelease[],
          receipts: this.statements.receipts.all() as ReceiptHead[],
        };
      });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new StoreOpenError(damaged(this.path, error.message), { cause: error });
    }
  }

  commit(
    batch: readonly AuthoredCommit[],
    receipts: readonly Receipt[] = [],
    forget: readonly string[] = [],
  ): Promise<void> {
    return this.thread.commit(batch, receipts, forget);
  }

  async stage(changes: Changes): Promise<void> {
    await this.thread.stage(changes);
  }

  unstage(changes: Changes): Promise<void> {
    return this.thread.unstage(changes);
  }

  async confirmHead(head: Revision): Promise<void> {
    const actual = this.database.read(() => this.statements.lastRevision.get() as Revision);
    if (actual !== head) throw new HeadMovedError(actual);
  }

  async readReceiptHeads(): Promise<readonly ReceiptHead[]> {
    return this.database.read(() => this.statements.receipts.all() as ReceiptHead[]);
  }

  async readEvents(after: LogPosition, upTo: Revision, limit: number): Promise<LoggedEvent[]> {
    return this.database.read(() => this.log.read(after, upTo, limit));
  }

  async logExtent(): Promise<LogExtent> {
    return this.database.read(() => this.log.extent());
  }

  async compactLog(limits: LogLimits, atMost: number): Promise<boolean> {
    return this.database.write(() => this.log.compact(limits, atMost));
  }

  async readEventsBack(
    before: LogPosition,
    limit: number,
    of?: { readonly kind: ResourceKind; readonly name: string },
  ): Promise<LoggedEvent[]> {
    return this.database.read(() => this.log.readBack(before, limit, of));
  }

  async readReceipt(key: string): Promise<string | undefined> {
    return this.database.read(() => this.statements.receipt.get(key) as string | undefined);
  }

  async close(): Promise<void> {
    await this.thread.end();
    this.closeFiles();
  }
}

function prepare(db: Database.Database) {
  return {
    addEpoch: db.prepare("INSERT INTO meta (name, value) VALUES ('epoch', ?) ON CONFLICT DO NOTHING"),
    epoch: db.prepare("SELECT value FROM meta WHERE name = 'epoch'").pluck(),
    lastRevision: db.prepare("SELECT revision FROM log_head").pluck(),
    networks: db.prepare("SELECT * FROM networks"),
    hosts: db.prepare("SELECT * FROM hosts"),
    vms: db.prepare(`SELECT ${vmColumns} FROM vms ORDER BY name`).raw(),
    releases: db.prepare("SELECT network, ip, at_ms AS atMs FROM releases ORDER BY at_ms"),
    receipts: db.prepare("SELECT key, fingerprint, at_ms AS atMs FROM receipts ORDER BY id"),
    receipt: db.prepare("SELECT outcome FROM receipts WHERE key = ?").pluck(),
  };
}
