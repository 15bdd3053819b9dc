// One controller per database. The lock is SQLite's own on a file beside it, which the kernel drops with the process,
// whatever ends it; the database itself stays open to readers such as `sqlite3`.

import { StoreOpenError } from "../store.ts";
import { Database } from "./driver.ts";

/**
 * @returns what gives the lock back
 * @throws StoreOpenError where another process holds it
 */
export function lockDatabase(path: string): () => void {
  const lock = new Database(`${path}.lock`, { timeout: 0 });
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
