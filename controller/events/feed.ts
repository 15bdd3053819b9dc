// Events for all consumers with the same view, once in memory: each consumer has its position, and entries that all have read are removed.
import type { Revision } from "../../schema/address/index.ts";
import type { LogPosition } from "../store/store.ts";
import type { Framing } from "./framing.ts";
import type { Lens } from "./lens.ts";

/** A part of the log that is read from the store when a consumer reaches it, because it is large or arrived in a burst. */
export interface LogRange {
  readonly after: LogPosition;
  readonly upTo: Revision;
}

export type FeedEntry = {
  /** Monotonic, ms: when the oldest of it was published. */
  readonly atMs: number;
  /** Bytes of the feed before it, since its beginning. */
  readonly startByte: number;
} & ({ readonly bytes: Buffer } | { readonly range: LogRange });

/** A consumer with a position in a feed. */
export interface FeedReader {
  /** Number of the entry that it has not yet taken. */
  readonly next: number;
  /** There is something to take. */
  advance(): void;
}

/** Of one buffer: larger data is written in several, so that a consumer never has much memory that it alone needs. */
const maxEntryBytes = 256 * 1024;

export class Feed<Reader extends FeedReader> {
  /** Consumers with a place in it. */
  readonly readers = new Set<Reader>();
  /** Those, and consumers that will follow when they have read the log. */
  followers = 0;
  /** Something was added since the last `wake`. */
  hasNews = false;
  /** Bytes that were added since then. */
  freshBytes = 0;
  private readonly entries: FeedEntry[] = [];
  /** Number of the first of `entries`. */
  private first = 0;
  private totalBytes = 0;
  /** Events since the last entry was made. */
  private open: Buffer[] = [];
  private openBytes = 0;
  private openSinceMs = 0;
  private waiting: Reader[] = [];

  constructor(
    readonly lens: Lens,
    readonly framing: Framing,
  ) {}

  append(frame: Buffer, nowMs: number): void {
    this.hasNews = true;
    if (this.open.length === 0) this.openSinceMs = nowMs;
    this.open.push(frame);
    this.openBytes += frame.length;
    this.freshBytes += frame.length;
    if (this.openBytes >= maxEntryBytes) this.seal();
  }

  appendRange(range: LogRange, nowMs: number): void {
    this.hasNews = true;
    this.seal();
    this.entries.push({ atMs: nowMs, startByte: this.totalBytes, range });
  }

  /** Makes one entry of all events since the last. @returns the number of the next */
  seal(): number {
    if (this.open.length > 0) {
      const [only] = this.open;
      const bytes = this.open.length === 1 && only ? only : Buffer.concat(this.open);
      this.entries.push({ atMs: this.openSinceMs, startByte: this.totalBytes, bytes });
      this.totalBytes += bytes.length;
      this.open = [];
      this.openBytes = 0;
    }
    return this.first + this.entries.length;
  }

  /** Undefined if it has not arrived yet. */
  at(number: number): FeedEntry | undefined {
    return this.entries[number - this.first];
  }

  /** From the entry on. */
  bytesFrom(number: number): number {
    const startByte = this.at(number)?.startByte ?? this.totalBytes;
    return this.totalBytes - startByte + this.openBytes;
  }

  /** The reader has taken everything: it is called at the next `wake`. */
  wait(reader: Reader): void {
    this.waiting.push(reader);
  }

  /** The waiting readers, which are removed from the list. */
  wake(): Reader[] {
    if (!this.hasNews) return [];
    this.hasNews = false;
    this.freshBytes = 0;
    this.seal();
    const woken = this.waiting;
    this.waiting = [];
    return woken;
  }

  /** Removes entries that all readers have read. */
  trim(): void {
    let least = this.first + this.entries.length;
    for (const { next } of this.readers) least = Math.min(least, next);
    this.entries.splice(0, least - this.first);
    this.first = least;
  }
}
