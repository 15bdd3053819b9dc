import type { Database } from "better-sqlite3";
import { asStoreError } from "./errors.ts";

/** Runs a task while nothing else in this process writes. */
export type WhileIdle = <T>(task: () => T) => Promise<T>;

/** Reads and writes of one database whose errors are the store's. */
export class Transactions {
  constructor(
    private readonly db: Database,
    private readonly path: string,
    private readonly whileIdle: WhileIdle,
  ) {}

  /** @throws StoreFullError, StoreUnavailableError, StoreBrokenError */
  read<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw asStoreError(error, this.path);
    }
  }

  /** Everything or nothing. @throws as `read` */
  write<T>(run: () => T): Promise<T> {
    return this.whileIdle(() => this.read(() => this.db.transaction(run).immediate()));
  }
}
