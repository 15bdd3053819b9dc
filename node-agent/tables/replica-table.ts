// All bindings of one network: 32 bytes a key for both families and MACs, and an index of 5 to 6 bytes beside them. Both are in shared
// buffers, so that a thread can be given them to look keys up. No I/O.
import {
  type Answer,
  type BindingKey,
  ipToWords,
  macToWords,
  parseRevision,
  type Revision,
  type Vni,
  wordsToIp,
  wordsToMac,
} from "../../schema/address/index.ts";
import type { Locations } from "./locations.ts";

/**
 * Words of a row. The key: an IP address (an IPv4 address as IPv4-mapped), or a MAC behind a prefix that no interface can own.
 * Then the MAC, flags and upper bits of the revision, the location, the lower bits of the revision.
 */
const wordsPerRow = 8;
const keyWords = 4;
const macLow = 4;
const macHighAndFlags = 5;
const location = 6;
const revisionLow = 7;
/** A multicast address (RFC 4291 §2.7). */
const macPrefix = 0xff00_0000;
const routerFlag = 1;
const localFlag = 2;
const flagBits = 2;
/** Revisions have 46 bits. */
const revisionHighBits = 14;

const minRows = 16;
/** The index is this part full at most, and at least seven tenths of that. */
const maxLoad = 0.8;
const empty = 0;

/** What a look-up needs. */
interface Columns {
  readonly rows: Uint32Array;
  /** 0: empty; otherwise the row plus one. */
  readonly slots: Uint32Array;
  readonly seed: number;
}

type KeyWords = [number, number, number, number];

const newRows = (rows: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(rows * wordsPerRow * 4));
const newSlots = (rows: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(Math.ceil(rows / maxLoad) * 4));

export class ReplicaTable {
  private rows = newRows(minRows);
  private slots = newSlots(minRows);
  private count = 0;
  private readonly key: KeyWords = [0, 0, 0, 0];

  /** @param seed random, so that no tenant can choose addresses that are all in one slot */
  constructor(
    private readonly vni: Vni,
    private readonly locations: Locations,
    private readonly seed: number,
  ) {}

  /** Keys with a binding. */
  get size(): number {
    return this.count;
  }

  get bytes(): number {
    return this.rows.byteLength + this.slots.byteLength;
  }

  /** What is registered under the key. */
  find(key: BindingKey): Answer | undefined {
    const row = findRow(this.columns, this.wordsOf(key));
    return row < 0 ? undefined : { key, ...this.valueOf(row) };
  }

  /** The revision of what is registered under the key. */
  revisionOf(key: BindingKey): Revision | undefined {
    const row = findRow(this.columns, this.wordsOf(key));
    return row < 0 ? undefined : this.revisionAt(row);
  }

  /** A binding replaces the one of its key, a tombstone removes it. */
  take({ key, revision, binding }: Answer): void {
    const words = this.wordsOf(key);
    let row = findRow(this.columns, words);
    if (!binding) {
      if (row >= 0) this.delete(row);
      return;
    }
    const place = this.locations.retain(binding);
    if (row >= 0) this.locations.release(this.word(row, location));
    else {
      row = this.count;
      this.count += 1;
      if (this.count * wordsPerRow > this.rows.length) this.growRows();
      this.rows.set(words, row * wordsPerRow);
      if (this.count > this.slots.length * maxLoad) this.growSlots();
      else insert(this.columns, row);
    }
    const [high, low] = macToWords(binding.mac);
    const flags = (binding.router ? routerFlag : 0) | (binding.local ? localFlag : 0);
    const at = row * wordsPerRow;
    this.rows[at + macLow] = low;
    this.rows[at + macHighAndFlags] = (high << 16) | (Math.floor(revision / 2 ** 32) << flagBits) | flags;
    this.rows[at + location] = place;
    this.rows[at + revisionLow] = revision % 2 ** 32;
  }

  /**
   * In no particular order, each as of its turn. None is left out that is there from the first to the last of them: a removed row is
   * replaced by the last one, which was listed before.
   */
  *answers(): Generator<Answer> {
    for (let row = this.count - 1; row >= 0; row--)
      if (row < this.count) yield { key: this.keyOf(row), ...this.valueOf(row) };
  }

  /** The table is no longer used. */
  clear(): void {
    for (let row = 0; row < this.count; row++) this.locations.release(this.word(row, location));
    this.count = 0;
    this.rows = newRows(minRows);
    this.slots = newSlots(minRows);
  }

  private get columns(): Columns {
    const { rows, slots, seed } = this;
    return { rows, slots, seed };
  }

  private word(row: number, field: number): number {
    return this.rows[row * wordsPerRow + field] ?? 0;
  }

