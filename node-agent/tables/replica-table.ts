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
import { keyAt, ReplicaPart } from "./replica-part.ts";
import {
  flagBits,
  hashOf,
  indexOf,
  type KeyWords,
  keyWords,
  localFlag,
  location,
  macHighAndFlags,
  macLow,
  macPrefix,
  revisionHighBits,
  revisionLow,
  routerFlag,
  type SharedTable,
  wordsPerRow,
} from "./replica-rows.ts";

/** Rows beside their table: what stands for a location is its index in `places`. */
export interface PackedRows {
  readonly rows: Uint32Array;
  readonly places: readonly Location[];
}

interface Place {
  readonly part: ReplicaPart;
  readonly row: number;
}

/** A key as words, in rows of `keyWords`. */
export type PackedKeys = Uint32Array;

export class ReplicaTable {
  /** By the first bits of a key's hash; neighbours may be one part. */
  private index: ReplicaPart[];
  /** Each once, a divided one before what has left it. */
  private parts: ReplicaPart[];
  private count = 0;
  /** Bindings here by the number of their location. */
  private uses: number[] = [];
  /** A part has other buffers. */
  private hasMoved = false;
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
  ) {
    this.parts = [new ReplicaPart(seed)];
    this.index = [...this.parts];
  }

  /** For another thread, until the table or its locations have other buffers. */
  get shared(): SharedTable {
    // A message to the thread keeps what is one object one object.
    const buffers = new Map(this.parts.map((part) => [part, { rows: part.rows, slots: part.slots }]));
    const parts = this.index.map((part) => buffers.get(part) ?? part);
    return { parts, seed: this.seed, version: this.version, locations: this.locations.shared };
  }

  /** Keys with a binding. */
  get size(): number {
    return this.count;
  }

  get bytes(): number {
    return this.parts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** What is registered under the key. */
  find(key: BindingKey): Answer | undefined {
    const { part, row } = this.seek(this.wordsOf(key));
    return row < 0 ? undefined : { key, ...this.valueOf(part, row) };
  }

  /** The revision of what is registered under the key. */
  revisionOf(key: BindingKey): Revision | undefined {
    const { part, row } = this.seek(this.wordsOf(key));
    return row < 0 ? undefined : revisionAt(part, row);
  }

  /** A binding replaces the one of its key, a tombstone removes it. */
  take(answer: Answer): void {
    this.change(() => this.write(answer));
  }

  private write({ key, revision, binding }: Answer): void {
    const words = this.wordsOf(key);
    if (!binding) {
      this.remove(words);
      return;
    }
    const place = this.retain(binding);
    const { part, row } = this.rowFor(words);
    const [high, low] = macToWords(binding.mac);
    const flags = (binding.router ? routerFlag : 0) | (binding.local ? localFlag : 0);
    const at = row * wordsPerRow;
    part.rows[at + macLow] = low;
    part.rows[at + macHighAndFlags] = (high << 16) | (Math.floor(revision / 2 ** 32) << flagBits) | flags;
    part.rows[at + location] = place;
    part.rows[at + revisionLow] = revision % 2 ** 32;
  }

  /**
   * In no particular order, each as of its turn. None is left out that is there from the first to the last of them: a removed row is
   * replaced by the last one of its part, which was listed before. Some come twice if the table grows under it: what leaves a part that is divided comes last.
   */
  *answers(): Generator<Answer> {
    for (const part of this.parts)
      for (let row = part.count - 1; row >= 0; row--)
        if (row < part.count) yield { key: this.keyOf(part, row), ...this.valueOf(part, row) };
  }

  /** All rows, at most `maxRows` at a time, each as of its turn. The same are among them as among `answers`. */
  *lots(maxRows: number): Generator<PackedRows, void> {
    for (const part of this.parts) {
      for (let end = part.count; end > 0; end = Math.min(end, part.count)) {
        const from = Math.max(0, end - maxRows);
        yield this.pack(Array.from({ length: end - from }, (_, i) => ({ part, row: from + i })));
        end = from;
      }
    }
  }

  /** What is there of these keys, and which of them are not. */
  packed(keys: readonly BindingKey[]): { readonly found: PackedRows; readonly missing: PackedKeys } {
    const rows: Place[] = [];
    const missing: number[] = [];
    for (const key of keys) {
      const words = this.wordsOf(key);
      const place = this.seek(words);
      if (place.row >= 0) rows.push(place);
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
      for (let at = 0; at + keyWords <= keys.length; at += keyWords) this.remove(keys.subarray(at, at + keyWords));
    });
  }

  /** Another thread that reads at that time sees that, and reads again. */
  private change(work: () => void): void {
    Atomics.add(this.version, 0, 1);
    try {
      work();
    } finally {
      if (this.hasMoved) this.onMoved();
      this.hasMoved = false;
      Atomics.add(this.version, 0, 1);
    }
  }

  private writeRows({ rows, places }: PackedRows): void {
    for (let at = 0; at < rows.length; at += wordsPerRow) {
      const words = rows.subarray(at, at + wordsPerRow);
      const place = places[words[location] ?? 0];
      if (!place || words.length < wordsPerRow) throw new RangeError("a row without a location");
      const id = this.retain(place);
      const { part, row } = this.rowFor(words.subarray(0, keyWords));
      part.rows.set(words, row * wordsPerRow);
      part.rows[row * wordsPerRow + location] = id;
    }
  }

  /** The table is no longer used. */
  clear(): void {
    Atomics.add(this.version, 0, 1);
    this.uses.forEach((bindings, id) => {
      this.locations.release(id, bindings);
    });
    this.uses = [];
    this.count = 0;
    this.parts = [new ReplicaPart(this.seed)];
    this.index = [...this.parts];
    Atomics.add(this.version, 0, 1);
  }

  private pack(places: readonly Place[]): PackedRows {
    const packed = new Uint32Array(places.length * wordsPerRow);
    const locations: Location[] = [];
    const indexes = new Map<number, number>();
    for (const [i, { part, row }] of places.entries()) {
      const at = i * wordsPerRow;
      packed.set(part.rows.subarray(row * wordsPerRow, (row + 1) * wordsPerRow), at);
      const id = wordAt(part, row, location);
      let index = indexes.get(id);
      if (index === undefined) {
        index = locations.push(this.locations.get(id)) - 1;
        indexes.set(id, index);
      }
      packed[at + location] = index;
    }
    return { rows: packed, places: locations };
  }

  /** Where a key is; its row is below 0: nowhere. */
  private seek(words: KeyWords): Place {
    const hash = hashOf(this.seed, words, 0);
    const part = this.partOf(hash);
    return { part, row: part.find(hash, words) };
  }

  private partOf(hash: number): ReplicaPart {
    return this.index[indexOf(hash, this.index.length)] as ReplicaPart;
  }

  /** The row of a key, whose location is released or not set yet. */
  private rowFor(words: KeyWords): Place {
    const found = this.seek(words);
    if (found.row >= 0) {
      this.release(wordAt(found.part, found.row, location));
      return found;
    }
    const part = found.part.isFull ? this.split(found.part, hashOf(this.seed, words, 0)) : found.part;
    const { rows, slots } = part;
    const row = part.add(words);
    this.hasMoved ||= rows !== part.rows || slots !== part.slots;
    this.count += 1;
    return { part, row };
  }

  /** @returns the part that keys with the hash are in then, which has room */
  private split(part: ReplicaPart, hash: number): ReplicaPart {
    if (2 ** part.depth === this.index.length) this.index = this.index.flatMap((each) => [each, each]);
    const other = part.split();
    this.parts.push(other);
    // The later half of what was the part's.
    const from = this.index.indexOf(part);
    const length = this.index.length / 2 ** part.depth;
    this.index.fill(other, from + length, from + 2 * length);
    this.hasMoved = true;
    const now = this.partOf(hash);
    return now.isFull ? this.split(now, hash) : now;
  }

  private remove(words: KeyWords): void {
    const { part, row } = this.seek(words);
    if (row < 0) return;
    this.release(wordAt(part, row, location));
    part.delete(row);
    this.count -= 1;
  }

  private retain(place: Location): number {
    const id = this.locations.retain(place);
    this.uses[id] = (this.uses[id] ?? 0) + 1;
    return id;
  }

  private release(id: number): void {
    this.locations.release(id);
    this.uses[id] = (this.uses[id] ?? 0) - 1;
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

  private keyOf(part: ReplicaPart, row: number): BindingKey {
    const { vni } = this;
    const [a = 0, b = 0, c = 0, d = 0] = keyAt(part, row);
    return a === macPrefix
      ? { kind: "mac", vni, mac: wordsToMac(c, d) }
      : { kind: "ip", vni, ip: wordsToIp(a, b, c, d) };
  }

  private valueOf(
    part: ReplicaPart,
    row: number,
  ): Omit<Answer, "key" | "binding"> & { readonly binding: NonNullable<Answer["binding"]> } {
    const flags = wordAt(part, row, macHighAndFlags);
    return {
      revision: revisionAt(part, row),
      binding: {
        mac: wordsToMac(flags >>> 16, wordAt(part, row, macLow)),
        ...this.locations.get(wordAt(part, row, location)),
        ...((flags & localFlag) === 0 ? {} : { local: true as const }),
        ...((flags & routerFlag) === 0 ? {} : { router: true as const }),
      },
    };
  }
}

const wordAt = ({ rows }: ReplicaPart, row: number, field: number): number => rows[row * wordsPerRow + field] ?? 0;

function revisionAt(part: ReplicaPart, row: number): Revision {
  const high = (wordAt(part, row, macHighAndFlags) >>> flagBits) & ((1 << revisionHighBits) - 1);
  return parseRevision(high * 2 ** 32 + wordAt(part, row, revisionLow));
}
