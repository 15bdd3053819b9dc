// Records of an import: the first in memory, more of them in a file without a name. Written at the end, read anywhere.
import { closeSync, readSync, writeSync } from "node:fs";
import { isDiskFull, openNameless } from "../../common/nameless-file.ts";
import type { SpooledRecords } from "../inventory/records.ts";
import { StoreFullError } from "./store.ts";

export interface SpoolOptions {
  /** Of the file, if there is one. */
  readonly directory: string;
  /** Bytes that are kept in memory; more go to the file. */
  readonly memoryBytes: number;
}

/** Bytes that are written or read together. */
const blockBytes = 64 * 1024;
/** Of the first look at a record, which is long enough for most. */
const recordBytes = 1_024;
const lineBreak = 10;

export class Spool implements SpooledRecords {
  /** Full ones, from the beginning; none where there is a file. */
  private readonly blocks: Buffer[] = [];
  private tail = Buffer.allocUnsafe(blockBytes);
  private filled = 0;
  private descriptor: number | undefined;
  /** Bytes in the file. */
  private written = 0;

  constructor(private readonly options: SpoolOptions) {}

  get bytes(): number {
    return this.written + this.blocks.length * blockBytes + this.filled;
  }

  /** @throws StoreFullError */
  append(text: string): number {
    const place = this.bytes;
    // A character takes at most three bytes.
    if (3 * text.length < blockBytes - this.filled - 1) {
      this.filled += this.tail.write(text, this.filled);
      this.tail[this.filled] = lineBreak;
      this.filled += 1;
      return place;
    }
    const record = Buffer.from(`${text}\n`);
    for (let copied = 0; copied < record.length; ) {
      const count = record.copy(this.tail, this.filled, copied);
      copied += count;
      this.filled += count;
      if (this.filled === blockBytes) this.keepTail();
    }
    return place;
  }

  read(place: number): string {
    for (let size = recordBytes; ; size *= 4) {
      const some = Buffer.allocUnsafe(size);
      const count = this.fill(some, place);
      const end = some.subarray(0, count).indexOf(lineBreak);
      if (end >= 0) return some.toString("utf8", 0, end);
      if (count < size) throw new Error(`no record ends behind byte ${place}`);
    }
  }

  *[Symbol.iterator](): Generator<string, void, void> {
    yield* recordsIn(this.chunks());
  }

  /** All bytes in order. */
  chunks(): Generator<Buffer, void, void> {
    return chunksOf((into, position) => this.fill(into, position));
  }

  file(): number | undefined {
    if (this.descriptor !== undefined && this.filled > 0) this.write(this.takeTail());
    return this.descriptor;
  }

  /** Nothing is left of it. */
  close(): void {
    this.blocks.length = 0;
    this.filled = 0;
    this.written = 0;
    if (this.descriptor !== undefined) closeSync(this.descriptor);
    this.descriptor = undefined;
  }

  private keepTail(): void {
    const block = this.takeTail();
    if (this.descriptor === undefined && (this.blocks.length + 1) * blockBytes <= this.options.memoryBytes) {
      this.blocks.push(block);
      this.tail = Buffer.allocUnsafe(blockBytes);
      return;
    }
    for (const each of this.blocks.splice(0)) this.write(each);
    this.write(block);
  }

  private takeTail(): Buffer {
    const block = this.tail.subarray(0, this.filled);
    this.filled = 0;
    return block;
  }

  private write(block: Buffer): void {
    try {
      this.descriptor ??= openNameless(this.options.directory);
      for (let done = 0; done < block.length; ) {
        const count = writeSync(this.descriptor, block, done, block.length - done, this.written);
        done += count;
        this.written += count;
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw new StoreFullError(`no space left for an import in ${this.options.directory}`, { cause: error });
    }
  }

  /** @returns how many bytes there are from the position on, at most as many as fit */
  private fill(into: Buffer, position: number): number {
    let done = 0;
    while (this.descriptor !== undefined && position + done < this.written && done < into.length) {
      const most = Math.min(into.length - done, this.written - position - done);
      const count = readSync(this.descriptor, into, done, most, position + done);
      if (count === 0) throw new Error("the file of an import is shorter than what was written to it");
      done += count;
    }
    for (let at = position + done - this.written; done < into.length; ) {
      const number = Math.floor(at / blockBytes);
      const block = this.blocks[number] ?? this.tail.subarray(0, this.filled);
      const start = number < this.blocks.length ? at % blockBytes : at - this.blocks.length * blockBytes;
      const count = block.copy(into, done, start);
      if (count === 0) break;
      done += count;
      at += count;
    }
    return done;
  }
}

/** Of the first bytes of a file that another thread of this process has written. */
export function recordsOfFile(descriptor: number, bytes: number): Generator<string, void, void> {
  const fill = (into: Buffer, at: number) => readSync(descriptor, into, 0, Math.min(into.length, bytes - at), at);
  return recordsIn(chunksOf((into, at) => (at < bytes ? fill(into, at) : 0)));
}

function* chunksOf(fill: (into: Buffer, position: number) => number): Generator<Buffer, void, void> {
  for (let at = 0; ; ) {
    const chunk = Buffer.allocUnsafe(blockBytes);
    const count = fill(chunk, at);
    if (count === 0) return;
    yield chunk.subarray(0, count);
    at += count;
  }
}

function* recordsIn(chunks: Iterable<Buffer>): Generator<string, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  for (const chunk of chunks) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let start = 0;
    for (let end = bytes.indexOf(lineBreak); end >= 0; end = bytes.indexOf(lineBreak, start)) {
      yield bytes.toString("utf8", start, end);
      start = end + 1;
    }
    rest = bytes.subarray(start);
  }
}
