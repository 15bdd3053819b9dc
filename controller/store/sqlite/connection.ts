// Required settings of every writing connection.
import type { Database } from "better-sqlite3";
import { StoreOpenError } from "../store.ts";

/** SQLite waits for a lock on the event loop, so never for long. */
export const busyTimeoutMs = 50;
/** … and in the thread that writes commits, which holds up only other writes. */
export const threadBusyTimeoutMs = 1_000;

/** A WAL database that is opened again falls back to synchronous=NORMAL, which loses commits: set and read back. */
export function makeDurable(db: Database, path: string): void {
  const settings = { journal_mode: "wal", synchronous: 2, foreign_keys: 1 };
  for (const [name, wanted] of Object.entries(settings)) {
    db.pragma(`${name} = ${wanted}`);
    const actual: unknown = db.pragma(name, { simple: true });
    if (actual !== wanted) throw new StoreOpenError(`${path}: SQLite keeps ${name} at ${actual}, ${wanted} is needed`);
  }
}
