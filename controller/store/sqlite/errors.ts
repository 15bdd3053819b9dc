import Database from "better-sqlite3";
import { StoreBrokenError, StoreFullError, StoreUnavailableError } from "../store.ts";

/** Maps an error of SQLite, raised here or reported by the thread, to a store error. Other errors are returned unchanged. */
export function asStoreError(error: unknown, path: string): unknown {
  if (!isSqliteError(error)) return error;
  const cause = { cause: error };
  if (error.code.startsWith("SQLITE_FULL")) return new StoreFullError(`no space left for ${path}`, cause);
  if (/^SQLITE_(BUSY|LOCKED)/.test(error.code)) {
    return new StoreUnavailableError(`${path} is locked by another process`, cause);
  }
  return new StoreBrokenError(`${path}: ${error.message} (${error.code})`, cause);
}

function isSqliteError(error: unknown): error is { readonly code: string; readonly message: string } {
  if (error instanceof Database.SqliteError) return true;
  const { code } = error as { code?: unknown };
  return typeof code === "string" && code.startsWith("SQLITE_");
}
