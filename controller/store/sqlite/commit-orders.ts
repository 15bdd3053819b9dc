// Carries out the orders of `orders.ts` on a connection of its own.
import type { Database } from "better-sqlite3";
import type { Revision } from "../../../schema/address/index.ts";
import { type Commit, HeadMovedError } from "../store.ts";
import { CommitRows } from "./commit-rows.ts";
import { type Answer, headBefore, type Order } from "./orders.ts";
import { Staging } from "./staging.ts";
import { type FollowerLimits, TableFollower } from "./table-follower.ts";
import { TableRows } from "./table-rows.ts";

/** What an order is answered with. */
type Result = Omit<Extract<Answer, { ok: true }>, "ok">;

export class CommitOrders {
  private readonly rows: CommitRows;
  private readonly tables: TableRows;
  private readonly staging: Staging;
  private readonly follower: TableFollower;
  /** In this transaction: the log goes on alone while the tables of resources are behind it, and these follow in order. */
  private isBehind = false;

  constructor(
    private readonly db: Database,
    limits?: FollowerLimits,
  ) {
    this.rows = new CommitRows(db);
    this.tables = new TableRows(db);
    this.staging = new Staging(db);
    this.follower = new TableFollower(db, limits);
  }

  /** After an error the caller ends the transaction. @throws HeadMovedError, errors of SQLite */
  obey(order: Order): Result {
    const { rows, tables, staging } = this;
    switch (order.do) {
      case "all":
        this.begin(headBefore(order.batch));
        for (const commit of order.batch) {
          if (!this.isBehind) tables.remove(commit);
          this.add(commit, 0);
          rows.audit(commit.audit);
        }
        rows.addReceipts(order.receipts, order.forget);
        return this.commit();
      case "begin":
        return this.begin(order.after);
      case "remove":
        if (!this.isBehind) tables.remove(order);
        return {};
      case "add":
        return this.add(order.commit, order.firstIndex);
      case "audit":
        rows.audit(order.record);
        return {};
      case "add receipts":
        rows.addReceipts(order.receipts, order.forget);
        return {};
      case "commit":
        return this.commit();
      case "open stage":
        return this.inTransaction(() => ({ stage: staging.open(order) }));
      case "stage places":
        return this.inTransaction(() => {
          staging.addPlaces(order);
          return {};
        });
      case "stage more":
        return this.inTransaction(() => ({ more: staging.addSome(order.stage) }));
      case "drop stage":
        return this.inTransaction(() => ({ more: staging.drop(order.stage) }));
      case "commit stage":
        this.begin((order.revision - 1) as Revision);
        staging.commit(order);
        rows.audit(order.audit);
        rows.addReceipts(order.receipts, order.forget);
        return this.commit();
      case "follow":
        return this.inTransaction(() => ({ more: this.follower.step() }));
    }
  }

  /** @throws HeadMovedError */
  private begin(after: Revision | undefined): Result {
    this.db.exec("BEGIN IMMEDIATE");
    this.isBehind = this.follower.isBehind;
    const head = this.rows.head();
    if (after !== undefined && head !== after) throw new HeadMovedError(head);
    return {};
  }

  private add(part: Commit, firstIndex: number): Result {
    if (!this.isBehind) this.tables.add(part.changes);
    this.rows.log(part, firstIndex);
    return {};
  }

  /** With its fsync, and the checkpoint that a large log makes due. */
  private commit(): Result {
    this.db.exec("COMMIT");
    return {};
  }

  private inTransaction(task: () => Result): Result {
    this.db.exec("BEGIN IMMEDIATE");
    const result = task();
    this.db.exec("COMMIT");
    return result;
  }
}
