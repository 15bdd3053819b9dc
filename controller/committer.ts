// The one writer. Whatever is queued is decided serially, committed in one transaction, then shown to readers and
// published in order of revision. At most one batch is in flight, and readers never see what is not durable.
import { randomBytes, randomUUID } from "node:crypto";
import {
  type Actor,
  localMac,
  type ResourceChange,
  type ResourceKind,
  type ResourceOf,
  type Revision,
} from "../schema/index.ts";
import { AddressPools } from "./inventory/address-pools.ts";
import { type Decision, type DecisionContext, decide, decideSteps, type Mutation } from "./inventory/decide.ts";
import { Inventory, invert } from "./inventory/inventory.ts";
import { Refusal } from "./inventory/refusal.ts";
import { Receipts } from "./receipts.ts";
import { inSlices } from "./slices.ts";
import {
  type Commit,
  type Receipt,
  type ReceiptHead,
  type Store,
  StoreFullError,
  StoreUnavailableError,
} from "./store/store.ts";

/** What mutations came to, once that is durable. */
export interface Outcome {
  /** Every resource that they named; `before` is `after` where it stood as asked. */
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

export interface ChangeSetOutcome extends Outcome {
  /** The revision that the change set became, or the present one where nothing changed. */
  readonly revision: Revision;
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
 * Told of each revision right after `current` has moved to it. Must not throw. It works without a wait, but for a large
 * commit, which it takes in slices: the next revision waits for it.
 */
export type CommitListener = (commit: Commit) => void | Promise<void>;

/** So many changes that whoever is told of them works in slices. */
export function isLarge({ changes }: Pick<Commit, "changes">): boolean {
  return changes.length > maxBatch;
}

/** What a change set came to, and what is wrong with it by the number of the mutation, as far as one is at fault. */
export class ChangeSetRefused extends Error {
  override readonly name = "ChangeSetRefused";
  constructor(readonly refusals: readonly { readonly refusal: Refusal; readonly mutation: number | undefined }[]) {
    super(`${refusals.length} refusals, the first: ${refusals[0]?.refusal.message}`);
  }
}

export interface ChangeSetOptions {
  /** Decide, and change nothing. */
  readonly dryRun: boolean;
}

interface QueuedChangeSet extends ChangeSetOptions {
  readonly kind: "change set";
  readonly by: Actor;
  readonly mutations: readonly Mutation[];
  readonly resolve: (outcome: ChangeSetOutcome) => void;
  readonly reject: (error: unknown) => void;
}

interface Queued extends Order {
  readonly kind: "single";
  readonly by: Actor;
  readonly resolve: (outcome: Outcome | Promise<Outcome>) => void;
  readonly reject: (error: unknown) => void;
}

/** Bounds how long one transaction holds the event loop. */
const maxBatch = 256;

/** The controller does not accept mutations (any more). */
export class CommitterStoppedError extends Error {
  override readonly name = "CommitterStoppedError";
}

export interface CommitterDeps {
  readonly store: Pick<Store, "load" | "commit" | "readReceipt">;
  readonly now: () => Date;
  /** What is durable and what is shown may differ from here on: the process has to stop. */
  readonly onFatal: (error: unknown) => void;
  readonly onCommitted: (seconds: number) => void;
}

/** What one transaction is to hold, as far as it is decided. */
interface Batch {
  readonly commits: Commit[];
  readonly receipts: (Receipt & { readonly decided: Outcome })[];
}

export class Committer {
  private readonly queue: (Queued | QueuedChangeSet)[] = [];
  private readonly listeners = new Set<CommitListener>();
  private draining: Promise<void> | undefined;
  private stopped: string | undefined;

  private constructor(
    private readonly deps: CommitterDeps,
    private shown: Inventory,
    /** `current`, and what the batch in flight adds. */
    private pending: Inventory,
    private published: Revision,
    /** Follows `pending`. */
    private readonly pools: AddressPools,
    private readonly receipts: Receipts,
  ) {}

  static async open(deps: CommitterDeps): Promise<Committer> {
    const stored = await deps.store.load();
    const pending = Inventory.of(stored);
    const pools = new AddressPools(pending, stored.released);
    return new Committer(deps, Inventory.of(stored), pending, stored.revision, pools, new Receipts(stored.receipts));
  }

