// Whether a path may be nearmiss's database, before any advice about it is printed: it may be another program's file.
import { existsSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { StoreOpenError } from "../store.ts";

/** A link to nowhere may lead to where the first start makes the database. @throws StoreOpenError for what is no regular file */
export function refuseNoFile(path: string, cure = "name the file of the database with --db"): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found || found.isFile()) return;
  const what = found.isDirectory() ? "is a directory" : "is not a regular file";
  throw new StoreOpenError(`${path} ${what}: ${cure}`);
}

/** @throws StoreOpenError for a file that is not empty and no database of nearmiss. Nothing is written */
export function refuseForeign(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0 || isOurs(path)) return;
  throw new StoreOpenError(`${path} is not a database of nearmiss: name another file with --db`);
}

function isOurs(path: string): boolean {
  // A database in WAL mode that was closed has no -shm, which a connection that only reads cannot make (sqlite.org/wal.html,
  // "Read-Only Databases"). Then there is no log either that another connection could write back.
  const readonly = existsSync(`${path}-wal`) || existsSync(`${path}-journal`);
  try {
    const db = new Database(path, { readonly, fileMustExist: true });
    try {
      const tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'events', 'vms')";
      return db.prepare(tables).pluck().get() === 3;
    } finally {
      db.close();
    }
  } catch {
    return false;
  }
}
