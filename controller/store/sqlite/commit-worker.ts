// The thread that writes commits: see `commit-thread.ts`, which starts it.
import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import { HeadMovedError } from "../store.ts";
import { CommitOrders } from "./commit-orders.ts";
import { makeDurable, threadBusyTimeoutMs } from "./connection.ts";
import type { Answer, End, Order } from "./orders.ts";

const { path } = workerData as { path: string };
const db = new Database(path, { timeout: threadBusyTimeoutMs, fileMustExist: true });
makeDurable(db, path);
// What a statement changes is kept, so that it alone can be undone. In a large transaction SQLite would write that to a file, page by page.
db.pragma("temp_store = memory");
const orders = new CommitOrders(db);

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
    answer = { ok: true, ...orders.obey(order) };
  } catch (error) {
    answer = answerTo(error);
    if (db.inTransaction) db.exec("ROLLBACK");
  }
  parentPort?.postMessage(answer);
});
