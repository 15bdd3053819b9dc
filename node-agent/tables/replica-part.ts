// Some of the rows of a network in memory: so few that any change of one takes well below a millisecond, also where its buffers grow
// or it is divided. No I/O.
import {
  findRow,
  hashOf,
  insert,
  type KeyWords,
  keyWords,
  type Part,
  remove,
  slotOf,
  wordsPerRow,
} from "./replica-rows.ts";

const minRows = 16;
/** Then it is divided. Copying so many rows takes some 50 µs, putting them into an index some 200. */
const maxRows = 4_096;
/** Beyond, a part grows: only hashes that are not random come so far. */
const maxDepth = 16;
/** The index is this part full at most, and at least seven tenths of that. */
const maxLoad = 0.8;

const newRows = (rows: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(rows * wordsPerRow * 4));
const newSlots = (rows: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(Math.ceil(rows / maxLoad) * 4));

export class ReplicaPart implements Part {
  rows: Uint32Array;
  slots = newSlots(minRows);
  /** Rows with a key, from the first on. */
  count = 0;

  /** @param depth how many first bits the hashes of all its keys share */
  constructor(
    private readonly seed: number,
    public depth = 0,
    capacity = minRows,
  ) {
    this.rows = newRows(capacity);
  }

  get bytes(): number {
    return this.rows.byteLength + this.slots.byteLength;
  }

  get isFull(): boolean {
    return this.count >= maxRows && this.depth < maxDepth;
  }

  /** @returns below 0: there is none */
  find(hash: number, words: KeyWords): number {
    return findRow(this, hash, words);
  }

  /** @param words of a key that is not here. @returns its row, of which nothing else is set */
  add(words: KeyWords): number {
    const added = this.append(words);
    if (this.count <= this.slots.length * maxLoad) insert(this, this.seed, added);
    else this.makeIndex();
    return added;
  }

  /** The last row takes its place. */
  delete(row: number): void {
    remove(this, this.seed, row);
    this.count -= 1;
    const last = this.count;
    if (row === last) return;
    const slot = slotOf(this, this.seed, last);
    this.rows.copyWithin(row * wordsPerRow, last * wordsPerRow, (last + 1) * wordsPerRow);
    this.slots[slot] = row + 1;
  }

  /** The keys with the next bit leave for another part. Those that stay keep their order. */
  split(): ReplicaPart {
    this.depth += 1;
    const bit = 2 ** (32 - this.depth);
    const { rows, count } = this;
    // Half of them, as a rule.
    const capacity = Math.ceil((count * 33) / 64);
    const other = new ReplicaPart(this.seed, this.depth, capacity);
    this.rows = newRows(capacity);
    this.count = 0;
    for (let row = 0; row < count; row++) {
      const words = rows.subarray(row * wordsPerRow, (row + 1) * wordsPerRow);
      const part = (hashOf(this.seed, words, 0) & bit) === 0 ? this : other;
      part.append(words);
    }
    this.makeIndex();
    other.makeIndex();
    return other;
  }

  /** @param words a key, or a whole row */
  private append(words: Uint32Array): number {
    const added = this.count;
    this.count += 1;
    if (this.count * wordsPerRow > this.rows.length) {
      // By little at a time: copying a row sixteen times takes less than putting it in once.
      const rows = newRows(Math.max(minRows, Math.ceil(this.count * (1 + 1 / 16))));
      rows.set(this.rows);
      this.rows = rows;
    }
    this.rows.set(words, added * wordsPerRow);
    return added;
  }

  private makeIndex(): void {
    this.slots = newSlots(Math.max(minRows, Math.ceil(this.count * (1 + 1 / 8))));
    for (let row = 0; row < this.count; row++) insert(this, this.seed, row);
  }
}

export const keyAt = ({ rows }: Part, row: number): KeyWords =>
  rows.subarray(row * wordsPerRow, row * wordsPerRow + keyWords);
