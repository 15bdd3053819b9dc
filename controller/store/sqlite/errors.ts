import Database from "better-sqlite3";
import { StoreBrokenError, StoreFullError, StoreUnavailableError } from "../store.ts";

/** What an error of SQLite means for who asked. Anything but a SQLite error comes back as it is. */
export function asStoreError(error: unknown, path: string): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const cause = { cause: error };
  if (error.code.startsWith("SQLITE_FULL")) return new StoreFullError(`no space left for ${path}`, cause);
  if (/^SQLITE_(BUSY|LOCKED)/.test(error.code)) {
    return new StoreUnavailableError(`${path} is locked by another process`, cause);
  }
  return new StoreBrokenError(`${path}: ${error.message} (${error.code})`, cause);
}
