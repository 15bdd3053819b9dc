// The thread that writes the inventory and its log: statements, fsync and checkpoints do not hold the event loop. Small batches go
// over at once, large ones in parts, because copying these at once would hold the loop as well. Imports are staged before their commit and
// moved after it, in transactions between which others come in.
import { Worker } from "node:worker_threads";
import { SerialQueue } from "../../../common/serial-queue.ts";
import { type Changes, StagedChanges } from "../../inventory/changes.ts";
import type { Records } from "../../inventory/records.ts";
import {
  type AuthoredCommit,
  HeadMovedError,
  type Receipt,
  StoreBrokenError,
  StoreFullError,
  StoreUnavailableError,
} from "../store.ts";
import { auditOf } from "./commit-rows.ts";
import { asStoreError } from "./errors.ts";
import { type Answer, type End, inParts, type Order, ordersFor, type Receipts } from "./orders.ts";

/** Until the tables are followed again, where the disk was full or the database locked. */
const followAgainMs = 1_000;

/** Node runs the build; tests run the sources, with the build beside them. */
const built = import.meta.url.endsWith(".ts") ? "../../../dist/controller/store/sqlite/" : "./";

/** Starts with the first commit: commands that only read need no thread. */
export class CommitThread {
  private worker: Worker | undefined;
  private ended: Promise<unknown> | undefined;
  /** Without an answer it is not known how far the thread came. */
  private lost: StoreBrokenError | undefined;
  private settle: ((answer?: Answer) => void) | undefined;
  private readonly turns = new SerialQueue();
  /** Ids of what is staged and not committed. */
  private readonly stages = new Map<Records | undefined, number>();
  /** Of which there may be records left. */
  private readonly dropped = new Set<number>();
  private following: Promise<void> | undefined;
  private isEnding = false;
  private endPause: () => void = () => {};

  constructor(private readonly path: string) {}

  /** As `Store.commit`. */
  async commit(
    batch: readonly AuthoredCommit[],
    receipts: readonly Receipt[],
    forget: readonly string[],
  ): Promise<void> {
    const [only] = batch;
    // Without a wait before the others: they are written in the order of the calls.
    if (only && batch.length === 1 && fileOf(only.changes) !== undefined) {
      await this.commitStaged(only, { receipts, forget });
    } else {
      await this.turns.run(async () => {
        for (const order of ordersFor(batch, receipts, forget)) await this.obey(order);
      });
    }
  }

  private async commitStaged(commit: AuthoredCommit, receipts: Receipts): Promise<void> {
    const { changes, revision, time } = commit;
    await this.stage(changes);
    const stage = this.stages.get(recordsOf(changes)) ?? 0;
    await this.inTurn({ do: "commit stage", stage, revision, time, audit: auditOf(commit), ...receipts });
    this.stages.delete(recordsOf(changes));
    this.follow();
  }

  /** As `Store.stage`. Small ones, whose records are in memory, are not: their commit is short. */
  async stage(changes: Changes): Promise<void> {
    const descriptor = fileOf(changes);
    if (!(changes instanceof StagedChanges) || descriptor === undefined) return;
    const { records, replaced } = changes.vms;
    if (this.stages.has(records)) return;
    await this.dropAll();
    const { places, length } = changes;
    const extent = { places: places.length, changes: length, replaces: replaced > 0 };
    const { stage = 0 } = await this.inTurn({ do: "open stage", extent, descriptor, bytes: records.bytes });
    this.stages.set(records, stage);
    try {
      let firstIndex = 0;
      for (const part of inParts(places)) {
        await this.inTurn({ do: "stage places", stage, changes: part, firstIndex });
        firstIndex += part.length;
      }
      while ((await this.inTurn({ do: "stage more", stage })).more);
    } catch (error) {
      await this.unstage(changes);
      throw error;
    }
  }

  /** As `Store.unstage`. */
  async unstage(changes: Changes): Promise<void> {
    const records = recordsOf(changes);
    const stage = records && this.stages.get(records);
    if (stage === undefined) return;
    this.stages.delete(records);
    this.dropped.add(stage);
    // What is left of it, as on a full disk, takes room until the next import or start.
    await this.dropAll().catch(() => {});
  }

  private async dropAll(): Promise<void> {
    for (const stage of this.dropped) {
      while ((await this.inTurn({ do: "drop stage", stage })).more);
      this.dropped.delete(stage);
    }
  }

  /** Brings the tables of resources to the head of the log, beside other commits, where they are behind. */
  follow(): void {
    this.following ??= this.followAll().finally(() => {
      this.following = undefined;
    });
  }

  /** The tables are at the head, unless it moves. */
  async followed(): Promise<void> {
    await this.following;
  }

  private async followAll(): Promise<void> {
    while (!this.isEnding) {
      try {
        if (!(await this.inTurn({ do: "follow" })).more) return;
      } catch (error) {
        if (!(error instanceof StoreFullError || error instanceof StoreUnavailableError)) {
          this.lost ??=
            error instanceof StoreBrokenError ? error : new StoreBrokenError(String(error), { cause: error });
          return;
        }
        await this.pauseBeforeFollowing();
      }
    }
  }

  private pauseBeforeFollowing(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, followAgainMs);
      this.endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private inTurn(order: Order): Promise<Extract<Answer, { ok: true }>> {
    return this.turns.run(() => this.obey(order));
  }

  /** Runs the task while the thread writes nothing: SQLite has one writer at a time, and waits for another by polling. */
  whileIdle<T>(task: () => T): Promise<T> {
    return this.turns.run(async () => task());
  }

  /** The tables of resources may be left behind: the next start brings them to the head. */
  async end(): Promise<void> {
    this.isEnding = true;
    this.endPause();
    await this.following;
    await this.turns.run(async () => {
      this.lost ??= new StoreBrokenError(`${this.path} is closed`);
      this.worker?.postMessage(JSON.stringify({ do: "end" } satisfies End));
      await this.ended;
    });
  }

  /** @throws as `Store.commit` */
  private async obey(order: Order): Promise<Extract<Answer, { ok: true }>> {
    if (this.lost) throw this.lost;
    this.worker ??= this.start();
    const answer = await new Promise<Answer | undefined>((resolve) => {
      this.settle = resolve;
      this.worker?.postMessage(JSON.stringify(order));
    });
    if (!answer) throw this.lost;
    if (!answer.ok) throw errorOf(answer, this.path);
    return answer;
  }

  private start(): Worker {
    const worker = new Worker(new URL(`${built}commit-worker.js`, import.meta.url), {
      workerData: { path: this.path },
    });
    worker.on("message", (answer: Answer) => this.settle?.(answer));
    worker.on("error", (error) => this.lose(`failed: ${error.message}`));
    this.ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.on("exit", (code) => this.lose(`ended with ${code}`));
    return worker;
  }

  private lose(reason: string): void {
    this.lost ??= new StoreBrokenError(`${this.path}: the writing thread ${reason}`);
    this.settle?.();
  }
}

function recordsOf(changes: Changes): Records | undefined {
  return changes instanceof StagedChanges ? changes.vms.records : undefined;
}

/** Of its records, if there are so many. @throws StoreFullError */
const fileOf = (changes: Changes): number | undefined => recordsOf(changes)?.file();

function errorOf(answer: Extract<Answer, { ok: false }>, path: string): unknown {
  if ("head" in answer) return new HeadMovedError(answer.head);
  return answer.code === undefined
    ? new StoreBrokenError(`${path}: the writing thread failed: ${answer.message}`)
    : asStoreError({ code: answer.code, message: answer.message }, path);
}
