// The audit trail in SQLite. `add` writes within the caller's transaction: change and actor are durable together.
import type { Database } from "better-sqlite3";
import type { AuditView } from "../../../schema/rest/index.ts";
import type { AuditRecord } from "../access-store.ts";

interface AuditRow extends Omit<AuditView, "what"> {
  readonly what: string;
}

export class AuditTrail {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.statements = prepare(db);
  }

  add({ time, by, what, changes = what.length, revision }: AuditRecord): void {
    const { name, role, address = null } = by;
    this.statements.add.run(time, name, role, address, JSON.stringify(what), changes, revision ?? null);
  }

  /** @returns the number of deleted entries */
  trim(bounds: { readonly before: string; readonly maxEntries: number; readonly limit: number }): number {
    return this.statements.trim.run(bounds).changes;
  }

  read(query: { readonly after: number; readonly since: string; readonly limit: number }): AuditView[] {
    const rows = this.statements.read.all(query) as AuditRow[];
    return rows.map((row) => ({ ...row, what: JSON.parse(row.what) }));
  }
}

function prepare(db: Database) {
  return {
    add: db.prepare(
      "INSERT INTO audit (time, actor, role, address, what, changes, revision) " + "VALUES (?, ?, ?, ?, ?, ?, ?)",
    ),
    trim: db.prepare(
      "DELETE FROM audit WHERE id IN (SELECT id FROM audit " +
        "WHERE time < $before OR id <= (SELECT max(id) FROM audit) - $maxEntries ORDER BY id LIMIT $limit)",
    ),
    read: db.prepare("SELECT * FROM audit WHERE id > $after AND time >= $since ORDER BY id LIMIT $limit"),
  };
}
