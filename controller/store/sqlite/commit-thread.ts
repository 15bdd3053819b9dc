// A large batch, written by a thread of its own: its statements, its fsync and the checkpoint after it would hold the
// event loop for seconds. The batch goes over in parts, because copying it at once would hold the loop as well.
import { Worker } from "node:worker_threads";
import type { ResourceChange } from "../../../schema/events/index.ts";
import type { AuditRecord } from "../access-store.ts";
import { type Commit, type Receipt, StoreBrokenError } from "../store.ts";
import { auditOf } from "./commit-rows.ts";
import { asStoreError } from "./errors.ts";

/** Each is answered with an `Answer`, in order. */
export type Order =
  | { readonly do: "begin" }
  | { readonly do: "remove"; readonly time: string; readonly changes: readonly ResourceChange[] }
  | { readonly do: "add"; readonly commit: Commit; readonly firstIndex: number }
  | { readonly do: "audit"; readonly record: AuditRecord }
  | { readonly do: "add receipts"; readonly receipts: readonly Receipt[]; readonly forget: readonly string[] }
  | { readonly do: "commit" };

/** `code` is SQLite's, where the error is. After an error nothing of the transaction is left, and the thread ends. */
export type Answer = { readonly ok: true } | { readonly ok: false; readonly message: string; readonly code?: string };

/** Of changes: a part is copied in about a millisecond. */
const partSize = 200;

/** Node runs the build; tests run the sources, with the build beside them. */
const built = import.meta.url.endsWith(".ts") ? "../../../dist/controller/store/sqlite/" : "./";

/** As `Store.commit`. */
export async function commitInThread(
  path: string,
  batch: readonly Commit[],
  receipts: readonly Receipt[],
  forget: readonly string[],
): Promise<void> {
  const thread = new CommitThread(path);
  try {
    for (const order of ordersFor(batch, receipts, forget)) await thread.obey(order);
  } finally {
    await thread.end();
  }
}

function* ordersFor(
  batch: readonly Commit[],
  receipts: readonly Receipt[],
  forget: readonly string[],
): Generator<Order> {
  yield { do: "begin" };
  // Each commit may depend on what the one before it removed and added.
  for (const commit of batch) {
    const gone = commit.changes.filter(({ before }) => before !== null);
    for (let i = 0; i < gone.length; i += partSize) {
      yield { do: "remove", time: commit.time, changes: gone.slice(i, i + partSize) };
    }
    for (let i = 0; i < commit.changes.length; i += partSize) {
      yield { do: "add", commit: { ...commit, changes: commit.changes.slice(i, i + partSize) }, firstIndex: i };
    }
    yield { do: "audit", record: auditOf(commit) };
  }
  if (receipts.length + forget.length > 0) yield { do: "add receipts", receipts, forget };
  yield { do: "commit" };
}

class CommitThread {
  private readonly worker: Worker;
  /** Without an answer it is not known how far the thread came. */
  private lost: StoreBrokenError | undefined;
  private settle: ((answer?: Answer) => void) | undefined;

  constructor(private readonly path: string) {
    this.worker = new Worker(new URL(`${built}commit-worker.js`, import.meta.url), { workerData: { path } });
    this.worker.on("message", (answer: Answer) => this.settle?.(answer));
    this.worker.on("error", (error) => this.lose(`failed: ${error.message}`));
    this.worker.on("exit", (code) => this.lose(`ended with ${code}`));
  }

  /** @throws as `Store.commit` */
  async obey(order: Order): Promise<void> {
    const answer = await new Promise<Answer | undefined>((resolve) => {
      this.settle = resolve;
      if (this.lost) return resolve(undefined);
      this.worker.postMessage(order);
    });
    if (!answer) throw this.lost;
    if (!answer.ok) throw errorOf(answer, this.path);
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private lose(reason: string): void {
    this.lost ??= new StoreBrokenError(`${this.path}: the writing thread ${reason}`);
    this.settle?.();
  }
}

function errorOf(answer: Extract<Answer, { ok: false }>, path: string): unknown {
  return answer.code === undefined
    ? new StoreBrokenError(`${path}: the writing thread failed: ${answer.message}`)
    : asStoreError(answer, path);
}
