// The log for consumers that are behind: page by page, one page at a time for all of them, so that a thousand consumers
// that reconnect together do not block the event loop. Consumers with the same view share a page.
import { Slices } from "../../common/cooperative.ts";
import { SerialQueue } from "../../common/serial-queue.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { LogPosition, Store } from "../store/store.ts";
import type { Framing } from "./framing.ts";
import type { Lens } from "./lens.ts";
import { sendingOf } from "./sendings.ts";

export interface LogPage {
  /** Empty if nothing on the page is visible to the caller. */
  readonly bytes: Buffer;
  /** Everything up to here was on this page or before it. */
  readonly end: LogPosition;
}

export interface LogPagesDeps {
  readonly store: Pick<Store, "readEvents" | "epoch">;
  /** Events. */
  readonly pageSize: number;
}

/** Of one write: a page with large events ends earlier. */
const maxPageBytes = 256 * 1024;
const maxCachedBytes = 8 * 1024 * 1024;
const maxCachedPages = 64;

interface CachedPage {
  readonly page: Promise<LogPage>;
  /** 0 until it is made. */
  bytes: number;
}

export class LogPages {
  private readonly cached = new Map<string, CachedPage>();
  private cachedBytes = 0;
  private readonly turns = new SerialQueue();
  private readonly slices = new Slices();

  constructor(private readonly deps: LogPagesDeps) {}

  /**
   * The page after `after`, of revisions up to `upTo`, all of which are published.
   * @throws LogCompactedError if the log does not go back so far; other errors of the store
   */
  read(lens: Lens, framing: Framing, after: LogPosition, upTo: Revision): Promise<LogPage> {
    const boundary = this.boundary(after, upTo);
    const key = [framing.name, after.revision, after.index, boundary, lens.key].join(" ");
    const known = this.cached.get(key);
    if (known) return known.page;
    const page = this.takeTurn(() => this.make(lens, framing, after, boundary));
    this.keep(key, page);
    return page;
  }

  /** Pages end at round revisions, so that consumers that start at different ones soon share pages. */
  private boundary(after: LogPosition, upTo: Revision): Revision {
    const { pageSize } = this.deps;
    const round = (Math.floor(after.revision / pageSize) + 1) * pageSize;
    return Math.min(round, upTo) as Revision;
  }

  private takeTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.turns.run(async () => {
      if (this.slices.over) await this.slices.next();
      return work();
    });
  }

  private async make(lens: Lens, framing: Framing, after: LogPosition, upTo: Revision): Promise<LogPage> {
    const { store, pageSize } = this.deps;
    const events = await store.readEvents(after, upTo, pageSize);
    const frames: Buffer[] = [];
    let bytes = 0;
    for (const event of events) {
      const change = lens.see(event.change);
      if (!change) continue;
      const frame = framing.frame(sendingOf({ ...event, change }, store.epoch));
      frames.push(frame);
      bytes += frame.length;
      if (bytes >= maxPageBytes) return { bytes: Buffer.concat(frames), end: event };
    }
    const isWhole = events.length < pageSize;
    const end = isWhole ? endOf(upTo) : (events.at(-1) ?? after);
    return { bytes: Buffer.concat(frames), end };
  }

  private keep(key: string, page: Promise<LogPage>): void {
    const entry: CachedPage = { page, bytes: 0 };
    this.cached.set(key, entry);
    page.then(
      ({ bytes }) => {
        if (this.cached.get(key) !== entry) return;
        entry.bytes = bytes.length;
        this.cachedBytes += bytes.length;
        this.evict();
      },
      () => this.cached.delete(key),
    );
  }

  private evict(): void {
    for (const [key, { bytes }] of this.cached) {
      if (this.cachedBytes <= maxCachedBytes && this.cached.size <= maxCachedPages) return;
      this.cached.delete(key);
      this.cachedBytes -= bytes;
    }
  }
}

/** Behind everything of the revision. */
export function endOf(revision: Revision): LogPosition {
  return { revision, index: Number.MAX_SAFE_INTEGER };
}

/** A position after everything that precedes the event. */
export function positionBefore({ revision, index }: LogPosition): LogPosition {
  return index === 0 ? endOf((revision - 1) as Revision) : { revision, index: index - 1 };
}
