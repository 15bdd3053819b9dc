// `nearmiss restore`: makes a database from a backup, at a path where there is none. From here on the copy has a
// different history, so it gets a new epoch, by which agents and consumers recognize that later revisions do not belong
// to it.
import { randomUUID } from "node:crypto";
import { chmodSync, constants, copyFileSync, existsSync } from "node:fs";
import { userInfo } from "node:os";
import { basename } from "node:path";
import Database from "better-sqlite3";
import { AuditTrail } from "../store/sqlite/audit.ts";
import { intactProblem } from "../store/sqlite/integrity.ts";
import { lockDatabase } from "../store/sqlite/lock.ts";
import { migrate, readMigrations } from "../store/sqlite/migrations.ts";
import { StoreOpenError } from "../store/store.ts";
import { checksumOf, readChecksum } from "./checksum.ts";
import { type Draft, makeDraft, publish, refuseTaken } from "./files.ts";

export interface RestoreOptions {
  readonly from: string;
  readonly db: string;
  /** Whether the file with the backup's checksum must be there and agree. */
  readonly checksum: boolean;
}

export interface RestoreResult {
  readonly db: string;
  readonly revision: number;
  readonly epoch: string;
  readonly formerEpoch: string;
}

/** @throws StoreOpenError with what to do about it; nothing is left then */
export async function restore({ from, db: path, checksum }: RestoreOptions): Promise<RestoreResult> {
  if (!existsSync(from)) throw new StoreOpenError(`${from} does not exist`);
  const restoring = `${path}.restoring`;
  // SQLite would treat a journal beside the database as its own, and roll it back into it.
  refuseTaken([path, ...["-wal", "-shm", "-journal"].map((ending) => `${path}${ending}`), restoring]);
  const wanted = checksum ? readChecksum(from) : undefined;
  const unlock = lockDatabase(path);
  let draft: Draft | undefined;
  try {
    draft = makeDraft(restoring);
    copyFileSync(from, draft.file, constants.COPYFILE_EXCL);
    chmodSync(draft.file, 0o600);
    if (wanted !== undefined && (await checksumOf(draft.file)) !== wanted) {
      throw new StoreOpenError(`${from} does not match its checksum: it was damaged or changed; use another backup`);
    }
    const result = renew(draft.file, from, path);
    publish(draft.file, path);
    return result;
  } finally {
    draft?.remove();
    unlock();
  }
}

function renew(draft: string, from: string, path: string): RestoreResult {
  const db = openBackup(draft, from);
  try {
    const problem = intactProblem(db, { thorough: true });
    if (problem !== undefined) throw new StoreOpenError(`${from} is damaged (${problem}): use another backup`);
    const version = db.pragma("user_version", { simple: true });
    if (version === 0) throw new StoreOpenError(`${from} is not a backup of nearmiss`);
    migrate(db, from, readMigrations());
    const epoch = randomUUID();
    const findEpoch = db.prepare("SELECT value FROM meta WHERE name = 'epoch'").pluck();
    const formerEpoch = findEpoch.get() as string;
    const revision = db.prepare("SELECT coalesce(max(revision), 0) FROM events").pluck().get() as number;
    db.transaction(() => {
      db.prepare("UPDATE meta SET value = ? WHERE name = 'epoch'").run(epoch);
      new AuditTrail(db).add({
        time: new Date().toISOString(),
        by: { name: `user ${userInfo().username}`, role: "admin" },
        what: [`restored from ${basename(from)} at revision ${revision}`],
      });
    })();
    return { db: path, revision, epoch, formerEpoch };
  } finally {
    db.close();
  }
}

function openBackup(draft: string, from: string): Database.Database {
  try {
    const db = new Database(draft, { fileMustExist: true });
    db.pragma("synchronous = FULL");
    return db;
  } catch (error) {
    throw new StoreOpenError(`${from} is not a SQLite database: name a file that \`nearmiss backup\` made`, {
      cause: error,
    });
  }
}
