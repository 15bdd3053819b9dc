// Bodies of imports while they arrive and wait for their turn: a small one in memory, a large one in an unlinked temporary
// file. So no import waits for a slow sender, and each caller's share of memory and disk is bounded (ADR 0153).
import { close, readSync, write } from "node:fs";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { isDiskFull, openNameless } from "../../common/nameless-file.ts";
import { Refusal } from "../inventory/refusal.ts";
import { BodyError } from "./lines.ts";

const writeTo = promisify(write);
const closeFile = promisify(close);

export interface UploadLimits {
  /** Of one import, bytes: about a million VMs. */
  readonly maxBytes: number;
  /** The same for a token that is limited to networks: about 57,000 VMs. */
  readonly maxNarrowedBytes: number;
  /** Imports of one caller that arrive, wait or run. */
  readonly perCaller: number;
  /** Bytes of all imports together, separately for limited tokens and for others. */
  readonly totalBytes: number;
  /** Bytes of each import that are kept in memory; the rest goes to the file. */
  readonly memoryBytes: number;
  /** Of the files of all imports. */
  readonly directory: string;
}

const mebibyte = 1024 * 1024;
export const defaultUploadLimits: UploadLimits = {
  maxBytes: 256 * mebibyte,
  maxNarrowedBytes: 8 * mebibyte,
  perCaller: 2,
  totalBytes: 512 * mebibyte,
  memoryBytes: mebibyte,
  directory: tmpdir(),
};

export interface Uploader {
  /** The same as in the audit trail. */
  readonly name: string;
  readonly isNarrowed: boolean;
}

export class Uploads {
  private readonly byCaller = new Map<string, number>();
  private readonly bytes = { narrowed: 0, others: 0 };

  constructor(readonly limits: UploadLimits) {}

  /** How many there are, of all callers. */
  get size(): number {
    return [...this.byCaller.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Must be closed in any case. @throws Refusal if the caller has too many already */
  begin({ name, isNarrowed }: Uploader): Upload {
    const { perCaller, maxBytes, maxNarrowedBytes, totalBytes, memoryBytes, directory } = this.limits;
    const count = this.byCaller.get(name) ?? 0;
    if (count >= perCaller) {
      const detail = `${perCaller} imports by this caller are in progress; nothing was changed: try again when one has ended`;
      throw new Refusal("too-many-requests", detail);
    }
    this.byCaller.set(name, count + 1);
    const pool = isNarrowed ? "narrowed" : "others";
    return new Upload({
      maxBytes: isNarrowed ? maxNarrowedBytes : maxBytes,
      memoryBytes,
      directory,
      take: (bytes) => {
        if (bytes > 0 && this.bytes[pool] + bytes > totalBytes) return false;
        this.bytes[pool] += bytes;
        return true;
      },
      onClosed: () => {
        const left = (this.byCaller.get(name) ?? 0) - 1;
        if (left > 0) this.byCaller.set(name, left);
        else this.byCaller.delete(name);
      },
    });
  }
}

interface UploadDeps {
  readonly maxBytes: number;
  readonly memoryBytes: number;
  readonly directory: string;
  /** @returns false if there is no room for so many more bytes; a negative number frees room */
  readonly take: (bytes: number) => boolean;
  readonly onClosed: () => void;
}

/** Bytes that are copied together: a body of one-byte parts would otherwise take a hundred times its size. */
const blockBytes = 64 * 1024;

export class Upload {
  private readonly held: Buffer[] = [];
  /** Filled from its beginning. */
  private block = Buffer.allocUnsafe(blockBytes);
  private filled = 0;
  private bytes = 0;
  private file: number | undefined;
  /** Of `bytes`, those in the file. */
  private spooled = 0;

  constructor(private readonly deps: UploadDeps) {}

  /** Nothing of it had to go to a file. */
  get isSmall(): boolean {
    return this.bytes <= this.deps.memoryBytes;
  }

  /** Resolves when all of the body is here. @throws BodyError, Refusal, and what reading the body throws */
  async receive(body: AsyncIterable<Buffer>): Promise<void> {
    const { maxBytes, take } = this.deps;
    for await (const chunk of body) {
      if (this.bytes + chunk.length > maxBytes) {
        const detail = `an import by this caller has at most ${maxBytes} bytes; nothing was changed: send it in parts`;
        throw new BodyError("too-large", detail);
      }
      if (!take(chunk.length)) {
        throw new Refusal("unavailable", "too many large imports are arriving; nothing was changed: try again later");
      }
      this.bytes += chunk.length;
      for (let copied = 0; copied < chunk.length; ) {
        const count = chunk.copy(this.block, this.filled, copied);
        copied += count;
        this.filled += count;
        if (this.filled === blockBytes) await this.keep();
      }
    }
    await this.keep();
  }

  /** The received bytes, from the beginning. */
  *chunks(): Generator<Buffer, void, void> {
    yield* this.held;
    for (let at = 0; this.file !== undefined && at < this.spooled; ) {
      const chunk = Buffer.allocUnsafe(blockBytes);
      const count = readSync(this.file, chunk, 0, blockBytes, at);
      yield chunk.subarray(0, count);
      at += count;
    }
  }

  async close(): Promise<void> {
    this.held.length = 0;
    this.deps.take(-this.bytes);
    this.bytes = 0;
    this.deps.onClosed();
    if (this.file !== undefined) await closeFile(this.file);
  }

  /** Moves the content of the block to where there is room. */
  private async keep(): Promise<void> {
    const block = this.block.subarray(0, this.filled);
    this.filled = 0;
    if (this.bytes > this.deps.memoryBytes) return this.spool(block);
    this.held.push(block);
    this.block = Buffer.allocUnsafe(blockBytes);
  }

  private async spool(chunk: Buffer): Promise<void> {
    const { directory } = this.deps;
    try {
      this.file ??= openNameless(directory);
      for (let written = 0; written < chunk.length; ) {
        const { bytesWritten } = await writeTo(this.file, chunk, written, chunk.length - written, this.spooled);
        written += bytesWritten;
        this.spooled += bytesWritten;
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw new Refusal(
        "storage-full",
        `the controller's ${directory} is full; nothing was changed: free space and try again`,
      );
    }
  }
}
