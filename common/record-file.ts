// Files of records with checksums, for state that may be lost but must never be read wrongly: replaced as a whole, or appended to, and
// only their owner can read them. Reading and writing are done by Node's threads, not on the event loop.
import { constants } from "node:fs";
import { chmod, type FileHandle, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { crc32 } from "node:zlib";

const magic = Buffer.from("nearmiss records");
/** Of a record before its payload: the payload's length and CRC-32, little-endian. */
const headBytes = 8;
export const maxRecordBytes = 2 ** 20;
/** What is read or written at once. */
const pieceBytes = 2 ** 17;

const { O_APPEND, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

/** A file that must not be used; the message says why, without the path. */
export class RecordFileError extends Error {
  override readonly name = "RecordFileError";
}

/**
 * `torn`: the last records are incomplete, as after a loss of power while they were appended. Those before them are whole.
 * `absent`: there is no such file.
 */
export type RecordFileEnd = "whole" | "torn" | "absent";

/**
 * Gives each payload to `take`, in order. The payload's memory is used again afterwards.
 * @throws RecordFileError, what `take` throws, and errors of the file system
 */
export async function readRecords(
  path: string,
  take: (payload: Buffer) => void | Promise<void>,
): Promise<RecordFileEnd> {
  const file = await openOwn(path);
  if (!file) return "absent";
  try {
    const { size } = await file.stat();
    return await new RecordReader(file, size).readAll(take);
  } finally {
    await file.close();
  }
}

/** A link, and a file that others can read or have made, are not trusted. */
async function openOwn(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    if (codeOf(error) === "ELOOP") throw new RecordFileError("it is a link");
    throw error;
  }
  const { uid, mode } = await file.stat();
  const isFile = (mode & constants.S_IFMT) === constants.S_IFREG;
  const problem = !isFile
    ? "it is not a file"
    : uid !== process.geteuid?.() && uid !== 0
      ? "it belongs to another user"
      : (mode & 0o077) !== 0
        ? `others may read or write it (mode ${(mode & 0o777).toString(8)} instead of 600)`
        : undefined;
  if (problem === undefined) return file;
  await file.close();
  throw new RecordFileError(problem);
}

class RecordReader {
  private buffer = Buffer.alloc(pieceBytes);
  /** Of what was read into `buffer`, and has not been taken. */
  private start = 0;
  private end = 0;
  private position = 0;

  constructor(
    private readonly file: FileHandle,
    private readonly size: number,
  ) {}

  async readAll(take: (payload: Buffer) => void | Promise<void>): Promise<Exclude<RecordFileEnd, "absent">> {
    if (!(await this.next(magic.length))?.equals(magic)) throw new RecordFileError("it is not a file of records");
    for (;;) {
      const at = this.taken;
      if (at === this.size) return "whole";
      const head = await this.next(headBytes);
      if (!head) return "torn";
      const length = head.readUInt32LE(0);
      const sum = head.readUInt32LE(4);
      if (length === 0 && sum === 0 && (await this.isZero())) return "torn";
      if (length === 0 || length > maxRecordBytes) throw new RecordFileError(`it is damaged at byte ${at}`);
      const payload = await this.next(length);
      if (!payload) return "torn";
      if (crc32(payload) !== sum) throw new RecordFileError(`it is damaged at byte ${at}: a checksum is wrong`);
      await take(payload);
    }
  }

  private get taken(): number {
    return this.position - (this.end - this.start);
  }

  /** @returns undefined where fewer bytes are left */
  private async next(bytes: number): Promise<Buffer | undefined> {
    if (this.size - this.taken < bytes) return undefined;
    while (this.end - this.start < bytes) await this.fill(bytes);
    const found = this.buffer.subarray(this.start, this.start + bytes);
    this.start += bytes;
    return found;
  }

  private async fill(bytes: number): Promise<void> {
    if (bytes > this.buffer.length || this.end === this.buffer.length) {
      const larger = bytes > this.buffer.length ? Buffer.alloc(bytes) : this.buffer;
      this.buffer.copy(larger, 0, this.start, this.end);
      this.buffer = larger;
      this.end -= this.start;
      this.start = 0;
    }
    const { bytesRead } = await this.file.read(this.buffer, this.end, this.buffer.length - this.end, this.position);
    if (bytesRead === 0) throw new RecordFileError("it became shorter while it was read");
    this.end += bytesRead;
    this.position += bytesRead;
  }

  /** A file system may have made the file longer before the bytes came. */
  private async isZero(): Promise<boolean> {
    while (this.taken < this.size) {
      const rest = await this.next(Math.min(pieceBytes, this.size - this.taken));
      if (!rest || rest.some((byte) => byte !== 0)) return false;
    }
    return true;
  }
}

/** One file that this process writes. Calls must not overlap. */
export class RecordFile {
  private bytesOfBase = 0;
  private bytesAppended = 0;
  /** The end of the file is known: it can be appended to. */
  private isOpenEnded = false;

  /** @param maxBytesPerSecond of `replace` */
  constructor(
    readonly path: string,
    private readonly maxBytesPerSecond = Number.POSITIVE_INFINITY,
  ) {}

  /** Appending is possible, and shorter than replacing. @param minBytes appended without a replacement, however short the file is */
  canAppend(minBytes: number): boolean {
    return this.isOpenEnded && this.bytesAppended < Math.max(minBytes, this.bytesOfBase);
  }

  /** The new content is on disk when this resolves; before, the file is as it was. @throws errors of the file system */
  async replace(payloads: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    const next = `${this.path}.new`;
    this.isOpenEnded = false;
    // Left by a crash, or planted: it could be a link, or readable by others.
    await rm(next, { force: true });
    try {
      const file = await open(next, "wx", 0o600);
      try {
        this.bytesOfBase = await writeAll(file, withMagic(payloads), this.maxBytesPerSecond);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(next, this.path);
      await syncDirectory(dirname(this.path));
    } catch (error) {
      await rm(next, { force: true });
      throw error;
    }
    this.bytesAppended = 0;
    this.isOpenEnded = true;
  }

  /** On disk when this resolves. After a failure the end of the file is not known any more. @throws errors of the file system */
  async append(payloads: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    if (!this.isOpenEnded) throw new RangeError(`${this.path} was not written by this process`);
    this.isOpenEnded = false;
    const file = await open(this.path, O_WRONLY | O_APPEND | O_NOFOLLOW);
    try {
      this.bytesAppended += await writeAll(file, recordsOf(payloads), Number.POSITIVE_INFINITY);
      await file.datasync();
    } finally {
      await file.close();
    }
    this.isOpenEnded = true;
  }

  /** It need not exist. */
  async remove(): Promise<void> {
    this.isOpenEnded = false;
    await rm(this.path, { force: true });
    await rm(`${this.path}.new`, { force: true });
  }
}

async function* recordsOf(payloads: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const payload of payloads) {
    if (payload.length === 0 || payload.length > maxRecordBytes)
      throw new RangeError(`a record of ${payload.length} bytes`);
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(payload.length, 0);
    head.writeUInt32LE(crc32(payload), 4);
    yield head;
    yield payload;
  }
}

async function* withMagic(payloads: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield magic;
  yield* recordsOf(payloads);
}

/** @returns how many bytes were written */
async function writeAll(file: FileHandle, parts: AsyncIterable<Buffer>, maxBytesPerSecond: number): Promise<number> {
  let total = 0;
  let waiting: Buffer[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    const piece = Buffer.concat(waiting, bytes);
    waiting = [];
    for (let at = 0; at < bytes; ) at += (await file.write(piece, at)).bytesWritten;
    total += bytes;
    const pauseMs = (bytes / maxBytesPerSecond) * 1_000;
    bytes = 0;
    if (pauseMs >= 1) await pause(pauseMs);
  };
  for await (const part of parts) {
    waiting.push(part);
    bytes += part.length;
    if (bytes >= pieceBytes) await flush();
  }
  if (bytes > 0) await flush();
  return total;
}

/** For files of records: made if it is missing, and closed to others. @throws Error where it is another user's */
export async function prepareDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const found = await lstat(path);
  if (!found.isDirectory()) throw new Error("it is not a directory");
  if (found.uid !== 0 && found.uid !== process.geteuid?.()) throw new Error("the directory belongs to another user");
  if ((found.mode & 0o077) !== 0) await chmod(path, 0o700);
}

/** With all that is in it. @returns whether there was anything. @throws errors of the file system */
export async function removeDirectory(path: string): Promise<boolean> {
  try {
    const names = await readdir(path);
    await rm(path, { recursive: true, force: true });
    return names.length > 0;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
