// One consumer of the event stream: replays missed changes from the log, then sends live events, within limits.
import type { Revision } from "../../schema/address/index.ts";
import type { EventCursor } from "../../schema/events/index.ts";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { LogCompactedError, type LogPosition } from "../store/store.ts";
import type { Feed, FeedReader } from "./feed.ts";
import { endOf, type LogPages } from "./log-pages.ts";
import type { Outlet } from "./outlet.ts";
import { bookmarkSending } from "./sendings.ts";

export interface ConsumerLimits {
  /** Bytes waiting for a consumer that does not read. */
  readonly maxBufferedBytes: number;
  /** How long something may wait for it. */
  readonly maxWaitMs: number;
  readonly bookmarkMs: number;
}

export interface ConsumerDeps {
  readonly outlet: Outlet;
  readonly feed: Feed<Consumer>;
  readonly pages: LogPages;
  readonly epoch: string;
  readonly limits: ConsumerLimits;
  /** Events up to here have been published, in the feed if that is followed. */
  readonly published: () => Revision;
  readonly nowMs: () => number;
  /** The log could not be read; the consumer has been informed. */
  readonly onError: (error: unknown) => void;
}

export class Consumer implements FeedReader {
  /** Place in the feed; it has one once it is live. */
  next = 0;
  private ended = false;
  /** Arrival time of the event that is being written, ms. */
  private waitingSinceMs: number | undefined;
  private toldAtMs: number;
  /** When it reached the end of a range of its feed: events that arrived before that had to wait, ms. */
  private readOnAtMs = 0;

  constructor(private readonly deps: ConsumerDeps) {
    this.toldAtMs = deps.nowMs();
    deps.outlet.onClosed(() => this.leave());
  }

  /** Sends everything after the cursor, or without one only new events, until either side closes. */
  async start(cursor: EventCursor | undefined): Promise<void> {
    if (!cursor) return this.goLive();
    const { revision, index } = cursor;
    await this.replay(index === undefined ? endOf(revision) : { revision, index }, undefined, () => this.goLive());
  }

  /** Takes the next part of the feed, or waits for it. A write in progress calls this again when it is complete. */
  readonly advance = (): void => {
    this.waitingSinceMs = undefined;
    if (this.ended) return;
    const { feed } = this.deps;
    const entry = feed.at(this.next);
    if (!entry) {
      feed.wait(this);
      return;
    }
    this.next += 1;
    if ("bytes" in entry) this.write(entry.bytes, Math.max(entry.atMs, this.readOnAtMs), this.advance);
    else void this.replay(entry.range.after, entry.range.upTo, this.readOn);
  };

  private readonly readOn = (): void => {
    this.readOnAtMs = this.deps.nowMs();
    this.advance();
  };

  /** Disconnects the consumer if it is over its limits. */
  check(): void {
    const { feed, limits, nowMs } = this.deps;
    if (this.ended || this.waitingSinceMs === undefined) return;
    const waitedMs = nowMs() - this.waitingSinceMs;
    if (
      waitedMs <= limits.maxWaitMs &&
      !(feed.readers.has(this) && feed.bytesFrom(this.next) > limits.maxBufferedBytes)
    )
      return;
    this.end(eventCloseCodes.tooSlow, "too slow: read faster, or connect again behind the last event received");
  }

  end(code: number, reason: string): void {
    if (this.ended) return;
    this.leave();
    this.deps.outlet.end(code, reason);
  }

  private leave(): void {
    this.ended = true;
    this.deps.feed.readers.delete(this);
  }

  private goLive(): void {
    const { feed, published } = this.deps;
    this.next = feed.seal();
    feed.readers.add(this);
    this.write(this.bookmark(published()), this.deps.nowMs(), this.advance);
  }

  /**
   * Sends the log after `after`, to `upTo` or until nothing published is left; then calls `done`, in the same turn as
   * the last check of what is published: a subscription in that turn has no gap and no duplicate.
   */
  private async replay(after: LogPosition, upTo: Revision | undefined, done: () => void): Promise<void> {
    const { feed, pages, published } = this.deps;
    let position = after;
    try {
      for (;;) {
        const target = upTo ?? published();
        if (position.revision >= target && isWhole(position)) return done();
        const page = await pages.read(feed.lens, feed.framing, position, target);
        if (this.ended) return;
        position = page.end;
        if (page.bytes.length > 0) await this.writeNow(page.bytes);
        else if (isWhole(position) && this.isBookmarkDue()) await this.writeNow(this.bookmark(position.revision));
        if (this.ended) return;
      }
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if (error instanceof LogCompactedError) {
      this.end(eventCloseCodes.compacted, `compacted up to ${error.compacted}: start from GET /v1/export`);
    } else {
      this.end(eventCloseCodes.failed, "the controller failed to read the log");
      this.deps.onError(error);
    }
  }

  private isBookmarkDue(): boolean {
    const { limits, nowMs } = this.deps;
    return nowMs() - this.toldAtMs >= limits.bookmarkMs;
  }

  private bookmark(revision: Revision): Buffer {
    const { epoch, feed } = this.deps;
    return feed.framing.frame(bookmarkSending(revision, epoch, new Date()));
  }

  private writeNow(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.write(bytes, this.deps.nowMs(), () => {
        this.waitingSinceMs = undefined;
        resolve();
      });
    });
  }

  private write(bytes: Buffer, sinceMs: number, taken: () => void): void {
    this.waitingSinceMs = sinceMs;
    this.toldAtMs = this.deps.nowMs();
    this.deps.outlet.write(bytes, taken);
  }
}

/** Within a revision, a bookmark would point before events that were already sent. */
function isWhole({ index }: LogPosition): boolean {
  return index === Number.MAX_SAFE_INTEGER;
}
