// A network in memory as records of a file: its rows as they are, then what has changed since. record-file.ts has the file.
import { maxRecordBytes } from "../../common/record-file.ts";
import {
  AddressError,
  type BindingKey,
  parseRevision,
  parseVtep,
  type Revision,
  type Vni,
} from "../../schema/address/index.ts";
import type { Location } from "../tables/locations.ts";
import type { PackedKeys, PackedRows, ReplicaTable } from "../tables/replica-table.ts";

/** Of the records of both kinds of files. A file of another is not read. */
export const storedFormat = 1;
/** 16 KiB and their locations, so that packing them takes a tenth of a millisecond. */
export const maxSavedRows = 512;
/** Keys that are looked up at once. */
const keysAtOnce = 512;

/** The first byte of a payload; those of one file are in this order, `rows`, `removed` and `position` again and again. */
const kinds = { head: 1, rows: 2, removed: 3, position: 4 } as const;

/** What a file must be of. */
export interface StoredHead {
  readonly format: number;
  readonly epoch: string;
  readonly host: string;
  readonly vni: number;
}

/** A file that cannot be used; the message says why. */
export class StoredStateError extends Error {
  override readonly name = "StoredStateError";
}

/**
 * Everything, as of `position` and partly later: changes since the first of these payloads have to follow.
 * @throws StoredStateError where the table is not the network's any more
 */
export function* wholeNetwork(
  head: StoredHead,
  table: ReplicaTable,
  position: Revision,
  isCurrent: () => boolean,
): Generator<Buffer> {
  yield json(kinds.head, head);
  for (const lot of table.lots(maxSavedRows)) yield rowsPayload(lot);
  if (!isCurrent()) throw new StoredStateError("the network's table was replaced while it was stored");
  yield json(kinds.position, position);
}

/** What the table has of these keys now. */
export function changedKeys(table: ReplicaTable, keys: readonly BindingKey[], position: Revision): Buffer[] {
  const payloads: Buffer[] = [];
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    const { found, missing } = table.packed(keys.slice(at, at + keysAtOnce));
    if (found.rows.length > 0) payloads.push(rowsPayload(found));
    if (missing.length > 0) payloads.push(Buffer.concat([Buffer.of(kinds.removed), bytesOf(missing)]));
  }
  return [...payloads, json(kinds.position, position)];
}

/** Puts the payloads of a file into a table, and says up to which position that has all changes. */
export class StoredNetworkReader {
  private head: StoredHead | undefined;
  private position: Revision | undefined;

  constructor(
    private readonly table: ReplicaTable,
    private readonly wanted: Omit<StoredHead, "format" | "vni"> & { readonly vni: Vni },
  ) {}

  /** @throws StoredStateError */
  take(payload: Buffer): void {
    const kind = payload[0];
    if (this.head === undefined && kind !== kinds.head) throw new StoredStateError("it does not begin as it should");
    const content = payload.subarray(1);
    if (kind === kinds.head) this.begin(parsed(content));
    else if (kind === kinds.rows) this.table.takeRows(readRows(content));
    else if (kind === kinds.removed) this.table.removeKeys(wordsOf(content));
    else if (kind === kinds.position) this.position = readPosition(parsed(content));
    else throw new StoredStateError(`it has a record of kind ${kind}, which this version does not know`);
  }

  /** @throws StoredStateError: not everything is there */
  end(): Revision {
    if (this.position === undefined) throw new StoredStateError("its end is missing");
    return this.position;
  }

  private begin(value: unknown): void {
    const head = value as Partial<StoredHead> | null;
    if (this.head !== undefined || typeof head !== "object" || head === null)
      throw new StoredStateError("it does not begin as it should");
    const { format, epoch, host, vni } = head;
    if (format !== storedFormat)
      throw new StoredStateError(`it has format ${format}, and this version reads ${storedFormat}`);
    if (host !== this.wanted.host) throw new StoredStateError(`it is of host "${host}"`);
    if (epoch !== this.wanted.epoch) throw new StoredStateError(`it is of another store of the controller (${epoch})`);
    if (vni !== this.wanted.vni) throw new StoredStateError(`it is of VNI ${vni}`);
    this.head = { format, epoch, host, vni };
  }
}

/** Locations as JSON behind their length, then the rows in the processor's byte order: the file stays on its machine. */
function rowsPayload({ rows, places }: PackedRows): Buffer {
  const locations = Buffer.from(JSON.stringify(places.map(({ host, vtep, vtepPort }) => [host, vtep, vtepPort])));
  const head = Buffer.alloc(5);
  head[0] = kinds.rows;
  head.writeUInt32LE(locations.length, 1);
  const payload = Buffer.concat([head, locations, bytesOf(rows)]);
  if (payload.length > maxRecordBytes) throw new RangeError("rows of one record are too many");
  return payload;
}

function readRows(content: Buffer): PackedRows {
  const length = content.length < 4 ? Number.POSITIVE_INFINITY : content.readUInt32LE(0);
  if (length > content.length - 4) throw new StoredStateError("it has rows without their locations");
  const listed = parsed(content.subarray(4, 4 + length));
  if (!Array.isArray(listed)) throw new StoredStateError("it has rows without their locations");
  return { rows: wordsOf(content.subarray(4 + length)), places: listed.map(readLocation) };
}

function readLocation(value: unknown): Location {
  const [host, vtep, vtepPort] = Array.isArray(value) ? value : [];
  if (typeof host !== "string" || typeof vtep !== "string" || !Number.isInteger(vtepPort))
    throw new StoredStateError("it has a location that is not valid");
  return { host, vtep: asStored(() => parseVtep(vtep)), vtepPort };
}

const readPosition = (value: unknown): Revision => asStored(() => parseRevision(value as number));

function asStored<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof AddressError) throw new StoredStateError(error.message);
    throw error;
  }
}

export function json(kind: number, value: unknown): Buffer {
  return Buffer.concat([Buffer.of(kind), Buffer.from(JSON.stringify(value))]);
}

/** @throws StoredStateError */
export function parsed(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString());
  } catch {
    throw new StoredStateError("it has a record that is not valid");
  }
}

const bytesOf = (words: PackedKeys): Buffer => Buffer.from(words.buffer, words.byteOffset, words.byteLength);

/** A copy: payloads are not aligned, and their memory is used again. */
function wordsOf(content: Buffer): Uint32Array {
  if (content.length % 4 !== 0) throw new StoredStateError("it has rows that are not whole");
  return new Uint32Array(new Uint8Array(content).buffer);
}
