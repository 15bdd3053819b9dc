// Durable storage of inventory and log. SQLite is the embedded one (`sqlite/`); a replicated store would implement the
// same interface.
import type { Revision } from "../../schema/address/index.ts";
import type { LoggedEvent, ResourceKind } from "../../schema/events/index.ts";
import type { Actor, Host, Network, Vm } from "../../schema/rest/index.ts";
import type { Changes } from "../inventory/changes.ts";
import type { PackedVm } from "../inventory/packed/packed-vm.ts";
import type { TimedRelease } from "../inventory/quarantine.ts";
import type { AccessStore } from "./access-store.ts";
import type { CredentialStore } from "./credential-store.ts";

/** Receipts are kept for a day. Where there are too many, callers lose some by how many they have (`Receipts`). */
export const receiptLimits = { ageMs: 86_400_000, count: 10_000 } as const;

/** One mutation's change set, as one revision. */
export interface Commit {
  readonly revision: Revision;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly changes: Changes;
}

/** As its writer appends it. */
export interface AuthoredCommit extends Commit {
  /** Written to the audit trail with the changes. */
  readonly by: Actor;
}

/** All but the VMs, which `load` hands over one by one. */
export interface StoredState {
  readonly networks: readonly Network[];
  readonly hosts: readonly Host[];
  /** Of the last commit; 0 where there was none. */
  readonly revision: Revision;
  /** Addresses that VMs lost in the last `limits.quarantineSeconds` at least, in order of time; some may be taken again. */
  readonly released: readonly TimedRelease[];
  /** In order of time. */
  readonly receipts: readonly ReceiptHead[];
}

/** That a request with an idempotency key was carried out. */
export interface ReceiptHead {
  readonly key: string;
  /** Of the request: the key is good for no other. */
  readonly fingerprint: string;
  /** Wall clock, ms. */
  readonly atMs: number;
}

export interface Receipt extends ReceiptHead {
  /** The result, as JSON. */
  readonly outcome: string;
}

/** Position in the log. */
export interface LogPosition {
  readonly revision: Revision;
  readonly index: number;
}

export interface LogExtent {
  /** Revisions up to here are deleted; 0 if none is. */
  readonly compacted: Revision;
  readonly events: number;
}

/** Limits of the log. Whole revisions are removed, oldest first, never the newest. */
export interface LogLimits {
  /** Revisions from before, by their time: RFC 3339, UTC. */
  readonly before: string;
  readonly maxEvents: number;
}

export interface Store {
  /** Names this history: revisions of different epochs are not comparable. */
  readonly epoch: string;
  /**
   * @param onVm called with each VM, in order of their names: there may be more than fit into memory as objects
   * @param onPacked called in its place with those that the store can hand over faster; the record is good during the call only
   */
  load(onVm: (vm: Vm) => void, onPacked?: (vm: PackedVm) => void): Promise<StoredState>;
  /**
   * Writes what an import changes beside the log, in parts between which others commit: `commit` of it is short then, and what it leaves to do
   * is done beside later commits. Until it is committed nothing of it counts, and the next start drops it.
   * @throws as `commit`: nothing is left
   */
  stage(changes: Changes): Promise<void>;
  /** Drops what was staged, unless it is committed. */
  unstage(changes: Changes): Promise<void>;
  /**
   * Appends the batch to the log: state, events, audit and receipts of all of it, or nothing. Its revisions follow each other and
   * the head of the log, which it was decided on. Durable when the promise resolves. Receipts of the keys in `forget` go before the
   * new ones come; the store may forget those that are older than `receiptLimits`.
   * @throws HeadMovedError: nothing was written; the batch has to be decided anew
   * @throws StoreUnavailableError, StoreFullError: nothing was written, the same batch may be tried again
   * @throws StoreBrokenError: the state on disk is unknown
   */
  commit(batch: readonly AuthoredCommit[], receipts?: readonly Receipt[], forget?: readonly string[]): Promise<void>;
  /**
   * For a decision that appends nothing, such as a refusal: it counts only where nothing was appended behind its head.
   * @throws HeadMovedError
   */
  confirmHead(head: Revision): Promise<void>;
  /** In order of time. */
  readReceiptHeads(): Promise<readonly ReceiptHead[]>;
  /** The outcome, where the receipt is still kept. */
  readReceipt(key: string): Promise<string | undefined>;
  /**
   * At most `limit` events behind `after` and not beyond revision `upTo`, in order of position.
   * @throws LogCompactedError where there may have been more behind `after`
   */
  readEvents(after: LogPosition, upTo: Revision, limit: number): Promise<LoggedEvent[]>;
  logExtent(): Promise<LogExtent>;
  /**
   * Removes a part of the events beyond the limits, about `atMost`, in one transaction.
   * @returns whether there may be more to forget
   */
  compactLog(limits: LogLimits, atMost: number): Promise<boolean>;
  /** At most `limit` events before `before`, newest first; of one resource alone where named. */
  readEventsBack(
    before: LogPosition,
    limit: number,
    of?: { readonly kind: ResourceKind; readonly name: string },
  ): Promise<LoggedEvent[]>;
  readonly access: AccessStore;
  readonly credentials: CredentialStore;
  close(): Promise<void>;
}

/** The log does not go back so far. */
export class LogCompactedError extends Error {
  override readonly name = "LogCompactedError";
  constructor(readonly compacted: Revision) {
    super(`the log is compacted up to revision ${compacted}`);
  }
}

/** Another writer has appended to the log since. */
export class HeadMovedError extends Error {
  override readonly name = "HeadMovedError";
  constructor(readonly head: Revision) {
    super(`the log has grown to revision ${head}`);
  }
}

/** Locked by another process for longer than a commit may wait. */
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