  private wordsOf(key: BindingKey): KeyWords {
    if (key.kind === "ip") {
      ipToWords(key.ip, this.key);
      return unsigned(this.key);
    }
    const [high, low] = macToWords(key.mac);
    this.key[0] = macPrefix;
    this.key[1] = 0;
    this.key[2] = high;
    this.key[3] = low;
    return unsigned(this.key);
  }

  private keyOf(row: number): BindingKey {
    const { vni } = this;
    const [a, b, c, d] = [this.word(row, 0), this.word(row, 1), this.word(row, 2), this.word(row, 3)];
    return a === macPrefix
      ? { kind: "mac", vni, mac: wordsToMac(c, d) }
      : { kind: "ip", vni, ip: wordsToIp(a, b, c, d) };
  }

  private revisionAt(row: number): Revision {
    const high = (this.word(row, macHighAndFlags) >>> flagBits) & ((1 << revisionHighBits) - 1);
    return parseRevision(high * 2 ** 32 + this.word(row, revisionLow));
  }

  private valueOf(row: number): Omit<Answer, "key" | "binding"> & { readonly binding: NonNullable<Answer["binding"]> } {
    const flags = this.word(row, macHighAndFlags);
    return {
      revision: this.revisionAt(row),
      binding: {
        mac: wordsToMac(flags >>> 16, this.word(row, macLow)),
        ...this.locations.get(this.word(row, location)),
        ...((flags & localFlag) === 0 ? {} : { local: true as const }),
        ...((flags & routerFlag) === 0 ? {} : { router: true as const }),
      },
    };
  }

  /** The last row takes its place. */
  private delete(row: number): void {
    this.locations.release(this.word(row, location));
    remove(this.columns, row);
    this.count -= 1;
    const last = this.count;
    if (row === last) return;
    const slot = slotOf(this.columns, last);
    const at = row * wordsPerRow;
    this.rows.copyWithin(at, last * wordsPerRow, (last + 1) * wordsPerRow);
    this.slots[slot] = row + 1;
  }

  private growRows(): void {
    // By little at a time: copying a row sixteen times takes less than putting it in once.
    const rows = newRows(Math.max(minRows, Math.ceil(this.count * (1 + 1 / 16))));
    rows.set(this.rows);
    this.rows = rows;
  }

  private growSlots(): void {
    this.slots = newSlots(Math.max(minRows, Math.ceil(this.count * (1 + 1 / 8))));
    for (let row = 0; row < this.count; row++) insert(this.columns, row);
  }
}

function unsigned(words: KeyWords): KeyWords {
  for (let i = 0; i < keyWords; i++) words[i] = (words[i] ?? 0) >>> 0;
  return words;
}

/** The slot that a key is in where no other key is. */
function homeOf({ slots, seed }: Columns, words: ArrayLike<number>, at: number): number {
  let hash = seed;
  for (let i = 0; i < keyWords; i++) {
    hash = Math.imul(hash ^ (words[at + i] ?? 0), 0x85eb_ca6b);
    hash = (hash << 13) | (hash >>> 19);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2_ae35);
  hash ^= hash >>> 15;
  return Math.floor(((hash >>> 0) * slots.length) / 2 ** 32);
}

/** @returns below 0: there is none */
function findRow(columns: Columns, words: KeyWords): number {
  const { rows, slots } = columns;
  for (let slot = homeOf(columns, words, 0); ; slot = slot + 1 === slots.length ? 0 : slot + 1) {
    const row = (slots[slot] ?? empty) - 1;
    if (row < 0) return row;
    const at = row * wordsPerRow;
    if (rows[at + 3] === words[3] && rows[at + 2] === words[2] && rows[at + 1] === words[1] && rows[at] === words[0])
      return row;
  }
}

function slotOf(columns: Columns, row: number): number {
  const { rows, slots } = columns;
  let slot = homeOf(columns, rows, row * wordsPerRow);
  while (slots[slot] !== row + 1) slot = slot + 1 === slots.length ? 0 : slot + 1;
  return slot;
}

function insert(columns: Columns, row: number): void {
  const { rows, slots } = columns;
  let slot = homeOf(columns, rows, row * wordsPerRow);
  while (slots[slot] !== empty) slot = slot + 1 === slots.length ? 0 : slot + 1;
  slots[slot] = row + 1;
}

/** Rows behind the freed slot move up where they may: there are no marks of removed rows. */
function remove(columns: Columns, row: number): void {
  const { rows, slots } = columns;
  const { length } = slots;
  let free = slotOf(columns, row);
  slots[free] = empty;
  for (let slot = (free + 1) % length; slots[slot] !== empty; slot = (slot + 1) % length) {
    const moved = slots[slot] ?? empty;
    const home = homeOf(columns, rows, (moved - 1) * wordsPerRow);
    // Its home is behind the free slot, seen from there in the order of the search.
    if ((slot - home + length) % length < (slot - free + length) % length) continue;
    slots[free] = moved;
    slots[slot] = empty;
    free = slot;
  }
}
