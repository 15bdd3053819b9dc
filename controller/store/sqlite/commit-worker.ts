// The thread that writes one large batch: see `commit-thread.ts`, which starts it.
import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import { CommitRows } from "./commit-rows.ts";
import type { Answer, Order } from "./commit-thread.ts";
import { busyTimeoutMs, makeDurable } from "./connection.ts";

const { path } = workerData as { path: string };
const db = new Database(path, { timeout: busyTimeoutMs, fileMustExist: true });
makeDurable(db, path);
const rows = new CommitRows(db);

function obey(order: Order): void {
  switch (order.do) {
    case "begin":
      db.exec("BEGIN IMMEDIATE");
      return;
    case "remove":
      rows.remove(order);
      return;
    case "add":
      rows.add(order.commit, order.firstIndex);
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
      db.close();
  }
}

function answer(reply: Answer): void {
  parentPort?.postMessage(reply);
}

parentPort?.on("message", (order: Order) => {
  try {
    obey(order);
    answer({ ok: true });
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    db.close();
    const { message } = error as Error;
    answer({ ok: false, message, ...(error instanceof Database.SqliteError ? { code: error.code } : {}) });
  }
});
