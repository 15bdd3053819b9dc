// Where inventory and log last. SQLite is the embedded one (`sqlite/`); a replicated store comes behind the same interface.
import type { Actor, LoggedEvent, ResourceChange, Revision } from "../../schema/index.ts";
import type { Resources } from "../inventory/inventory.ts";
import type { AccessStore } from "./access-store.ts";

/** One mutation's change set, as one revision. */
export interface Commit {
  readonly revision: Revision;
  /** RFC 3339, UTC. */
  readonly time: string;
  /** Goes into the audit trail with the changes. */
  readonly by: Actor;
  readonly changes: readonly ResourceChange[];
}

export interface StoredState extends Resources {
  /** Of the last commit; 0 where there was none. */
  readonly revision: Revision;
}

/** Position in the log. */
export interface LogPosition {
  readonly revision: Revision;
  readonly index: number;
}

export interface Store {
  /** Names this history: revisions of different epochs are not comparable. */
  readonly epoch: string;
  load(): Promise<StoredState>;
  /**
   * All of the batch, state, events and audit, or nothing of it. Durable when the promise resolves.
   * @throws StoreUnavailableError, StoreFullError: nothing was written, the same batch may be tried again
   * @throws StoreBrokenError: what is on disk is not known
   */
  commit(batch: readonly Commit[]): Promise<void>;
  /** At most `limit` events behind `after` and not beyond revision `upTo`, in order of position. */
  readEvents(after: LogPosition, upTo: Revision, limit: number): Promise<LoggedEvent[]>;
  readonly access: AccessStore;
  close(): Promise<void>;
}

/** Locked by somebody else for longer than a commit may wait. */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
}

export class StoreFullError extends Error {
  override readonly name = "StoreFullError";
}

/** The disk failed or the file is damaged: the process must stop rather than guess. */
export class StoreBrokenError extends Error {
  override readonly name = "StoreBrokenError";
}

/** A store that must not be opened, with what to do about it. */
export class StoreOpenError extends Error {
  override readonly name = "StoreOpenError";
}
