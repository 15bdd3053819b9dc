// Rows of commits that are not resources: the log, its audit trail and receipts. The caller opens the transaction.
import type { Database } from "better-sqlite3";
import { defined } from "../../../common/defined.ts";
import type { Revision } from "../../../schema/address/index.ts";
import { changeDataVersion, describeChange, type ResourceKind } from "../../../schema/events/index.ts";
import type { AuditRecord } from "../access-store.ts";
import { type AuthoredCommit, type Commit, type LogPosition, type Receipt, receiptLimits } from "../store.ts";
import { AuditTrail } from "./audit.ts";

/** A change with its data as the log has them. */
export interface LogEntry extends LogPosition {
  readonly time: string;
  readonly kind: ResourceKind;
  readonly name: string;
  readonly data: string;
}

/** Changes of one revision that the audit trail names: the log has the rest. */
const maxAudited = 32;

/** The one audit row of the whole commit. */
export function auditOf({ time, by, revision, changes }: AuthoredCommit): AuditRecord {
  const { name, role, address } = by;
  const what: string[] = [];
  for (const change of changes) {
    what.push(describeChange(change));
    if (what.length === maxAudited) break;
  }
  return { time, by: { name, role, ...defined({ address }) }, revision, what, changes: changes.length };
}

export class CommitRows {
  private readonly statements: ReturnType<typeof prepare>;
  private readonly trail: AuditTrail;

  constructor(db: Database) {
    this.statements = prepare(db);
    this.trail = new AuditTrail(db);
  }

  /** Revision of the last commit; 0: there was none. */
  head(): Revision {
    return this.statements.head.get() as Revision;
  }

  audit(record: AuditRecord): void {
    this.trail.add(record);
  }

  /** @param forget keys of receipts that go first */
  addReceipts(receipts: readonly Receipt[], forget: readonly string[]): void {
    for (const key of forget) this.statements.forgetReceipt.run(key);
    for (const receipt of receipts) {
      this.statements.addReceipt.run(receipt);
      this.statements.forgetReceipts.run(receipt.atMs - receiptLimits.ageMs);
    }
  }

  /** @param firstIndex position of the first change in its revision */
  log({ revision, time, changes }: Commit, firstIndex: number): void {
    let index = firstIndex;
    for (const { kind, before, after } of changes) {
      const name = (after ?? before)?.name ?? "";
      this.logEntry({ revision, index, time, kind, name, data: JSON.stringify({ before, after }) });
      index += 1;
    }
  }

  logEntry({ revision, index, time, kind, name, data }: LogEntry): void {
    this.statements.addEvent.run(revision, index, time, kind, name, changeDataVersion, data);
  }
}

function prepare(db: Database) {
  return {
    head: db.prepare("SELECT revision FROM log_head").pluck(),
    addEvent: db.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"),
    addReceipt: db.prepare(
      "INSERT OR REPLACE INTO receipts (key, fingerprint, at_ms, outcome) VALUES ($key, $fingerprint, $atMs, $outcome)",
    ),
    forgetReceipt: db.prepare("DELETE FROM receipts WHERE key = ?"),
    forgetReceipts: db.prepare("DELETE FROM receipts WHERE at_ms < ?"),
  };
}
