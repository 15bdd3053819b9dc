// All bindings of one network: 32 bytes a key for both families and MACs, and an index of 5 to 6 bytes beside them, in
// shared buffers that another thread reads too (replica-rows.ts). No I/O.
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
import type { Location, Locations } from "./locations.ts";
import {
  type Columns,
  findRow,
  flagBits,
  insert,
  type KeyWords,
  keyWords,
  localFlag,
  location,
  macHighAndFlags,
  macLow,
  macPrefix,
  remove,
  revisionHighBits,
  revisionLow,
  routerFlag,
  type SharedTable,
  slotOf,
  wordsPerRow,
} from "./replica-rows.ts";

const minRows = 16;
/** The index is this part full at most, and at least seven tenths of that. */
const maxLoad = 0.8;

/** Rows beside their table: what stands for a location is its index in `places`. */
export interface PackedRows {
  readonly rows: Uint32Array;
  readonly places: readonly Location[];
}

/** A key as words, in rows of `keyWords`. */
export type PackedKeys = Uint32Array;

const newRows = (rows: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(rows * wordsPerRow * 4));
const newSlots = (rows: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(Math.ceil(rows / maxLoad) * 4));

export class ReplicaTable {
  private rows = newRows(minRows);
  private slots = newSlots(minRows);
  private count = 0;
  private readonly key: KeyWords = new Uint32Array(keyWords);
  private readonly version = new Int32Array(new SharedArrayBuffer(4));

  /**
   * @param seed random, so that no tenant can choose addresses that are all in one slot
   * @param onMoved the table has other buffers: called before a thread can read from these again
   */
  constructor(
    private readonly vni: Vni,
    private readonly locations: Locations,
    private readonly seed: number,
    private readonly onMoved: () => void = () => {},
  ) {}

  /** For another thread, until the table or its locations have other buffers. */
  get shared(): SharedTable {
    return { ...this.columns, version: this.version, locations: this.locations.shared };
  }

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
  take(answer: Answer): void {
    this.change(() => this.write(answer));
  }

  private write({ key, revision, binding }: Answer): void {
    const words = this.wordsOf(key);
    let row = findRow(this.columns, words);
    if (!binding) {
      if (row >= 0) this.delete(row);
      return;
    }
    const place = this.locations.retain(binding);
    row = this.rowFor(words, row);
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

  /** All rows, at most `maxRows` at a time, each as of its turn. The same are among them as among `answers`. */
  *lots(maxRows: number): Generator<PackedRows, void> {
    for (let end = this.count; end > 0; end = Math.min(end, this.count)) {
      const from = Math.max(0, end - maxRows);
      yield this.pack(Array.from({ length: end - from }, (_, i) => from + i));
      end = from;
    }
  }

  /** What is there of these keys, and which of them are not. */
  packed(keys: readonly BindingKey[]): { readonly found: PackedRows; readonly missing: PackedKeys } {
    const rows: number[] = [];
    const missing: number[] = [];
    for (const key of keys) {
      const words = this.wordsOf(key);
      const row = findRow(this.columns, words);
      if (row >= 0) rows.push(row);
      else missing.push(...words);
    }
    return { found: this.pack(rows), missing: Uint32Array.from(missing) };
  }

  /** Rows of another table: each replaces the one of its key. @throws RangeError for a location that is not among `places` */
  takeRows(packed: PackedRows): void {
    this.change(() => this.writeRows(packed));
  }

  /** What is there of them is removed. */
  removeKeys(keys: PackedKeys): void {
    this.change(() => {
      for (let at = 0; at + keyWords <= keys.length; at += keyWords) {
        const row = findRow(this.columns, keys.subarray(at, at + keyWords));
        if (row >= 0) this.delete(row);
      }
    });
  }

  /** Another thread that reads at that time sees that, and reads again. */
  private change(work: () => void): void {
    const { rows, slots } = this;
    Atomics.add(this.version, 0, 1);
    try {
      work();
    } finally {
      if (rows !== this.rows || slots !== this.slots) this.onMoved();
      Atomics.add(this.version, 0, 1);
    }
  }

  private writeRows({ rows, places }: PackedRows): void {
    for (let at = 0; at < rows.length; at += wordsPerRow) {
      const words = rows.subarray(at, at + wordsPerRow);
      const place = places[words[location] ?? 0];
      if (!place || words.length < wordsPerRow) throw new RangeError("a row without a location");
      const id = this.locations.retain(place);
      const key = words.subarray(0, keyWords);
      const row = this.rowFor(key, findRow(this.columns, key));
      this.rows.set(words, row * wordsPerRow);
      this.rows[row * wordsPerRow + location] = id;
    }
  }

  /** The table is no longer used. */
  clear(): void {
    Atomics.add(this.version, 0, 1);
    for (let row = 0; row < this.count; row++) this.locations.release(this.word(row, location));
    this.count = 0;
    this.rows = newRows(minRows);
    this.slots = newSlots(minRows);
    Atomics.add(this.version, 0, 1);
  }

  private pack(rows: readonly number[]): PackedRows {
    const packed = new Uint32Array(rows.length * wordsPerRow);
    const places: Location[] = [];
    const indexes = new Map<number, number>();
    for (const [i, row] of rows.entries()) {
      const at = i * wordsPerRow;
      packed.set(this.rows.subarray(row * wordsPerRow, (row + 1) * wordsPerRow), at);
      const id = this.word(row, location);
      let index = indexes.get(id);
      if (index === undefined) {
        index = places.push(this.locations.get(id)) - 1;
        indexes.set(id, index);
      }
      packed[at + location] = index;
    }
    return { rows: packed, places };
  }

  /** The row of a key, whose location is released or not set yet. @param row where it is, below 0: nowhere */
  private rowFor(words: KeyWords, row: number): number {
    if (row >= 0) {
      this.locations.release(this.word(row, location));
      return row;
    }
    const added = this.count;
    this.count += 1;
    if (this.count * wordsPerRow > this.rows.length) this.growRows();
    this.rows.set(words, added * wordsPerRow);
    if (this.count > this.slots.length * maxLoad) this.growSlots();
    else insert(this.columns, added);
    return added;
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
      this.key.set(ipToWords(key.ip));
      return this.key;
    }
    const [high, low] = macToWords(key.mac);
    this.key.set([macPrefix, 0, high, low]);
    return this.key;
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
