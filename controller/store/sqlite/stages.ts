// Change sets that are written beside the log, in parts, and become a revision by one row: see `0010_stages.sql`. The caller opens the
// transactions.
import type { Database } from "better-sqlite3";
import type { Revision } from "../../../schema/address/index.ts";
import { changeDataVersion, type ResourceKind } from "../../../schema/events/index.ts";

/** Of a change set, before it is written. */
export interface StageExtent {
  /** Networks and hosts, which come first. */
  readonly places: number;
  readonly changes: number;
  /** Some of its VMs were there before. */
  readonly replaces: boolean;
}

/** What makes a stage a revision. */
export interface StageCommit {
  readonly stage: number;
  readonly revision: Revision;
  /** RFC 3339, UTC. */
  readonly time: string;
}

/** A change set that is committed and not moved to the log and the tables yet. */
export interface Stage {
  readonly id: number;
  readonly places: number;
  readonly changes: number;
  readonly replaces: 0 | 1;
  readonly revision: Revision;
  readonly time: string;
  readonly dataVersion: number;
  readonly removed: number;
  readonly moved: number;
}

export interface StagedRecord {
  readonly index: number;
  readonly kind: ResourceKind;
  readonly name: string;
  /** As the log will have it, but for the revision. */
  readonly data: string;
}

export class Stages {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.statements = prepare(db);
  }

  /** @returns the id of a new one, without records */
  begin({ places, changes, replaces }: StageExtent): number {
    const { lastInsertRowid } = this.statements.begin.run(places, changes, replaces ? 1 : 0, changeDataVersion);
    return Number(lastInsertRowid);
  }

  add(stage: number, { index, kind, name, data }: StagedRecord): void {
    this.statements.add.run(stage, index, kind, name, data);
  }

  /** Its records are the revision from now on. The tables of resources are behind it, if they were not behind before. */
  commit({ stage, revision, time }: StageCommit): void {
    this.statements.commit.run(revision, time, stage);
    this.statements.fallBehind.run(revision - 1);
  }

  /** Removes about `atMost` records of one that is not committed. @returns whether there is more of it */
  drop(stage: number, atMost: number): boolean {
    if (this.statements.removeSome.run(stage, atMost).changes === atMost) return true;
    this.statements.forget.run(stage);
    return false;
  }

  /** Ids of those that are not committed. */
  listOpen(): readonly number[] {
    return this.statements.open.all() as number[];
  }

  /** That become the revision, if one does. */
  findAt(revision: Revision): Stage | undefined {
    return this.statements.at.get(revision) as Stage | undefined;
  }

  /** Some of its records, in order. */
  read(stage: number, fromIndex: number, atMost: number): readonly StagedRecord[] {
    return this.statements.some.all(stage, fromIndex, atMost) as StagedRecord[];
  }

  /** The rows of so many VMs, as they were before, are removed. */
  markRemoved(stage: number, removed: number): void {
    this.statements.removed.run(removed, stage);
  }

  /** So many records are in the log and the tables: they go from here. @returns whether these were all */
  markMoved({ id, changes }: Stage, moved: number): boolean {
    this.statements.removeBefore.run(id, moved);
    if (moved < changes) this.statements.moved.run(moved, id);
    else this.statements.forget.run(id);
    return moved === changes;
  }
}

function prepare(db: Database) {
  return {
    begin: db.prepare("INSERT INTO stages (places, changes, replaces, data_version) VALUES (?, ?, ?, ?)"),
    add: db.prepare("INSERT INTO staged VALUES (?, ?, ?, ?, ?)"),
    commit: db.prepare("UPDATE stages SET revision = ?, time = ? WHERE id = ?"),
    fallBehind: db.prepare("INSERT INTO tables_behind VALUES (1, ?) ON CONFLICT DO NOTHING"),
    removeSome: db.prepare(
      "DELETE FROM staged WHERE (stage, idx) IN (SELECT stage, idx FROM staged WHERE stage = ? ORDER BY idx LIMIT ?)",
    ),
    forget: db.prepare("DELETE FROM stages WHERE id = ?"),
    open: db.prepare("SELECT id FROM stages WHERE revision IS NULL").pluck(),
    at: db.prepare(
      "SELECT id, places, changes, replaces, revision, time, data_version AS dataVersion, removed, moved FROM stages WHERE revision = ?",
    ),
    some: db.prepare(
      'SELECT idx AS "index", kind, name, data FROM staged WHERE stage = ? AND idx >= ? ORDER BY idx LIMIT ?',
    ),
    removed: db.prepare("UPDATE stages SET removed = ? WHERE id = ?"),
    removeBefore: db.prepare("DELETE FROM staged WHERE stage = ? AND idx < ?"),
    moved: db.prepare("UPDATE stages SET moved = ? WHERE id = ?"),
  };
}
