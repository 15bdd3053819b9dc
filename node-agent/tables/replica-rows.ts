// Rows of a network in memory and their index: the layout, and how any thread reads them. replica-part.ts writes, on the main thread
// alone. Imports nothing: the thread that reads misses loads no other file of this folder.

/**
 * Words of a row. The key: an IP address (an IPv4 address as IPv4-mapped), or a MAC behind a prefix that no interface can own.
 * Then the MAC, flags and upper bits of the revision, the location, the lower bits of the revision.
 */
export const wordsPerRow = 8;
export const keyWords = 4;
export const macLow = 4;
export const macHighAndFlags = 5;
export const location = 6;
export const revisionLow = 7;
/** A multicast address (RFC 4291 §2.7). */
export const macPrefix = 0xff00_0000;
export const routerFlag = 1;
export const localFlag = 2;
export const flagBits = 2;
/** Revisions have 46 bits. */
export const revisionHighBits = 14;

/** Words of a location: the VTEP, its port, and how many bindings are there. */
export const wordsPerLocation = 6;
export const locationPort = 4;
export const locationUses = 5;

export const empty = 0;

/** Some of the keys of a table, and their index. */
export interface Part {
  readonly rows: Uint32Array;
  /** 0: empty; otherwise the row plus one. */
  readonly slots: Uint32Array;
}

/** What a look-up needs. */
export interface Columns {
  /** By the first bits of a key's hash: a power of two of them. Neighbours may be one part. */
  readonly parts: readonly Part[];
  readonly seed: number;
}

/** Unsigned, as rows are. */
export type KeyWords = Uint32Array;

/** A table as another thread reads it: everything is in shared buffers. */
export interface SharedTable extends Columns {
  /** One word, odd while the main thread changes the table. */
  readonly version: Int32Array;
  readonly locations: Uint32Array;
}

/** A binding of a VM on another host, as words. */
export interface RemoteWords {
  macHigh: number;
  macLow: number;
  router: boolean;
  readonly vtep: Uint32Array;
  vtepPort: number;
  revisionHigh: number;
  revisionLow: number;
}

/** The table may be changed while it is read. */
const attempts = 4;

/** @returns false: there is none, its VM runs on this host, or the table is being changed */
export function readRemote(table: SharedTable, words: ArrayLike<number>, into: RemoteWords): boolean {
  const { version } = table;
  for (let left = attempts; left > 0; left--) {
    const before = Atomics.load(version, 0);
    if ((before & 1) !== 0) continue;
    const isRemote = copyRemote(table, words, into);
    // A write orders all reads before it, which a load does not.
    if (Atomics.compareExchange(version, 0, before, before) === before) return isRemote;
  }
  return false;
}

function copyRemote(table: SharedTable, words: ArrayLike<number>, into: RemoteWords): boolean {
  const hash = hashOf(table.seed, words, 0);
  const part = table.parts[indexOf(hash, table.parts.length)];
  const row = part ? findRow(part, hash, words) : -1;
  if (!part || row < 0) return false;
  const { rows } = part;
  const { locations } = table;
  const at = row * wordsPerRow;
  const flags = rows[at + macHighAndFlags] ?? 0;
  const place = (rows[at + location] ?? 0) * wordsPerLocation;
  if ((flags & localFlag) !== 0 || place + wordsPerLocation > locations.length) return false;
  into.macHigh = flags >>> 16;
  into.macLow = rows[at + macLow] ?? 0;
  into.router = (flags & routerFlag) !== 0;
  for (let i = 0; i < keyWords; i++) into.vtep[i] = locations[place + i] ?? 0;
  into.vtepPort = locations[place + locationPort] ?? 0;
  into.revisionHigh = (flags >>> flagBits) & ((1 << revisionHighBits) - 1);
  into.revisionLow = rows[at + revisionLow] ?? 0;
  return true;
}

/** Of the key at a word. @param seed random @returns 32 bits */
export function hashOf(seed: number, words: ArrayLike<number>, at: number): number {
  let hash = seed;
  for (let i = 0; i < keyWords; i++) {
    hash = Math.imul(hash ^ (words[at + i] ?? 0), 0x85eb_ca6b);
    hash = (hash << 13) | (hash >>> 19);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2_ae35);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Of `length` equal ranges of hashes the one with this hash. */
export const indexOf = (hash: number, length: number): number => Math.floor((hash * length) / 2 ** 32);

/** The slot that a key is in where no other key is. The hashes of a part begin with the same bits, so these are mixed with the others. */
const homeOf = ({ slots }: Part, hash: number): number => indexOf(Math.imul(hash, 0x9e37_79b1) >>> 0, slots.length);

/** @returns below 0: there is none. Ends also while another thread changes the index */
export function findRow(part: Part, hash: number, words: ArrayLike<number>): number {
  const { rows, slots } = part;
  let slot = homeOf(part, hash);
  for (let left = slots.length; left > 0; left--) {
    const row = (slots[slot] ?? empty) - 1;
    if (row < 0) return row;
    const at = row * wordsPerRow;
    if (rows[at + 3] === words[3] && rows[at + 2] === words[2] && rows[at + 1] === words[1] && rows[at] === words[0])
      return row;
    slot = slot + 1 === slots.length ? 0 : slot + 1;
  }
  return -1;
}

export function slotOf(part: Part, seed: number, row: number): number {
  const { rows, slots } = part;
  let slot = homeOf(part, hashOf(seed, rows, row * wordsPerRow));
  while (slots[slot] !== row + 1) slot = slot + 1 === slots.length ? 0 : slot + 1;
  return slot;
}

export function insert(part: Part, seed: number, row: number): void {
  const { rows, slots } = part;
  let slot = homeOf(part, hashOf(seed, rows, row * wordsPerRow));
  while (slots[slot] !== empty) slot = slot + 1 === slots.length ? 0 : slot + 1;
  slots[slot] = row + 1;
}

/** Rows behind the freed slot move up where they may: there are no marks of removed rows. */
export function remove(part: Part, seed: number, row: number): void {
  const { rows, slots } = part;
  const { length } = slots;
  let free = slotOf(part, seed, row);
  slots[free] = empty;
  for (let slot = (free + 1) % length; slots[slot] !== empty; slot = (slot + 1) % length) {
    const moved = slots[slot] ?? empty;
    const home = homeOf(part, hashOf(seed, rows, (moved - 1) * wordsPerRow));
    // Its home is behind the free slot, seen from there in the order of the search.
    if ((slot - home + length) % length < (slot - free + length) % length) continue;
    slots[free] = moved;
    slots[slot] = empty;
    free = slot;
  }
}
