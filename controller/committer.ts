// The one writer. Whatever is queued is decided serially, committed in one transaction, then shown to readers and
// published in order of revision. At most one batch is in flight, and readers never see what is not durable.
import { randomUUID } from "node:crypto";
import type { Actor, ResourceChange, ResourceKind, ResourceOf, Revision } from "../schema/index.ts";
import { decide, type Mutation } from "./inventory/decide.ts";
import { Inventory, invert } from "./inventory/inventory.ts";
import { type Commit, type Store, StoreFullError, StoreUnavailableError } from "./store/store.ts";

/** What mutations came to, once that is durable. */
export interface Outcome {
  /** Every resource that they named; `before` is `after` where it stood as asked. */
  readonly touched: readonly ResourceChange[];
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

/** Told of each revision right after `current` has moved to it. Must not throw, and must not wait. */
export type CommitListener = (commit: Commit) => void;

interface Queued {
  readonly by: Actor;
  readonly mutations: readonly Mutation[];
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/** Bounds how long one transaction holds the event loop. */
const maxBatch = 256;

/** The controller does not accept mutations (any more). */
export class CommitterStoppedError extends Error {
  override readonly name = "CommitterStoppedError";
}

export interface CommitterDeps {
  readonly store: Store;
  readonly now: () => Date;
  /** What is durable and what is shown may differ from here on: the process has to stop. */
  readonly onFatal: (error: unknown) => void;
  readonly onCommitted: (seconds: number) => void;
}

export class Committer {
  private readonly queue: Queued[] = [];
  private readonly listeners = new Set<CommitListener>();
  private draining: Promise<void> | undefined;
  private stopped: string | undefined;

  private constructor(
    private readonly deps: CommitterDeps,
    /** What is durable and published. */
    readonly current: Inventory,
    /** `current`, and what the batch in flight adds. */
    private readonly pending: Inventory,
    private published: Revision,
  ) {}

  static async open(deps: CommitterDeps): Promise<Committer> {
    const stored = await deps.store.load();
    return new Committer(deps, Inventory.of(stored), Inventory.of(stored), stored.revision);
  }

  /** How far `current` has followed the log. */
  get revision(): Revision {
    return this.published;
  }

  /** Why no mutation is accepted any more, if so. */
  get stoppedBecause(): string | undefined {
    return this.stopped;
  }

  /**
   * All of the mutations as one revision, or none. Whoever it is `by` stands in the audit trail, and can neither see nor
   * change what is beyond their scope.
   * @throws Refusal, StoreFullError, StoreUnavailableError, CommitterStoppedError
   */
  mutate(by: Actor, ...mutations: readonly Mutation[]): Promise<Outcome> {
    if (this.stopped) return Promise.reject(new CommitterStoppedError(this.stopped));
    return new Promise((resolve, reject) => {
      this.queue.push({ by, mutations, resolve, reject });
      this.draining ??= this.drain();
    });
  }

  /** @returns what ends the subscription */
  subscribe(listener: CommitListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Refuses new mutations and waits for those that were accepted. */
  async stop(reason: string): Promise<void> {
    this.stopped ??= reason;
    await this.draining;
  }

  private async drain(): Promise<void> {
    // Requests that arrive in one turn of the event loop share a transaction.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.queue.length > 0) await this.commitBatch(this.queue.splice(0, maxBatch));
    this.draining = undefined;
  }

  private async commitBatch(batch: readonly Queued[]): Promise<void> {
    const commits: Commit[] = [];
    const settle = batch.map((queued) => this.decideOne(queued, commits));
    try {
      if (commits.length > 0) await this.store(commits);
    } catch (error) {
      for (const commit of commits.toReversed()) this.pending.apply(invert(commit.changes));
      for (const { reject } of batch) reject(error);
      if (!(error instanceof StoreFullError || error instanceof StoreUnavailableError)) this.fail(error);
      return;
    }
    try {
      for (const commit of commits) this.publish(commit);
    } catch (error) {
      this.fail(error);
    }
    for (const each of settle) each();
  }

  private async store(commits: readonly Commit[]): Promise<void> {
    const startedAt = performance.now();
    await this.deps.store.commit(commits);
    this.deps.onCommitted((performance.now() - startedAt) / 1_000);
  }

  /** Decides against `pending` and moves it on. @returns what tells the asker, to be called when the batch is durable */
  private decideOne({ by, mutations, resolve, reject }: Queued, commits: Commit[]): () => void {
    const revision = (this.published + commits.length + 1) as Revision;
    try {
      const context = { revision, newUid: randomUUID, scope: by.scope };
      const { changes, touched } = decide(this.pending, mutations, context);
      if (changes.length > 0) {
        this.pending.apply(changes);
        commits.push({ revision, time: this.deps.now().toISOString(), changes });
      }
      return () => resolve({ touched });
    } catch (error) {
      return () => reject(error);
    }
  }

  private publish(commit: Commit): void {
    this.current.apply(commit.changes);
    this.published = commit.revision;
    for (const listener of this.listeners) listener(commit);
  }

  private fail(error: unknown): void {
    this.stopped ??= "the store failed; the controller is stopping";
    for (const { reject } of this.queue.splice(0)) reject(new CommitterStoppedError(this.stopped));
    this.deps.onFatal(error);
  }
}
