// One controller per database. The lock is SQLite's own on a file beside it, which the kernel drops with the process,
// whatever ends it; the database itself stays open to readers such as `sqlite3`.
import { closeSync, fchownSync, lstatSync, openSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { findOwner } from "../../../common/durable-file.ts";
import { StoreOpenError } from "../store.ts";

/**
 * @returns a callback that releases the lock
 * @throws StoreOpenError where another process holds it, or a link is in its place
 */
export function lockDatabase(path: string): () => void {
  const file = `${path}.lock`;
  // SQLite would follow it, and make an empty file at its end.
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new StoreOpenError(`${file} is a link, which nearmiss does not create: nothing was changed. Remove it`);
  }
  makeForOwner(file);
  const lock = new Database(file, { timeout: 0 });
  try {
    lock.pragma("journal_mode = MEMORY");
    lock.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    if (error instanceof Database.SqliteError && error.code.startsWith("SQLITE_BUSY")) {
      throw new StoreOpenError(`${path} is in use by another controller: stop that one first, or name another --db`);
    }
    throw error;
  }
  return () => lock.close();
}

/** As root in the directory of another user: a lock that SQLite makes as root could not be taken by that user's controller. */
function makeForOwner(file: string): void {
  const owner = findOwner(dirname(file));
  if (!owner || lstatSync(file, { throwIfNoEntry: false })) return;
  const descriptor = openSync(file, "wx", 0o600);
  try {
    // By the descriptor: the user could have put a link to another file in its place.
    fchownSync(descriptor, owner.uid, owner.gid);
  } finally {
    closeSync(descriptor);
  }
}
