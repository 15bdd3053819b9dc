// `nearmiss restore`: makes a database from a backup, at a path where there is none. From here on the copy has a
// different history, so it gets a new epoch, by which agents and consumers recognize that later revisions do not belong
// to it.
import { randomUUID } from "node:crypto";
import { chmodSync, constants, copyFileSync, existsSync, rmSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, dirname } from "node:path";
import Database from "better-sqlite3";
import { findOwner } from "../../common/durable-file.ts";
import { AuditTrail } from "../store/sqlite/audit.ts";
import { refuseNoFile } from "../store/sqlite/foreign.ts";
import { intactProblem } from "../store/sqlite/integrity.ts";
import { lockDatabase } from "../store/sqlite/lock.ts";
import { migrate, readMigrations } from "../store/sqlite/migrations.ts";
import { StoreOpenError } from "../store/store.ts";
import { type CaDirectory, type CaFiles, dropCaFiles, findCaForm, getCaFiles, type Opening } from "./ca-files.ts";
import { checksumOf, readChecksum } from "./checksum.ts";
import { type Draft, makeDraft, publish, publishDirectory, refuseTaken } from "./files.ts";

export interface RestoreOptions {
  readonly from: string;
  readonly db: string;
  /** Whether the file with the backup's checksum must be there and agree. */
  readonly checksum: boolean;
  /** Where the CA of the backup goes; null leaves it out. */
  readonly ca: CaDirectory | null;
  readonly opening: Opening;
}

export interface RestoreResult {
  readonly db: string;
  readonly revision: number;
  readonly epoch: string;
  readonly formerEpoch: string;
  /** What became of the controller's CA. `kept`: it was there; `absent`: the backup has none. */
  readonly ca: "restored" | "kept" | "absent" | "left-out";
  /** Hosts that have a certificate. */
  readonly enrolledHosts: number;
}

/** @throws StoreOpenError with what to do about it; nothing is left then */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { from, db: path, checksum } = options;
  if (!existsSync(from)) throw new StoreOpenError(`${from} does not exist`);
  refuseNoFile(from, "name a file that `nearmiss backup` made");
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
    const { files, ...result } = await renew(draft.file, options);
    const owner = findOwner(dirname(path));
    if (!files || !options.ca) {
      publish(draft.file, path, owner);
      return result;
    }
    publishDirectory(dirname(draft.file), options.ca.directory, files, owner);
    try {
      publish(draft.file, path, owner);
    } catch (error) {
      rmSync(options.ca.directory, { recursive: true, force: true });
      throw error;
    }
    return result;
  } finally {
    draft?.remove();
    unlock();
  }
}

/** @returns with the files of the CA, where they are to be written */
async function renew(
  draft: string,
  { from, db: path, ca, opening }: RestoreOptions,
): Promise<RestoreResult & { readonly files?: CaFiles }> {
  const db = openBackup(draft, from);
  try {
    const problem = intactProblem(db, { thorough: true });
    if (problem !== undefined) throw new StoreOpenError(`${from} is damaged (${problem}): use another backup`);
    const version = db.pragma("user_version", { simple: true });
    if (version === 0) throw new StoreOpenError(`${from} is not a backup of nearmiss`);
    const form = findCaForm(db);
    const stored = ca && form ? await getCaFiles(db, form, { from, ca, opening }) : undefined;
    const found = stored && ca?.read();
    if (ca && stored && found && found.size > 0) refuseOther(ca.directory, stored, found);
    dropCaFiles(db);
    migrate(db, from, readMigrations());
    const epoch = randomUUID();
    const findEpoch = db.prepare("SELECT value FROM meta WHERE name = 'epoch'").pluck();
    const formerEpoch = findEpoch.get() as string;
    const revision = db.prepare("SELECT revision FROM log_head").pluck().get() as number;
    db.transaction(() => {
      db.prepare("UPDATE meta SET value = ? WHERE name = 'epoch'").run(epoch);
      new AuditTrail(db).add({
        time: new Date().toISOString(),
        by: { name: `user ${userInfo().username}`, role: "admin" },
        what: [`restored from ${basename(from)} at revision ${revision}`],
      });
    })();
    const enrolledHosts = db
      .prepare("SELECT count(*) FROM host_credentials WHERE issuer IS NOT NULL")
      .pluck()
      .get() as number;
    const result = { db: path, revision, epoch, formerEpoch, enrolledHosts };
    if (!ca) return { ...result, ca: "left-out" };
    if (!stored) return { ...result, ca: "absent" };
    return found && found.size > 0 ? { ...result, ca: "kept" } : { ...result, ca: "restored", files: stored };
  } finally {
    db.close();
  }
}

/** A directory that has all CAs of the backup may have newer ones, and stays. @throws StoreOpenError for another one */
function refuseOther(directory: string, stored: CaFiles, found: CaFiles): void {
  const secrets = [...stored].filter(([name]) => /\.(key|crt)$/.test(name));
  if (secrets.every(([name, text]) => found.get(name) === text)) return;
  throw new StoreOpenError(
    `${directory} has another CA than the backup: nothing was changed. Hosts of the backup trust the backup's: move the directory ` +
      "away, or keep it with --without-ca",
  );
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
