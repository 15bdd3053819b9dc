import type { Database } from "better-sqlite3";
import { asStoreError } from "./errors.ts";

/** Reads and writes of one database whose errors are the store's. */
export class Transactions {
  constructor(
    private readonly db: Database,
    private readonly path: string,
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
  write<T>(run: () => T): T {
    return this.read(() => this.db.transaction(run).immediate());
  }
}
