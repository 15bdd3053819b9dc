import type { ResourceChange, ResourceKind, ResourceOf } from "../../schema/events/index.ts";
import type { DecisionListener, Mutation, Numbered } from "../inventory/decide.ts";
import type { PinnedInventory } from "../inventory/pinned-inventory.ts";
import type { Records } from "../inventory/records.ts";
import type { Refusal } from "../inventory/refusal.ts";
import type { Commit, ReceiptHead } from "../store/store.ts";

/** Result of the mutations, once it is durable. */
export interface Outcome {
  /** Every resource that they named; `before` is `after` if it did not change. */
  readonly touched: readonly ResourceChange[];
  /** It was only decided. */
  readonly dryRun?: true;
  /** It was carried out earlier, for the same request with the same idempotency key. */
  readonly replayed?: true;
}

/** For a request that may be sent again. */
export type ReceiptRequest = Pick<ReceiptHead, "key" | "fingerprint">;

export interface Order {
  /** All of them become one revision, or none. */
  readonly mutations: readonly Mutation[];
  /** Decide, and change nothing. */
  readonly dryRun?: boolean;
  /** Carry it out once, however often it is asked for. Not with `dryRun`. */
  readonly receipt?: ReceiptRequest;
}

/** The one resource of `kind` that a mutation wrote. */
export function written<K extends ResourceKind>(
  outcome: Outcome,
  kind: K,
): { resource: ResourceOf[K]; created: boolean } {
  const change = outcome.touched.find((each) => each.kind === kind);
  if (!change?.after) throw new Error(`no ${kind} was written`);
  return { resource: change.after as ResourceOf[K], created: change.before === null };
}

/**
 * Called for each revision right after `current` has changed to it. Must not throw. Runs synchronously, except for a large
 * commit, which it processes in slices: the next revision waits for it.
 * @param before the inventory before a change set, until all listeners are done
 */
export type CommitListener = (commit: Commit, before?: PinnedInventory) => void | Promise<void>;

/** Limits how long the decisions of one transaction block the event loop. */
export const maxBatch = 256;

/** From this number of changes on, listeners work in slices. */
export function isLarge({ changes }: Pick<Commit, "changes">): boolean {
  return changes.length > maxBatch;
}

/** Maximum number of refusals of a change set; the check stops then. */
export const maxRefusals = 1_000;

/** Faults of a change set by the number of the mutation, if one is at fault. */
export class ChangeSetRefused extends Error {
  override readonly name = "ChangeSetRefused";
  constructor(readonly refusals: readonly { readonly refusal: Refusal; readonly mutation: number | undefined }[]) {
    super(`${refusals.length} refusals, the first: ${refusals[0]?.refusal.message}`);
  }
}

/** Any number of mutations that become one revision, or none. */
export interface ChangeSet {
  /** Read more than once, each time from the beginning. */
  readonly mutations: Iterable<Numbered>;
  /** One of them leaves an address to the controller. */
  readonly assigns: boolean;
  /** Decide, and change nothing. */
  readonly dryRun: boolean;
  /** Begins a decision, perhaps anew: what `listener` heard before counts no more. @returns empty records, for what changes */
  readonly stage: () => Records;
  readonly listener: Pick<DecisionListener, "laid">;
}

/** The mutation has waited too long for a change set to end: nothing was changed. */
export class CommitterBusyError extends Error {
  override readonly name = "CommitterBusyError";
}

/** The controller does not accept mutations (any more). */
export class CommitterStoppedError extends Error {
  override readonly name = "CommitterStoppedError";
}
