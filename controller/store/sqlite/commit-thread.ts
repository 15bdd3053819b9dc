// The thread that writes the inventory and its log: statements, fsync and checkpoints do not hold the event loop. Small batches go
// over at once, large ones in parts, because copying these at once would hold the loop as well.
import { Worker } from "node:worker_threads";
import { SerialQueue } from "../../../common/serial-queue.ts";
import type { Revision } from "../../../schema/address/index.ts";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { replacementsIn, StagedChanges } from "../../inventory/changes.ts";
import type { AuditRecord } from "../access-store.ts";
import { type AuthoredCommit, type Commit, HeadMovedError, type Receipt, StoreBrokenError } from "../store.ts";
import { auditOf } from "./commit-rows.ts";
import { asStoreError } from "./errors.ts";

interface Receipts {
  readonly receipts: readonly Receipt[];
  readonly forget: readonly string[];
}

/** With its audit record in place of its author, who may have sets of networks and hosts. */
export interface WholeCommit extends Commit {
  readonly changes: readonly ResourceChange[];
  readonly audit: AuditRecord;
}

type PartOfCommit = Commit & { readonly changes: readonly ResourceChange[] };

/** The VMs of a commit as records in a file, behind its networks and hosts. */
interface StagedVms {
  readonly descriptor: number;
  readonly bytes: number;
  /** Some of them were there before. */
  readonly replaces: boolean;
}

/** Sent as JSON, which is written and read faster than objects are cloned. Each is answered with an `Answer`, in order. */
export type Order =
  | ({ readonly do: "all"; readonly batch: readonly WholeCommit[] } & Receipts)
  | { readonly do: "begin"; readonly after: Revision | undefined }
  | { readonly do: "remove"; readonly time: string; readonly changes: readonly ResourceChange[] }
  | { readonly do: "add"; readonly commit: PartOfCommit; readonly firstIndex: number }
  | ({ readonly do: "staged"; readonly commit: PartOfCommit } & StagedVms)
  | { readonly do: "audit"; readonly record: AuditRecord }
  | ({ readonly do: "add receipts" } & Receipts)
  | { readonly do: "commit" };

/** Is not answered: the thread ends. */
export type End = { readonly do: "end" };

/** `head`: another writer was there before. `code` is SQLite's, where the error is. After an error nothing of the transaction is left. */
export type Answer =
  | { readonly ok: true }
  | { readonly ok: false; readonly head: Revision }
  | { readonly ok: false; readonly message: string; readonly code?: string };

/** Of changes: a part is copied in about a millisecond. */
const partSize = 200;
/** Of changes: more go over in parts. */
const maxAtOnce = 512;

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

  constructor(private readonly path: string) {}

  /** As `Store.commit`. */
  commit(batch: readonly AuthoredCommit[], receipts: readonly Receipt[], forget: readonly string[]): Promise<void> {
    return this.turns.run(async () => {
      for (const order of ordersFor(batch, receipts, forget)) await this.obey(order);
    });
  }

  /** Runs the task while the thread writes nothing: SQLite has one writer at a time, and waits for another by polling. */
  whileIdle<T>(task: () => T): Promise<T> {
    return this.turns.run(async () => task());
  }

  async end(): Promise<void> {
    await this.turns.run(async () => {
      this.lost ??= new StoreBrokenError(`${this.path} is closed`);
      this.worker?.postMessage(JSON.stringify({ do: "end" } satisfies End));
      await this.ended;
    });
  }

  /** @throws as `Store.commit` */
  private async obey(order: Order): Promise<void> {
    if (this.lost) throw this.lost;
    this.worker ??= this.start();
    const answer = await new Promise<Answer | undefined>((resolve) => {
      this.settle = resolve;
      this.worker?.postMessage(JSON.stringify(order));
    });
    if (!answer) throw this.lost;
    if (!answer.ok) throw errorOf(answer, this.path);
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

function* ordersFor(
  batch: readonly AuthoredCommit[],
  receipts: readonly Receipt[],
  forget: readonly string[],
): Generator<Order> {
  if (batch.reduce((sum, { changes }) => sum + changes.length, 0) <= maxAtOnce) {
    const whole = batch.map((commit): WholeCommit => {
      const { revision, time, changes } = commit;
      return { revision, time, changes: [...changes], audit: auditOf(commit) };
    });
    yield { do: "all", batch: whole, receipts, forget };
    return;
  }
  // A disk that is full now must be found before the transaction begins.
  const files = batch.map(({ changes }) => (changes instanceof StagedChanges ? changes.vms.records.file() : undefined));
  yield { do: "begin", after: headBefore(batch) };
  // Each commit may depend on what the one before it removed and added.
  for (const [i, commit] of batch.entries()) {
    const { revision, time, changes } = commit;
    const descriptor = files[i];
    if (changes instanceof StagedChanges && descriptor !== undefined) {
      const { replaced, records } = changes.vms;
      const places = { revision, time, changes: changes.places };
      yield { do: "staged", commit: places, descriptor, bytes: records.bytes, replaces: replaced > 0 };
    } else {
      for (const part of inParts(replacementsIn(changes))) yield { do: "remove", time, changes: part };
      let firstIndex = 0;
      for (const part of inParts(changes)) {
        yield { do: "add", commit: { revision, time, changes: part }, firstIndex };
        firstIndex += part.length;
      }
    }
    yield { do: "audit", record: auditOf(commit) };
  }
  if (receipts.length + forget.length > 0) yield { do: "add receipts", receipts, forget };
  yield { do: "commit" };
}

function* inParts(changes: Iterable<ResourceChange>): Generator<readonly ResourceChange[]> {
  let part: ResourceChange[] = [];
  for (const change of changes) {
    part.push(change);
    if (part.length < partSize) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** The revision that the batch was decided on; undefined: it has none of its own. */
export function headBefore([first]: readonly Commit[]): Revision | undefined {
  return first && ((first.revision - 1) as Revision);
}

function errorOf(answer: Extract<Answer, { ok: false }>, path: string): unknown {
  if ("head" in answer) return new HeadMovedError(answer.head);
  return answer.code === undefined
    ? new StoreBrokenError(`${path}: the writing thread failed: ${answer.message}`)
    : asStoreError({ code: answer.code, message: answer.message }, path);
}
