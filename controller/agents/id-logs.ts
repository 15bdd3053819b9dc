// Ids in the order in which they came, for many owners: 4 bytes each, in chunks that all share. What was dropped since stays in a log
// until there is much of that.
import { none, Rows } from "../inventory/packed/rows.ts";

/** The next chunk; then the ids. */
const next = 0;
const chunkIds = 15;
/** Dropped ones that are left in a log, at least. */
const minDropped = 16;

/** The log of one owner. */
export interface IdLog {
  first: number;
  last: number;
  /** Ids that were added, with those that were dropped since. */
  length: number;
  /** Without them. */
  live: number;
}

export const newIdLog = (): IdLog => ({ first: none, last: none, length: 0, live: 0 });

export class IdLogs {
  private readonly chunks = new Rows(1 + chunkIds);

  /** @param isHeld whether an id that was added is still meant; one that was dropped may come again */
  add(log: IdLog, id: number, isHeld: (id: number) => boolean): void {
    const dropped = log.length - log.live;
    if (dropped >= minDropped && dropped * 4 >= log.length) this.compact(log, isHeld);
    this.append(log, id);
  }

  /** One of its ids is dropped: it stays until there are many of those. */
  drop(log: IdLog): void {
    log.live -= 1;
  }

  /** Number of ids that the logs have room for. */
  get room(): number {
    return this.chunks.size * chunkIds;
  }

  /** Each id that is held, once, in the order in which it came last. */
  list(log: IdLog, isHeld: (id: number) => boolean): number[] {
    const seen = new Set<number>();
    for (const id of this.ids(log)) {
      seen.delete(id);
      if (isHeld(id)) seen.add(id);
    }
    return [...seen];
  }

  clear(log: IdLog): void {
    for (let chunk = log.first; chunk !== none; ) {
      const following = this.chunks.get(chunk, next);
      this.chunks.delete(chunk);
      chunk = following;
    }
    Object.assign(log, newIdLog());
  }

  private compact(log: IdLog, isHeld: (id: number) => boolean): void {
    const ids = this.list(log, isHeld);
    this.clear(log);
    for (const id of ids) this.append(log, id);
  }

  private append(log: IdLog, id: number): void {
    const field = log.length % chunkIds;
    if (field === 0) {
      const chunk = this.chunks.add();
      this.chunks.set(chunk, next, none);
      if (log.last === none) log.first = chunk;
      else this.chunks.set(log.last, next, chunk);
      log.last = chunk;
    }
    this.chunks.set(log.last, 1 + field, id);
    log.length += 1;
    log.live += 1;
  }

  private *ids({ first, length }: IdLog): Generator<number> {
    let left = length;
    for (let chunk = first; chunk !== none; chunk = this.chunks.get(chunk, next)) {
      for (let field = 0; field < chunkIds && left > 0; field++, left--) yield this.chunks.get(chunk, 1 + field);
    }
  }
}
