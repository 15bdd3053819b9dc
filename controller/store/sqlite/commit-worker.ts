// The thread that writes commits: see `commit-thread.ts`, which starts it.
import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import type { Revision } from "../../../schema/address/index.ts";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { changeIn } from "../../inventory/staged-edits.ts";
import { recordsOfFile } from "../spool.ts";
import { HeadMovedError } from "../store.ts";
import { CommitRows } from "./commit-rows.ts";
import { type Answer, type End, headBefore, type Order } from "./commit-thread.ts";
import { makeDurable, threadBusyTimeoutMs } from "./connection.ts";

const { path } = workerData as { path: string };
const db = new Database(path, { timeout: threadBusyTimeoutMs, fileMustExist: true });
makeDurable(db, path);
const rows = new CommitRows(db);

function obey(order: Order): void {
  switch (order.do) {
    case "all":
      begin(headBefore(order.batch));
      for (const commit of order.batch) {
        rows.remove(commit);
        rows.add(commit, 0);
        rows.audit(commit.audit);
      }
      rows.addReceipts(order.receipts, order.forget);
      db.exec("COMMIT");
      return;
    case "begin":
      begin(order.after);
      return;
    case "remove":
      rows.remove(order);
      return;
    case "add":
      rows.add(order.commit, order.firstIndex);
      return;
    case "staged":
      writeStaged(order);
      return;
    case "audit":
      rows.audit(order.record);
      return;
    case "add receipts":
      rows.addReceipts(order.receipts, order.forget);
      return;
    case "commit":
      // With its fsync, and the checkpoint that so large a log makes due.
      db.exec("COMMIT");
  }
}

/** The records are the data of the log. */
function writeStaged({ commit, descriptor, bytes, replaces }: Extract<Order, { do: "staged" }>): void {
  const { revision, time, changes } = commit;
  const gone = changes.filter(({ before }) => before !== null);
  rows.remove({ time, changes: replaces ? withRemoved(gone, recordsOfFile(descriptor, bytes)) : gone });
  rows.add(commit, 0);
  let index = changes.length;
  for (const data of recordsOfFile(descriptor, bytes)) {
    const change = changeIn(data);
    if (!change) continue;
    rows.addChange(change, { revision, index, time, data });
    index += 1;
  }
}

function* withRemoved(places: readonly ResourceChange[], records: Iterable<string>): Generator<ResourceChange> {
  yield* places;
  for (const record of records) {
    const change = changeIn(record);
    if (change?.before) yield change;
  }
}

/** @throws HeadMovedError */
function begin(after: Revision | undefined): void {
  db.exec("BEGIN IMMEDIATE");
  const head = rows.head();
  if (after !== undefined && head !== after) throw new HeadMovedError(head);
}

function answerTo(error: unknown): Answer {
  if (error instanceof HeadMovedError) return { ok: false, head: error.head };
  const { message } = error as Error;
  return { ok: false, message, ...(error instanceof Database.SqliteError ? { code: error.code } : {}) };
}

parentPort?.on("message", (text: string) => {
  const order = JSON.parse(text) as Order | End;
  if (order.do === "end") {
    db.close();
    parentPort?.close();
    return;
  }
  let answer: Answer = { ok: true };
  try {
    obey(order);
  } catch (error) {
    answer = answerTo(error);
    if (db.inTransaction) db.exec("ROLLBACK");
  }
  parentPort?.postMessage(answer);
});