  /** What is durable and published. Good for one turn of the event loop: it may be another object in the next. */
  get current(): Inventory {
    return this.shown;
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
    return this.submit(by, { mutations });
  }

  /** As `mutate`, with more to ask for. @throws as `mutate` */
  submit(by: Actor, order: Order): Promise<Outcome> {
    if (this.stopped) return Promise.reject(new CommitterStoppedError(this.stopped));
    return new Promise((resolve, reject) => {
      this.queue.push({ kind: "single", by, ...order, resolve, reject });
      this.draining ??= this.drain();
    });
  }

  /**
   * As `mutate`, for any number of mutations: in slices, so that readers go on being answered. Other mutations wait.
   * @throws ChangeSetRefused with all that is wrong, StoreFullError, StoreUnavailableError, CommitterStoppedError
   */
  mutateAll(by: Actor, mutations: readonly Mutation[], options: ChangeSetOptions): Promise<ChangeSetOutcome> {
    if (this.stopped) return Promise.reject(new CommitterStoppedError(this.stopped));
    return new Promise((resolve, reject) => {
      this.queue.push({ kind: "change set", by, mutations, ...options, resolve, reject });
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
    for (let next = this.queue[0]; next; next = this.queue[0]) {
      if (next.kind === "change set") {
        this.queue.shift();
        await this.commitChangeSet(next);
      } else await this.commitBatch(this.takeBatch());
    }
    this.draining = undefined;
  }

  private takeBatch(): Queued[] {
    const batch: Queued[] = [];
    for (let next = this.queue[0]; next?.kind === "single" && batch.length < maxBatch; next = this.queue[0]) {
      batch.push(next);
      this.queue.shift();
    }
    return batch;
  }

  /** A revision of its own, in slices from the decision to the last listener. */
  private async commitChangeSet({ by, mutations, dryRun, resolve, reject }: QueuedChangeSet): Promise<void> {
    const revision = (this.published + 1) as Revision;
    let decision: Decision;
    try {
      decision = await this.decideAll(by, mutations, revision);
    } catch (error) {
      return reject(error);
    }
    const { changes, touched } = decision;
    if (dryRun || changes.length === 0) return resolve({ touched, revision: this.published });
    const commit = { revision, time: this.deps.now().toISOString(), by, changes };
    await this.followInSlices(changes);
    try {
      await this.store([commit], []);
    } catch (error) {
      await this.followInSlices(invert(changes));
      return this.failed(error, [reject]);
    }
    try {
      await this.publishChangeSet(commit);
    } catch (error) {
      this.fail(error);
    }
    resolve({ touched, revision });
  }

  /** @throws ChangeSetRefused */
  private async decideAll(by: Actor, mutations: readonly Mutation[], revision: Revision): Promise<Decision> {
    const refusals: { refusal: Refusal; mutation: number | undefined }[] = [];
    const steps = decideSteps(this.pending, mutations, this.contextFor(by, revision), (refusal, mutation) => {
      refusals.push({ refusal, mutation });
    });
    const decision = await inSlices(steps);
    if (refusals.length > 0) throw new ChangeSetRefused(refusals);
    return decision;
  }

  /**
   * Readers must see all of a revision or nothing. `pending` has it already, so the two change places at once, and the
   * one that readers have left follows in slices.
   */
  private async publishChangeSet(commit: Commit): Promise<void> {
    [this.shown, this.pending] = [this.pending, this.shown];
    await this.tell(commit);
    await inSlices(this.pending.applySteps(commit.changes));
  }

  /** `pending`, and what is kept beside it. */
  private async followInSlices(changes: readonly ResourceChange[]): Promise<void> {
    await inSlices(this.pending.applySteps(changes));
    await inSlices(this.pools.applySteps(changes, this.deps.now().getTime()));
  }

  private follow(changes: readonly ResourceChange[]): void {
    this.pending.apply(changes);
    this.pools.apply(changes, this.deps.now().getTime());
  }

  private async commitBatch(queue: readonly Queued[]): Promise<void> {
    const batch: Batch = { commits: [], receipts: [] };
    const { commits, receipts } = batch;
    const settle = queue.map((queued) => this.decideOne(queued, batch));
    try {
      if (commits.length + receipts.length > 0) await this.store(commits, receipts);
    } catch (error) {
      for (const commit of commits.toReversed()) this.follow(invert(commit.changes));
      return this.failed(
        error,
        queue.map(({ reject }) => reject),
      );
    }
    for (const receipt of receipts) this.receipts.add(receipt);
    try {
      for (const commit of commits) {
        this.current.apply(commit.changes);
        const told = this.tell(commit);
        // Without a wait where there is nothing to wait for: what follows must happen in this turn of the event loop.
        if (told) await told;
      }
    } catch (error) {
      this.fail(error);
    }
    for (const each of settle) each();
  }

  private async store(commits: readonly Commit[], receipts: readonly Receipt[]): Promise<void> {
    const startedAt = performance.now();
    await this.deps.store.commit(commits, receipts);
    this.deps.onCommitted((performance.now() - startedAt) / 1_000);
  }

  private contextFor({ scope }: Actor, revision: Revision): DecisionContext {
    const newMac = () => localMac(randomBytes(6));
    const addresses = { pools: this.pools, newMac, nowMs: this.deps.now().getTime() };
    return { revision, newUid: randomUUID, scope, addresses };
  }

  /** Decides against `pending` and moves it on. @returns what tells the asker, to be called when the batch is durable */
  private decideOne(queued: Queued, batch: Batch): () => void {
    const { resolve, reject } = queued;
    try {
      const outcome = this.findEarlier(queued, batch) ?? this.decideNew(queued, batch);
      return () => resolve(outcome);
    } catch (error) {
      return () => reject(error);
    }
  }

  private decideNew({ by, mutations, dryRun, receipt }: Queued, { commits, receipts }: Batch): Outcome {
    const revision = (this.published + commits.length + 1) as Revision;
    const now = this.deps.now();
    const { changes, touched } = decide(this.pending, mutations, this.contextFor(by, revision));
    if (dryRun) return { touched, dryRun };
    if (changes.length > 0) {
      this.follow(changes);
      commits.push({ revision, time: now.toISOString(), by, changes });
    }
    if (receipt) {
      const outcome = JSON.stringify({ touched });
      receipts.push({ ...receipt, atMs: now.getTime(), outcome, decided: { touched } });
    }
    return { touched };
  }

  /**
   * What came of the same request before, in this batch or earlier.
   * @throws Refusal where the key was used for another request
   */
  private findEarlier({ receipt }: Queued, { receipts }: Batch): Outcome | Promise<Outcome> | undefined {
    if (!receipt) return undefined;
    const inBatch = receipts.find(({ key }) => key === receipt.key);
    const known = inBatch ?? this.receipts.find(receipt.key, this.deps.now().getTime());
    if (!known) return undefined;
    if (known.fingerprint !== receipt.fingerprint) {
      const detail = "the Idempotency-Key was used for another request: take a new key for a new request";
      throw new Refusal("idempotency-key-reused", detail);
    }
    if (inBatch) return { ...inBatch.decided, replayed: true };
    const replay = this.replay(receipt.key);
    // It is handed on when the batch is durable, which may be after it has failed.
    replay.catch(() => {});
    return replay;
  }

  private async replay(key: string): Promise<Outcome> {
    const outcome = await this.deps.store.readReceipt(key);
    if (outcome === undefined) throw new Error(`the receipt of ${key} is gone`);
    return { ...JSON.parse(outcome), replayed: true };
  }

  /** @returns undefined where nobody asks for time */
  private tell(commit: Commit): Promise<unknown> | undefined {
    this.published = commit.revision;
    const slow = [...this.listeners].flatMap((listener) => listener(commit) ?? []);
    return slow.length > 0 ? Promise.all(slow) : undefined;
  }

  private failed(error: unknown, rejects: readonly ((error: unknown) => void)[]): void {
    for (const reject of rejects) reject(error);
    if (!(error instanceof StoreFullError || error instanceof StoreUnavailableError)) this.fail(error);
  }

  private fail(error: unknown): void {
    this.stopped ??= "the store failed; the controller is stopping";
    for (const { reject } of this.queue.splice(0)) reject(new CommitterStoppedError(this.stopped));
    this.deps.onFatal(error);
  }
}
