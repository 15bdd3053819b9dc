// Decided changes that are not yet durable: the inventory with all changes in flight, and the addresses and receipts beside it.
// Decides against this state; the committer writes.
import { randomBytes, randomUUID } from "node:crypto";
import { inSlices, type Turns } from "../../common/cooperative.ts";
import { defined } from "../../common/defined.ts";
import { localMac, type Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Actor } from "../../schema/rest/index.ts";
import type { AddressPools } from "../inventory/address-pools.ts";
import { type Changes, placesIn, replacementsIn, type StagedChanges } from "../inventory/changes.ts";
import { decide, decideSteps } from "../inventory/decide.ts";
import type { DecisionContext } from "../inventory/decision-context.ts";
import { Draft } from "../inventory/draft.ts";
import type { Footprint } from "../inventory/footprint.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { PendingInventory } from "../inventory/pending-inventory.ts";
import type { TimedRelease } from "../inventory/quarantine.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Steps } from "../inventory/steps.ts";
import type { AuthoredCommit, Receipt, ReceiptHead, Store } from "../store/store.ts";
import { type ChangeSet, ChangeSetRefused, maxRefusals, type Order, type Outcome } from "./orders.ts";
import type { Receipts } from "./receipts.ts";

/** Contents of one transaction, as far as they are decided. */
export interface Batch {
  /** Revision of the log before it. */
  readonly after: Revision;
  readonly commits: (AuthoredCommit & { readonly changes: readonly ResourceChange[] })[];
  /** Of each commit, the releases that it ends. */
  readonly ended: (readonly TimedRelease[])[];
  readonly receipts: (Receipt & { readonly decided: Outcome })[];
}

/** A change set that is accepted. */
export interface DecidedSet {
  readonly changes: StagedChanges;
  readonly footprint: Footprint;
}

/** Tables with a change set that is not shown yet. */
interface ArrivedIn {
  /** With the change set. */
  readonly coming: Inventory;
  /** By the change set. */
  readonly replacedVms: Iterable<ResourceChange>;
}

export interface PendingDeps {
  readonly store: Pick<Store, "readReceipt">;
  readonly now: () => Date;
  /** In which a change set is decided; absent: slices of 4 ms. */
  readonly slices?: () => Turns;
}

export class Pending {
  constructor(
    private readonly deps: PendingDeps,
    readonly inventory: PendingInventory,
    /** Follows `inventory`. */
    private readonly pools: AddressPools,
    private readonly receipts: Receipts,
  ) {}

  /**
   * Decides, adds the result to the batch, and updates the state.
   * @throws Refusal
   */
  decide(by: Actor, order: Order, batch: Batch): Outcome | Promise<Outcome> {
    return this.findEarlier(order, batch) ?? this.decideNew(by, order, batch);
  }

  /**
   * What the change set changes, read from its records.
   * @param base the head that it is decided on, which others may leave behind
   * @throws ChangeSetRefused, and what `records` throw
   */
  async decideAll(by: Actor, changeSet: ChangeSet, base: Inventory, revision: Revision): Promise<DecidedSet> {
    const refusals: { refusal: Refusal; mutation: number | undefined }[] = [];
    const draft = new Draft(base, by.scope, changeSet.stage());
    const steps = decideSteps(draft, changeSet, this.contextFor(by, revision), {
      laid: (mutation, result) => changeSet.listener.laid(mutation, result),
      refused: (refusal, mutation) => {
        refusals.push({ refusal, mutation });
        if (refusals.length === maxRefusals) throw new ChangeSetRefused(refusals);
      },
    });
    const footprint = await inSlices(steps, this.deps.slices?.());
    if (refusals.length > 0 || !footprint) throw new ChangeSetRefused(refusals);
    return { changes: draft.stagedChanges(), footprint };
  }

  /** The batch was not stored. */
  undo({ commits, ended }: Batch): void {
    for (const [i, { changes }] of [...commits.entries()].toReversed()) {
      this.inventory.revert(changes);
      this.pools.revert(this.inventory, changes, ended[i] ?? []);
    }
  }

  /** Keys whose receipts the store is to forget with the next commit. */
  takeForgottenReceipts(): readonly string[] {
    return this.receipts.takeEvicted();
  }

