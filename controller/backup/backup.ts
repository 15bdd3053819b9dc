// `nearmiss backup`: a copy of the database at one revision, made by a separate process while the controller runs.
import { existsSync, rmSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { writeNew } from "../../common/durable-file.ts";
import { noteBackup } from "../store/last-backup.ts";
import { refuseForeign, refuseNoFile } from "../store/sqlite/foreign.ts";
import { intactProblem } from "../store/sqlite/integrity.ts";
import { readMigrations } from "../store/sqlite/migrations.ts";
import { StoreOpenError } from "../store/store.ts";
import { type CaDirectory, findCaForm, type Protection, putCaFiles } from "./ca-files.ts";
import { checksumFile, checksumOf, formatChecksum } from "./checksum.ts";
import { makeDraft, publish, refuseTaken } from "./files.ts";

export interface BackupOptions {
  readonly db: string;
  readonly to: string;
  /** MiB a second: the controller shares the disk. */
  readonly rate: number;
  readonly onProgress: (share: number) => void;
  /** The controller's CA, which goes into the backup; null leaves it out. */
  readonly ca: CaDirectory | null;
  readonly protection: Protection;
}

export interface BackupResult {
  readonly file: string;
  readonly revision: number;
  readonly epoch: string;
  readonly bytes: number;
  readonly sha256: string;
  /** What it has of the controller's CA; `absent`: there is none. */
  readonly ca: "plain" | "encrypted" | "absent" | "left-out";
  /** A controller with `--backup-within` knows of it. */
  readonly noted: boolean;
}

/** Of SQLite's pages, 4 KiB each: short enough for an even pace. */
const pagesAtOnce = 64;
const mebibyte = 2 ** 20;

/** @throws StoreOpenError with what to do about it; nothing is left then */
export async function backUp(options: BackupOptions): Promise<BackupResult> {
  const { db: path, to } = options;
  const partial = `${to}.partial`;
  refuseTaken([to, checksumFile(to), partial]);
  if (!existsSync(path))
    throw new StoreOpenError(`${path} does not exist: name the database of the controller with --db`);
  refuseNoFile(path);
  refuseForeign(path);
  const draft = makeDraft(partial);
  const at = new Date();
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { fileMustExist: true, timeout: 5_000 });
    const { revision, epoch } = pin(db, path);
    await copy(db, draft.file, options);
    const ca = await finish(draft.file, options);
    const sha256 = await checksumOf(draft.file);
    const { size } = statSync(draft.file);
    writeNew(checksumFile(to), formatChecksum(sha256, to));
    publish(draft.file, to);
    return { file: to, revision, epoch, bytes: size, sha256, ca, noted: note(path, at) };
  } catch (error) {
    if (!existsSync(to)) rmSync(checksumFile(to), { force: true });
    throw error;
  } finally {
    db?.close();
    draft.remove();
  }
}

/** The backup is whole also where its time cannot be written beside the database. */
function note(path: string, at: Date): boolean {
  try {
    noteBackup(path, at);
    return true;
  } catch {
    return false;
  }
}

/** Opens a read transaction, so that the copy is of one moment however long it takes. */
function pin(db: Database.Database, path: string): { revision: number; epoch: string } {
  db.exec("BEGIN");
  const version = db.pragma("user_version", { simple: true }) as number;
  const known = readMigrations().length;
  if (version === 0 || version > known) {
    throw new StoreOpenError(
      `${path} has schema ${version}, this build knows 1 to ${known}: it belongs to another program or a newer version`,
    );
  }
  return {
    revision: headOf(db),
    epoch: db.prepare("SELECT value FROM meta WHERE name = 'epoch'").pluck().get() as string,
  };
}

/** The database may be of an older version, without imports that are moved. */
function headOf(db: Database.Database): number {
  const isThere = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'log_head'").get() !== undefined;
  const head = isThere ? "SELECT revision FROM log_head" : "SELECT coalesce(max(revision), 0) FROM events";
  return db.prepare(head).pluck().get() as number;
}

async function copy(db: Database.Database, draft: string, { rate, onProgress }: BackupOptions): Promise<void> {
  const startedAt = performance.now();
  const pageSize = db.pragma("page_size", { simple: true }) as number;
  const clock = new Int32Array(new SharedArrayBuffer(4));
  await db.backup(draft, {
    progress: ({ totalPages, remainingPages }) => {
      const done = totalPages - remainingPages;
      onProgress(totalPages === 0 ? 0 : done / totalPages);
      const dueMs = ((done * pageSize) / (rate * mebibyte)) * 1_000;
      const earlyMs = dueMs - (performance.now() - startedAt);
      // This process has nothing else to do.
      if (earlyMs > 1) Atomics.wait(clock, 0, 0, earlyMs);
      return pagesAtOnce;
    },
  });
  onProgress(1);
}

/** One file without a log beside it, with the CA, and sound. */
async function finish(draft: string, { ca, protection }: BackupOptions): Promise<BackupResult["ca"]> {
  const db = new Database(draft, { fileMustExist: true });
  try {
    db.pragma("journal_mode = DELETE");
    const files = ca?.read();
    if (files && files.size > 0) await putCaFiles(db, files, protection);
    const problem = intactProblem(db);
    if (problem !== undefined)
      throw new StoreOpenError(`the copy is damaged, so the database itself is damaged: ${problem}`);
    if (!files) return "left-out";
    if (files.size === 0) return "absent";
    return findCaForm(db) === "age" ? "encrypted" : "plain";
  } finally {
    db.close();
  }
}
