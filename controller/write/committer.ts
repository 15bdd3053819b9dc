// The only writer of this process. Queued mutations are decided serially, appended to the log in one transaction, then made visible
// to readers and published in order of revision. At most one batch is in flight, and readers never see changes that are not durable.
// Where another writer of the log was faster, what it appended is published first, and the batch is decided anew on that.
import { inSlices, nextRound, type Turns } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Actor } from "../../schema/rest/index.ts";
import { AddressPools } from "../inventory/address-pools.ts";
import type { Changes, StagedChanges } from "../inventory/changes.ts";
import { CommittedInventory } from "../inventory/committed-inventory.ts";
import type { Mutation } from "../inventory/decide.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { PinnedInventory } from "../inventory/pinned-inventory.ts";
import {
  type AuthoredCommit,
  type Commit,
  HeadMovedError,
  type Receipt,
  type Store,
  StoreFullError,
  StoreUnavailableError,
} from "../store/store.ts";
import { Arrival } from "./arrival.ts";
import { ChangeSets, type GuardedLog, type HeadView } from "./change-sets.ts";
import { readCommits } from "./log-reader.ts";
import {
  type ChangeSet,
  type CommitListener,
  CommitterBusyError,
  CommitterStoppedError,
  maxBatch,
  type Order,
  type Outcome,
} from "./orders.ts";
import { Overtaking } from "./overtaking.ts";
import { type Batch, Pending } from "./pending.ts";
import { Receipts } from "./receipts.ts";

/** A step of a change set, during which nothing else is decided, appended or published. */
interface QueuedTurn {
  readonly kind: "turn";
  readonly run: () => Promise<void>;
  readonly reject: (error: unknown) => void;
}

interface Queued extends Order {
  readonly kind: "single";
  /** No longer "waiting": it is decided, or was rejected because it waited too long behind a change set. */
  state: "waiting" | "taken" | "rejected";
  readonly by: Actor;
  readonly resolve: (outcome: Outcome | Promise<Outcome>) => void;
  readonly reject: (error: unknown) => void;
}

export interface CommitterDeps {
  readonly store: Pick<
    Store,
    "load" | "stage" | "unstage" | "commit" | "confirmHead" | "readEvents" | "readReceiptHeads" | "readReceipt"
  >;
  readonly now: () => Date;
  /** Durable and visible state may differ from here on: the process must stop. */
  readonly onFatal: (error: unknown) => void;
  readonly onCommitted: (seconds: number) => void;
  /** The disk has no room for a commit. */
  readonly onFull?: () => void;
  /** In which change sets are decided. Default: slices of 4 ms. */
  readonly slices?: () => Turns;
  /** In which they arrive in memory. Default: slices of 4 ms. */
  readonly arrivingSlices?: () => Turns;
  /** How long a mutation waits behind a change set. Default: 20 s. */
  readonly maxWaitMs?: number;
}

/** Less than a client waits, or an idle connection lasts. */
const defaultMaxWaitMs = 20_000;

export class Committer {
  private readonly queue: (Queued | QueuedTurn)[] = [];
  private readonly listeners = new Set<CommitListener>();
  private draining: Promise<void> | undefined;
  private stopped: string | undefined;
  private isBroken = false;
  /** That wait or run. */
  private turns = 0;
  /** That are decided or wait for a turn, with what others change behind the head of each. */
  private readonly overtakings = new Set<Overtaking>();
  private readonly changeSets: ChangeSets;
  private readonly running = new Set<Promise<unknown>>();
  /** The change set that arrives. */
  private arrival: Arrival | undefined;
  /** They touch what it rests on, and wait for its end. */
  private readonly behind: Queued[] = [];

  private constructor(
    private readonly deps: CommitterDeps,
    private readonly shown: CommittedInventory,
    /** `current`, plus the batch in flight. */
    private readonly pending: Pending,
    private published: Revision,
  ) {
    const log: GuardedLog = {
      current: shown,
      inTurn: (task) => this.inTurn(task),
      view: () => this.viewHead(),
      admit: (changes, isTouchedBy) => this.admit(changes, isTouchedBy),
      stage: (changes) => this.stageChangeSet(changes),
      unstage: (changes) => deps.store.unstage(changes),
      append: (by, arrival) => this.appendChangeSet(by, arrival),
      end: (arrival) => this.endArrival(arrival),
    };
    this.changeSets = new ChangeSets(log, pending);
  }