  /** The store has not processed it. */
  keepForgottenReceipts(keys: readonly string[]): void {
    this.receipts.putBack(keys);
  }

  /** Those that the store has, with what other writers have added. */
  reloadReceipts(stored: readonly ReceiptHead[]): void {
    this.receipts.reload(stored);
  }

  /** The batch is stored. */
  keepReceipts({ receipts }: Batch): void {
    for (const receipt of receipts) this.receipts.add(receipt);
  }

  /** The last commit of the batch is decided later: it is as if it had not been. @param receipts that the batch had before it */
  withdraw({ commits, ended, receipts: all }: Batch, receipts: number): void {
    const { changes } = commits.pop() ?? { changes: [] };
    this.inventory.revert(changes);
    this.pools.revert(this.inventory, changes, ended.pop() ?? []);
    all.length = receipts;
  }

  /** Counts the subnets that addresses were requested from. */
  get poolsMade(): number {
    return this.pools.made;
  }

  /** As a change of a change set arrives: its addresses are not assigned to others. @returns the releases that it ends */
  takeAhead(change: ResourceChange): readonly TimedRelease[] {
    return this.pools.takeAhead(change);
  }

  /** Takes `takeAhead` back. */
  *giveBackSteps(changes: Changes, ended: readonly TimedRelease[]): Steps<void> {
    if (this.pools.isIdle && ended.length === 0) return;
    this.pools.restore(ended);
    for (const change of changes) {
      yield;
      this.pools.giveBack(this.inventory, change);
    }
  }

  /** The pools after a change set that has arrived and is stored. @param poolsBefore as they were before it arrived */
  *settleSteps(changes: Changes, { coming, replacedVms }: ArrivedIn, poolsBefore: number): Steps<void> {
    const nowMs = this.deps.now().getTime();
    for (const replaced of [placesIn(changes), replacedVms]) {
      for (const change of replaced) {
        yield;
        this.pools.release(change, nowMs, coming);
      }
    }
    // Subnets that addresses were requested from in the meantime lack what had arrived by then.
    if (this.pools.made === poolsBefore) return;
    for (const change of changes) {
      yield;
      this.pools.takeAfter(change);
    }
  }

  /** The pools after a change set that is stored: first its releases, then what it takes. */
  *followSteps(changes: Changes): Steps<void> {
    const nowMs = this.deps.now().getTime();
    for (const change of replacementsIn(changes)) {
      yield;
      this.pools.release(change, nowMs);
    }
    if (this.pools.isIdle) return;
    for (const change of changes) {
      yield;
      this.pools.takeAfter(change);
    }
  }

  private follow(changes: readonly ResourceChange[]): readonly TimedRelease[] {
    this.inventory.apply(changes);
    return this.pools.apply(changes, this.deps.now().getTime());
  }

  private contextFor({ scope, hosts, quota }: Actor, revision: Revision): DecisionContext {
    const newMac = () => localMac(randomBytes(6));
    const addresses = { pools: this.pools, state: this.inventory, newMac, nowMs: this.deps.now().getTime() };
    const bounds = defined({ hosts, quota });
    return { revision, newUid: randomUUID, scope, ...bounds, addresses };
  }

  private decideNew(
    by: Actor,
    { mutations, dryRun, receipt }: Order,
    { after, commits, ended, receipts }: Batch,
  ): Outcome {
    const revision = (after + commits.length + 1) as Revision;
    const now = this.deps.now();
    const { changes, touched } = decide(this.inventory, mutations, this.contextFor(by, revision));
    if (dryRun) return { touched, dryRun };
    if (changes.length > 0) {
      ended.push(this.follow(changes));
      commits.push({ revision, time: now.toISOString(), by, changes });
    }
    if (receipt) {
      const outcome = JSON.stringify({ touched });
      receipts.push({ ...receipt, atMs: now.getTime(), outcome, decided: { touched } });
    }
    return { touched };
  }

  /**
   * Result of the same request in this batch or earlier.
   * @throws Refusal where the key was used for another request
   */
  private findEarlier({ receipt }: Order, { receipts }: Batch): Outcome | Promise<Outcome> | undefined {
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
}
