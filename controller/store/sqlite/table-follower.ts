// Brings the tables of resources to the head of the log where they are behind, in small transactions: first the records of an import, which
// also go to the log, then the revisions after it. In the order of the log, so that no row meets one that a later revision has written. The caller
// opens the transactions.
import type { Database } from "better-sqlite3";
import type { Revision } from "../../../schema/address/index.ts";
import { changeDataVersion, type ResourceChange } from "../../../schema/events/index.ts";
import { loggedAt } from "../../inventory/staged-edits.ts";
import { CommitRows } from "./commit-rows.ts";
import { changeOf, type EventRow } from "./rows.ts";
import { type Stage, type StagedRecord, Stages } from "./stages.ts";
import { TableRows } from "./table-rows.ts";

/** Of one transaction, for which other commits wait. */
export interface FollowerLimits {
  /** VMs of an import. */
  readonly vms: number;
  /** Changes of later revisions, but for one that has more. */
  readonly changes: number;
}

/** Some 20 ms. */
const defaultLimits: FollowerLimits = { vms: 256, changes: 256 };
/** At a start nothing waits, and rows of one transaction share pages of indexes: three quarters of the CPU time. */
export const limitsAtStart: FollowerLimits = { vms: 8_192, changes: 8_192 };
/** Records of an import that was not committed. */
const droppedAtOnce = 2_048;

export class TableFollower {
  private readonly stages: Stages;
  private readonly tables: TableRows;
  private readonly rows: CommitRows;
  private readonly statements: ReturnType<typeof prepare>;

  constructor(
    private readonly db: Database,
    private readonly limits = defaultLimits,
  ) {
    this.stages = new Stages(db);
    this.tables = new TableRows(db);
    this.rows = new CommitRows(db);
    this.statements = prepare(db);
  }

  /** The tables are not at the head: what is committed goes to the log alone. */
  get isBehind(): boolean {
    return this.statements.at.get() !== undefined;
  }

  /** At a start, in transactions of its own: an import that was not committed is gone, and the tables are at the head. */
  finish(): void {
    const inTransaction = (step: () => boolean) => this.db.transaction(step).immediate();
    for (const id of this.stages.listOpen()) while (inTransaction(() => this.stages.drop(id, droppedAtOnce)));
    while (inTransaction(() => this.step()));
  }

  /** A part of the way. @returns whether there is more */
  step(): boolean {
    const at = this.statements.at.get() as Revision | undefined;
    if (at === undefined) return false;
    const next = (at + 1) as Revision;
    const stage = this.stages.findAt(next);
    const reached = stage ? this.moveSome(stage) : this.followSome(at);
    if (reached < this.rows.head()) {
      if (reached !== at) this.statements.reach.run(reached);
      return true;
    }
    this.statements.caughtUp.run();
    return false;
  }

  /** @returns the revision that the tables are at then */
  private moveSome(stage: Stage): Revision {
    const { id, revision, places, changes, replaces, removed, moved } = stage;
    const before = (revision - 1) as Revision;
    // All former rows go before any new one comes: VMs may swap addresses, and leave hosts that go.
    const standing = Math.max(removed, places);
    if (replaces && standing < changes) {
      const records = this.stages.read(id, standing, this.limits.vms);
      this.tables.remove({ time: stage.time, changes: records.map((record) => changeAt(stage, record)) });
      this.stages.markRemoved(id, standing + records.length);
      return before;
    }
    const records = this.stages.read(id, moved, moved < places ? places - moved : this.limits.vms);
    const some = records.map((record) => changeAt(stage, record));
    if (moved < places) this.tables.remove({ time: stage.time, changes: some });
    this.tables.add(some.toSorted(byName));
    for (const [i, record] of records.entries()) {
      const { index, kind, name } = record;
      this.rows.logEntry({ revision, index, time: stage.time, kind, name, data: dataAt(stage, record, some[i]) });
    }
    return this.stages.markMoved(stage, moved + records.length) ? revision : before;
  }

  /** Revisions that are in the log, up to the next import. @returns the last one */
  private followSome(at: Revision): Revision {
    let reached = at;
    for (let followed = 0; followed < this.limits.changes; reached = (reached + 1) as Revision) {
      const rows = this.statements.revision.all(reached + 1) as EventRow[];
      const [first] = rows;
      if (!first) break;
      const changes = rows.map((row) => changeOf(row, row.revision as Revision));
      this.tables.remove({ time: first.time, changes });
      this.tables.add(changes);
      followed += changes.length;
    }
    if (reached === at) throw new Error(`the log has no revision ${at + 1}, which the tables lack`);
    return reached;
  }
}

function changeAt({ dataVersion, revision }: Stage, { kind, data }: StagedRecord): ResourceChange {
  return changeOf({ kind, data, data_version: dataVersion }, revision);
}

/** As the log has it. The text of a VM's record needs no more than its revision. */
function dataAt({ dataVersion, revision }: Stage, { kind, data }: StagedRecord, change?: ResourceChange): string {
  if (kind === "vm" && dataVersion === changeDataVersion) return loggedAt(data, revision);
  return JSON.stringify({ before: change?.before, after: change?.after });
}

/** Most indexes begin with the name or contain it: neighbours are on pages that SQLite has in memory. */
function byName({ before, after }: ResourceChange, other: ResourceChange): number {
  return ((after ?? before)?.name ?? "") < ((other.after ?? other.before)?.name ?? "") ? -1 : 1;
}

function prepare(db: Database) {
  return {
    at: db.prepare("SELECT revision FROM tables_behind").pluck(),
    reach: db.prepare("UPDATE tables_behind SET revision = ?"),
    caughtUp: db.prepare("DELETE FROM tables_behind"),
    revision: db.prepare("SELECT * FROM events WHERE revision = ? ORDER BY idx"),
  };
}
