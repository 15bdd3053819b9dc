// The log of changes in SQLite: read by position, and shortened from its old end.
import type { Database } from "better-sqlite3";
import type { Revision } from "../../../schema/address/index.ts";
import type { LoggedEvent, ResourceKind } from "../../../schema/events/index.ts";
import { LogCompactedError, type LogExtent, type LogLimits, type LogPosition } from "../store.ts";
import { type EventRow, fromEventRow } from "./rows.ts";

/** The newest position of a revision. */
const lastIndex = Number.MAX_SAFE_INTEGER;

/** Of an import whose records are not all in the log, its revision. */
interface PartlyLogged {
  readonly stage: number;
  readonly revision: Revision;
}

export class EventLog {
  private readonly statements: ReturnType<typeof prepare>;
  constructor(db: Database) {
    this.statements = prepare(db);
  }

  read(after: LogPosition, upTo: Revision, limit: number): LoggedEvent[] {
    const { compacted } = this.extent();
    // That a position within the last compacted revision was its end is not known any more.
    const isGone = after.revision < compacted || (after.revision === compacted && after.index < lastIndex);
    if (isGone) throw new LogCompactedError(compacted);
    const rows = this.statements.events.all({ ...after, upTo, limit }) as EventRow[];
    for (const { stage, revision } of this.partlyLogged()) {
      if (revision < after.revision || revision > upTo) continue;
      const index = revision === after.revision ? after.index : -1;
      rows.push(...(this.statements.staged.all({ stage, index, limit }) as EventRow[]));
    }
    return rows.sort(inOrder).slice(0, limit).map(fromEventRow);
  }

  /** Newest first. Compacted events are not read, even if some still exist. */
  readBack(
    { revision, index }: LogPosition,
    limit: number,
    of?: { readonly kind: ResourceKind; readonly name: string },
  ): LoggedEvent[] {
    const { compacted } = this.extent();
    const { eventsBack, eventsBackOf, stagedBack, stagedBackOf } = this.statements;
    const range = { revision, index, compacted, limit };
    const rows = (of ? eventsBackOf.all({ ...range, ...of }) : eventsBack.all(range)) as EventRow[];
    for (const each of this.partlyLogged()) {
      if (each.revision > revision) continue;
      const part = { stage: each.stage, index: each.revision === revision ? index : lastIndex, limit };
      rows.push(...((of ? stagedBackOf.all({ ...part, ...of }) : stagedBack.all(part)) as EventRow[]));
    }
    return rows
      .sort((a, b) => inOrder(b, a))
      .slice(0, limit)
      .map(fromEventRow);
  }

  private partlyLogged(): readonly PartlyLogged[] {
    return this.statements.partlyLogged.all() as PartlyLogged[];
  }

  extent(): LogExtent {
    return this.statements.extent.get() as LogExtent;
  }

  /** In a transaction. First the mark, then the rows, so that no reader ever finds half a revision. */
  compact(limits: LogLimits, atMost: number): boolean {
    const { remove, mark } = this.statements;
    const before = this.extent();
    const compacted = this.findCompactable(before, limits, atMost);
    if (compacted > before.compacted) mark.run(compacted);
    const removed = remove.run(compacted, atMost).changes;
    return removed > 0;
  }

  /** Up to which revision may go: those that are too old or too many, and of about `atMost` events. The newest stays. */
  private findCompactable({ compacted, events }: LogExtent, limits: LogLimits, atMost: number): number {
    const { last, tablesAt, head, size, leftovers } = this.statements;
    if (leftovers.get(compacted) !== undefined) return compacted;
    // Tables that are behind read their way from the log.
    const newest = Math.min(last.get() as number, (tablesAt.get() as number | undefined) ?? Number.MAX_SAFE_INTEGER);
    let revision: number = compacted;
    let found = 0;
    while (found < atMost && revision + 1 < newest) {
      const time = head.get(revision + 1) as string;
      if (events - found <= limits.maxEvents && time >= limits.before) break;
      revision += 1;
      found += size.get(revision) as number;
    }
    return revision;
  }
}

function inOrder(a: EventRow, b: EventRow): number {
  return a.revision - b.revision || a.idx - b.idx;
}

function prepare(db: Database) {
  const before = "revision > $compacted AND (revision, idx) < ($revision, $index)";
  const staged =
    "SELECT s.revision, g.idx, s.time, g.kind, g.name, s.data_version, g.data " +
    "FROM stages s JOIN staged g ON g.stage = s.id WHERE s.id = $stage";
  const newestFirst = "ORDER BY revision DESC, idx DESC LIMIT $limit";
  return {
    events: db.prepare(
      "SELECT * FROM events WHERE (revision, idx) > ($revision, $index) AND revision <= $upTo ORDER BY revision, idx LIMIT $limit",
    ),
    eventsBack: db.prepare(`SELECT * FROM events WHERE ${before} ${newestFirst}`),
    eventsBackOf: db.prepare(`SELECT * FROM events WHERE kind = $kind AND name = $name AND ${before} ${newestFirst}`),
    partlyLogged: db.prepare("SELECT id AS stage, revision FROM stages WHERE revision IS NOT NULL"),
    staged: db.prepare(`${staged} AND g.idx > $index ORDER BY g.idx LIMIT $limit`),
    stagedBack: db.prepare(`${staged} AND g.idx < $index ORDER BY g.idx DESC LIMIT $limit`),
    stagedBackOf: db.prepare(
      `${staged} AND g.kind = $kind AND g.name = $name AND g.idx < $index ORDER BY g.idx DESC LIMIT $limit`,
    ),
    extent: db.prepare(
      "SELECT events + (SELECT coalesce(sum(changes - moved), 0) FROM stages WHERE revision IS NOT NULL) AS events, compacted " +
        "FROM log_extent",
    ),
    last: db.prepare("SELECT revision FROM log_head").pluck(),
    tablesAt: db.prepare("SELECT revision FROM tables_behind").pluck(),
    head: db.prepare("SELECT time FROM events WHERE revision = ? AND idx = 0").pluck(),
    size: db.prepare("SELECT max(idx) + 1 FROM events WHERE revision = ?").pluck(),
    leftovers: db.prepare("SELECT 1 FROM events WHERE revision <= ? LIMIT 1"),
    mark: db.prepare("UPDATE log_extent SET compacted = ?"),
    remove: db.prepare(
      "DELETE FROM events WHERE (revision, idx) IN " +
        "(SELECT revision, idx FROM events WHERE revision <= ? ORDER BY revision, idx LIMIT ?)",
    ),
  };
}