  static async open(deps: CommitterDeps): Promise<Committer> {
    const inventory = new CommittedInventory();
    const filling = inventory.startFilling();
    const stored = await deps.store.load(filling.add, filling.addPacked);
    filling.end();
    for (const after of stored.networks) inventory.fill({ kind: "network", before: null, after });
    for (const after of stored.hosts) inventory.fill({ kind: "host", before: null, after });
    const ahead = inventory.fork();
    const pools = new AddressPools(ahead, stored.released);
    const pending = new Pending(deps, ahead, pools, new Receipts(stored.receipts));
    return new Committer(deps, inventory, pending, stored.revision);
  }

  /** The durable, published state, always at `revision`: what must be of one revision for longer is pinned. */
  get current(): Inventory {
    return this.shown;
  }

  /**
   * `current` as it is now, for as long as it is read: the caller releases it.
   * @param maxMs until what changes under it is no longer kept, and reading throws PinExpiredError
   */
  pin(maxMs: number): PinnedInventory {
    const timer = setTimeout(() => pinned.expire(), maxMs).unref();
    const pinned = this.shown.pin(() => clearTimeout(timer));
    return pinned;
  }

  /** The revision up to which `current` has applied the log. */
  get revision(): Revision {
    return this.published;
  }

  /** The reason why mutations are no longer accepted; absent: they are. */
  get stoppedBecause(): string | undefined {
    return this.stopped;
  }

  /**
   * Applies all mutations as one revision, or none. The actor `by` is recorded in the audit trail and can neither see nor
   * change resources outside its scope.
   * @throws Refusal, StoreFullError, StoreUnavailableError, CommitterStoppedError
   */
  mutate(by: Actor, ...mutations: readonly Mutation[]): Promise<Outcome> {
    return this.submit(by, { mutations });
  }

  /** Like `mutate`, with further options. @throws like `mutate` */
  submit(by: Actor, order: Order): Promise<Outcome> {
    if (this.stopped) return Promise.reject(new CommitterStoppedError(this.stopped));
    return new Promise((resolve, reject) => {
      const queued: Queued = { kind: "single", by, ...order, resolve, reject, state: "waiting" };
      this.queue.push(queued);
      if (this.turns > 0) this.rejectAfterWait(queued);
      this.draining ??= this.drain();
    });
  }

  /**
   * As `mutate`, for any number of mutations: in slices, so that readers go on being answered. Other mutations are carried out while it
   * is decided and arrives in memory, and wait while it is published. Those that touch what its decision rests on wait from its arrival on.
   * @returns the revision of the change set, or the current one if nothing changed
   * @throws ChangeSetRefused with all that is wrong, StoreFullError, StoreUnavailableError, CommitterStoppedError
   */
  mutateAll(by: Actor, changeSet: ChangeSet): Promise<Revision> {
    if (this.stopped) return Promise.reject(new CommitterStoppedError(this.stopped));
    const running = this.changeSets.write(by, changeSet);
    this.running.add(running);
    const end = () => this.running.delete(running);
    running.then(end, end);
    return running;
  }

  /** @returns a callback that ends the subscription */
  subscribe(listener: CommitListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Refuses new mutations and waits for those that were accepted. */
  async stop(reason: string): Promise<void> {
    this.stopped ??= reason;
    await Promise.allSettled(this.running);
    await this.draining;
  }

  private inTurn<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = async () => {
        if (this.isBroken) reject(new CommitterStoppedError(this.stopped));
        else await task().then(resolve, reject);
      };
      this.queue.push({ kind: "turn", run, reject });
      this.turns += 1;
      this.draining ??= this.drain();
    });
  }

  /** Its client would give up, and not know whether it was carried out. */
  private rejectAfterWait(queued: Queued): void {
    setTimeout(() => {
      if (queued.state !== "waiting") return;
      queued.state = "rejected";
      queued.reject(new CommitterBusyError("nothing was changed: an import is being carried out, try again later"));
    }, this.deps.maxWaitMs ?? defaultMaxWaitMs).unref();
  }

  private async drain(): Promise<void> {
    // Requests that arrive in one turn of the event loop share a transaction.
    await nextRound();
    for (let next = this.queue[0]; next; next = this.queue[0]) {
      if (next.kind === "turn") {
        this.queue.shift();
        await next.run();
        this.turns -= 1;
      } else await this.commitBatch(this.takeBatch());
    }
    this.draining = undefined;
  }

  private takeBatch(): Queued[] {
    const batch: Queued[] = [];
    for (let next = this.queue[0]; next?.kind === "single" && batch.length < maxBatch; next = this.queue[0]) {
      this.queue.shift();
      if (next.state === "rejected") continue;
      next.state = "taken";
      batch.push(next);
    }
    return batch;
  }

  /** The head, as the store has it. */
  private async viewHead(): Promise<HeadView> {
    const failure = await this.onHead(() => this.deps.store.confirmHead(this.published));
    if (failure) throw this.failed(failure.error);
    const inventory = this.shown.pin();
    const overtaking = new Overtaking();
    this.overtakings.add(overtaking);
    const close = () => {
      inventory.release();
      this.overtakings.delete(overtaking);
    };
    return { inventory, revision: this.published, overtaking, close };
  }

  private async stageChangeSet(changes: Changes): Promise<void> {
    try {
      await this.deps.store.stage(changes);
    } catch (error) {
      throw this.failed(error);
    }
  }

  private admit(changes: StagedChanges, isTouchedBy: (change: ResourceChange) => boolean): Arrival {
    const { shown, pending } = this;
    const arrival = new Arrival(changes, isTouchedBy, { shown, pending, slices: this.deps.arrivingSlices });
    arrival.whole.catch((error) => this.fail(error));
    this.arrival = arrival;
    return arrival;
  }

  /** A revision of its own, in slices from the first row to the last listener. */
  private async appendChangeSet(by: Actor, arrival: Arrival): Promise<Revision | undefined> {
    let commit: AuthoredCommit | undefined;
    const failure = await this.onHead(async () => {
      commit = undefined;
      if (arrival.isGone) return;
      const revision = (this.published + 1) as Revision;
      commit = { revision, time: this.deps.now().toISOString(), by, changes: arrival.changes.at(revision) };
      await this.store([commit], []);
    });
    if (failure) throw this.failed(failure.error);
    if (!commit) return undefined;
    try {
      await arrival.settle(commit.revision);
      await this.showChangeSet(commit);
    } catch (error) {
      this.fail(error);
    }
    await this.endArrival(arrival);
    return commit.revision;
  }

  private async endArrival(arrival: Arrival): Promise<void> {
    try {
      if (!this.isBroken) await arrival.leave();
    } catch (error) {
      this.fail(error);
    }
    if (this.arrival === arrival) this.arrival = undefined;
    this.queue.unshift(...this.behind.splice(0));
    if (this.queue.length > 0) this.draining ??= this.drain();
  }

  /** What another writer has appended. Readers must see all of a revision or nothing. */
  private async publishChangeSet(commit: Commit): Promise<void> {
    await inSlices(this.shown.arriveSteps(commit.changes));
    await inSlices(this.pending.followSteps(commit.changes));
    await this.showChangeSet(commit);
  }

  private async showChangeSet(commit: Commit): Promise<void> {
    const before = this.shown.pin();
    this.shown.show();
    try {
      await this.tell(commit, before);
    } finally {
      before.release();
    }
  }

  private async commitBatch(queue: readonly Queued[]): Promise<void> {
    let batch = this.newBatch();
    let settle: (() => void)[] = [];
    let delayed: Queued[] = [];
    const failure = await this.onHead(async () => {
      batch = this.newBatch();
      settle = [];
      delayed = [];
      for (const queued of queue) {
        const answer = this.decideOne(queued, batch);
        if (answer) settle.push(answer);
        else delayed.push(queued);
      }
      try {
        await this.append(batch);
      } catch (error) {
        this.pending.undo(batch);
        throw error;
      }
    });
    this.delay(delayed);
    if (failure) {
      for (const queued of queue) if (!delayed.includes(queued)) queued.reject(failure.error);
      this.failed(failure.error);
      return;
    }
    this.pending.keepReceipts(batch);
    try {
      for (const commit of batch.commits) {
        this.shown.apply(commit.changes);
        const told = this.tell(commit);
        // Without a wait if there is nothing to wait for: the next steps must happen in this turn of the event loop.
        if (told) await told;
      }
    } catch (error) {
      this.fail(error);
    }
    for (const each of settle) each();
  }

  /** Until the end of the change set that arrives, unless that was reached in the meantime. */
  private delay(queued: readonly Queued[]): void {
    for (const each of queued) {
      each.state = "waiting";
      this.rejectAfterWait(each);
    }
    if (this.arrival) this.behind.push(...queued);
    else this.queue.unshift(...queued);
  }

  private newBatch(): Batch {
    return { after: this.published, commits: [], ended: [], receipts: [] };
  }

  /** @throws HeadMovedError also where it decides without appending: a refusal counts on the head alone */
  private async append({ after, commits, receipts }: Batch): Promise<void> {
    if (commits.length === 0) await this.deps.store.confirmHead(after);
    if (commits.length + receipts.length > 0) await this.store(commits, receipts);
  }

  /** Decides and appends, and again for as long as other writers were faster. @returns the error of the last attempt */
  private async onHead(attempt: () => Promise<void>): Promise<{ readonly error: unknown } | undefined> {
    for (;;) {
      try {
        await attempt();
        return undefined;
      } catch (error) {
        if (!(error instanceof HeadMovedError) || error.head <= this.published) return { error };
        try {
          await this.followLog(error.head);
        } catch (failure) {
          return { error: failure };
        }
      }
    }
  }

  /** Applies and publishes what other writers have appended, in order. */
  private async followLog(head: Revision): Promise<void> {
    // It is decided anew: nothing says what of it the others have touched.
    await this.arrival?.leave();
    for await (const commit of readCommits(this.deps.store, this.published, head)) {
      await this.publishChangeSet(commit);
    }
    this.pending.reloadReceipts(await this.deps.store.readReceiptHeads());
  }

  private async store(commits: readonly AuthoredCommit[], receipts: readonly Receipt[]): Promise<void> {
    const startedAt = performance.now();
    const forget = this.pending.takeForgottenReceipts();
    try {
      await this.deps.store.commit(commits, receipts, forget);
    } catch (error) {
      this.pending.keepForgottenReceipts(forget);
      throw error;
    }
    this.deps.onCommitted((performance.now() - startedAt) / 1_000);
  }

  /**
   * Decides, and updates `pending`.
   * @returns a callback that answers the caller, to be called when the batch is durable; undefined: it has to wait for the change set that arrives
   */
  private decideOne({ by, resolve, reject, ...order }: Queued, batch: Batch): (() => void) | undefined {
    const [commits, receipts] = [batch.commits.length, batch.receipts.length];
    try {
      const outcome = this.pending.decide(by, order, batch);
      const decided = batch.commits[commits];
      if (!decided || !this.arrival?.delays(decided.changes)) return () => resolve(outcome);
      this.pending.withdraw(batch, receipts);
      return undefined;
    } catch (error) {
      return () => reject(error);
    }
  }

  /** @returns undefined if no other work asks for time */
  private tell(commit: Commit, before?: PinnedInventory): Promise<unknown> | undefined {
    this.published = commit.revision;
    for (const overtaking of this.overtakings) overtaking.add(commit.changes);
    const slow = [...this.listeners].flatMap((listener) => listener(commit, before) ?? []);
    return slow.length > 0 ? Promise.all(slow) : undefined;
  }

  /** @returns the error, for those that wait */
  private failed(error: unknown): unknown {
    if (error instanceof StoreFullError) this.deps.onFull?.();
    if (!(error instanceof StoreFullError || error instanceof StoreUnavailableError)) this.fail(error);
    return error;
  }

  private fail(error: unknown): void {
    this.isBroken = true;
    this.stopped ??= "the store failed; the controller is stopping";
    for (const { reject } of [...this.queue.splice(0), ...this.behind.splice(0)])
      reject(new CommitterStoppedError(this.stopped));
    this.deps.onFatal(error);
  }
}
