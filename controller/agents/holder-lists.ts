// The holders of a key: hosts by id, each with a flag. One holder is in the number that stands for the list. More are in chunks,
// which lists of all lengths share, so that nothing is left over when lists grow; very many are in a sorted array of their own.
import { none, Rows } from "../inventory/packed/rows.ts";

/**
 * A list as a number: `none` is empty, from 0 on it is its only holder, below `none` it is more.
 * Each holder is an entry: its id, twice, plus one where it is flagged.
 */
export type HolderList = number;
export const emptyList: HolderList = none;

/** The chunk that was filled before; then the entries. Only the first chunk of a list has room. */
const previous = 0;
const chunkEntries = 5;
/** More than that are in an array: chunks are searched from end to end. */
const maxInChunks = 60;

/** Below `none`: chunks have even references, arrays odd ones. */
const refOf = (list: HolderList): number => -2 - list;
const listOf = (ref: number): HolderList => -2 - ref;
const isArray = (list: HolderList): boolean => list < none && (refOf(list) & 1) === 1;
const indexOf = (list: HolderList): number => refOf(list) >> 1;

const entryOf = (holder: number, isFlagged: boolean): number => (holder << 1) | (isFlagged ? 1 : 0);
const holderOf = (entry: number): number => entry >> 1;

export class HolderLists {
  private readonly chunks = new Rows(1 + chunkEntries);
  private readonly arrays: (SortedEntries | undefined)[] = [];
  private readonly freed: number[] = [];
  /** Of the entry that `locate` has found. */
  private foundChunk = none;
  private foundField = none;

  /** Whether the holder is flagged; undefined where it is not in the list. */
  find(list: HolderList, holder: number): boolean | undefined {
    const entry = this.entry(list, holder);
    return entry === none ? undefined : (entry & 1) === 1;
  }

  /** Adds the holder, or changes its flag. @returns the list in place of `list` */
  put(list: HolderList, holder: number, isFlagged: boolean): HolderList {
    const entry = entryOf(holder, isFlagged);
    if (list === emptyList || (list >= 0 && holderOf(list) === holder)) return entry;
    if (isArray(list)) {
      this.arrays[indexOf(list)]?.put(entry);
      return list;
    }
    if (list >= 0) return this.chunked([list, entry]);
    if (this.locate(list, holder) === none) return this.append(list, entry);
    this.chunks.set(this.foundChunk, this.foundField, entry);
    return list;
  }

  /** @returns the list in place of `list` */
  delete(list: HolderList, holder: number): HolderList {
    if (list >= 0) return holderOf(list) === holder ? emptyList : list;
    if (list === emptyList) return list;
    if (isArray(list)) return this.deleteOfArray(list, holder);
    return this.locate(list, holder) === none ? list : this.deleteFound(list);
  }

  *holdersIn(list: HolderList): Generator<number> {
    for (const entry of this.entries(list)) yield holderOf(entry);
  }

  size(list: HolderList): number {
    if (isArray(list)) return this.arrays[indexOf(list)]?.size ?? 0;
    let size = 0;
    for (const _ of this.entries(list)) size += 1;
    return size;
  }

  private *entries(list: HolderList): Generator<number> {
    if (list === emptyList) return;
    if (list >= 0) yield list;
    else if (isArray(list)) yield* this.arrays[indexOf(list)]?.values() ?? [];
    else {
      for (let chunk = indexOf(list); chunk !== none; chunk = this.chunks.get(chunk, previous)) {
        for (let field = 1; field <= chunkEntries; field++) {
          const entry = this.chunks.get(chunk, field);
          if (entry === none) break;
          yield entry;
        }
      }
    }
  }

  private entry(list: HolderList, holder: number): number {
    if (list >= 0) return holderOf(list) === holder ? list : none;
    if (list === emptyList) return none;
    if (isArray(list)) return this.arrays[indexOf(list)]?.find(holder) ?? none;
    return this.locate(list, holder);
  }

  /** The holder's entry in a list of chunks, or `none`. Sets `foundChunk` and `foundField`. */
  private locate(list: HolderList, holder: number): number {
    for (let chunk = indexOf(list); chunk !== none; ) {
      const block = this.chunks.block(chunk);
      const offset = this.chunks.offset(chunk);
      for (let field = 1; field <= chunkEntries; field++) {
        const entry = block[offset + field] ?? none;
        if (entry === none) break;
        if (holderOf(entry) !== holder) continue;
        this.foundChunk = chunk;
        this.foundField = field;
        return entry;
      }
      chunk = block[offset + previous] ?? none;
    }
    return none;
  }

  private append(list: HolderList, entry: number): HolderList {
    const first = indexOf(list);
    for (let field = 1; field <= chunkEntries; field++) {
      if (this.chunks.get(first, field) !== none) continue;
      this.chunks.set(first, field, entry);
      return list;
    }
    if (this.countFull(first) < maxInChunks) return listOf(this.newChunk(first, entry) << 1);
    const entries = [...this.entries(list), entry];
    this.freeChunks(list);
    return this.arrayOf(entries);
  }

  /** Entries of chunks that are all full. */
  private countFull(first: number): number {
    let count = 0;
    for (let chunk = first; chunk !== none; chunk = this.chunks.get(chunk, previous)) count += chunkEntries;
    return count;
  }

  /** Deletes what `locate` has found: the last entry of the first chunk takes its place. */
  private deleteFound(list: HolderList): HolderList {
    const first = indexOf(list);
    let last = chunkEntries;
    while (this.chunks.get(first, last) === none) last -= 1;
    this.chunks.set(this.foundChunk, this.foundField, this.chunks.get(first, last));
    this.chunks.set(first, last, none);
    const before = this.chunks.get(first, previous);
    if (last === 1) {
      this.chunks.delete(first);
      return listOf(before << 1);
    }
    if (last > 2 || before !== none) return list;
    const only = this.chunks.get(first, 1);
    this.chunks.delete(first);
    return only;
  }

  private deleteOfArray(list: HolderList, holder: number): HolderList {
    const array = this.arrays[indexOf(list)];
    array?.delete(holder);
    if (!array || array.size > maxInChunks / 2) return list;
    this.arrays[indexOf(list)] = undefined;
    this.freed.push(indexOf(list));
    return this.chunked([...array.values()]);
  }

  private chunked(entries: readonly number[]): HolderList {
    let list = emptyList;
    for (const entry of entries) {
      list = list === emptyList ? listOf(this.newChunk(none, entry) << 1) : this.append(list, entry);
    }
    return list;
  }

  private newChunk(before: number, entry: number): number {
    const chunk = this.chunks.add();
    this.chunks.set(chunk, previous, before);
    this.chunks.set(chunk, 1, entry);
    for (let field = 2; field <= chunkEntries; field++) this.chunks.set(chunk, field, none);
    return chunk;
  }

  private freeChunks(list: HolderList): void {
    for (let chunk = indexOf(list); chunk !== none; ) {
      const before = this.chunks.get(chunk, previous);
      this.chunks.delete(chunk);
      chunk = before;
    }
  }

  private arrayOf(entries: readonly number[]): HolderList {
    const at = this.freed.pop() ?? this.arrays.length;
    this.arrays[at] = new SortedEntries(entries);
    return listOf((at << 1) | 1);
  }
}

class SortedEntries {
  private entries: Int32Array;
  private count: number;

  constructor(entries: readonly number[]) {
    this.entries = Int32Array.from(entries).sort();
    this.count = entries.length;
  }

  get size(): number {
    return this.count;
  }

  /** The holder's entry, or `none`. */
  find(holder: number): number {
    const at = this.positionOf(holder);
    const entry = at < this.count ? (this.entries[at] ?? none) : none;
    return entry !== none && holderOf(entry) === holder ? entry : none;
  }

  put(entry: number): void {
    const at = this.positionOf(holderOf(entry));
    if (this.find(holderOf(entry)) === none) {
      if (this.count === this.entries.length) this.entries = enlarged(this.entries);
      this.entries.copyWithin(at + 1, at, this.count);
      this.count += 1;
    }
    this.entries[at] = entry;
  }

  delete(holder: number): void {
    if (this.find(holder) === none) return;
    const at = this.positionOf(holder);
    this.entries.copyWithin(at, at + 1, this.count);
    this.count -= 1;
  }

  values(): Iterable<number> {
    return this.entries.subarray(0, this.count);
  }

  /** Of the first one that is the holder's or comes behind it. */
  private positionOf(holder: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holderOf(this.entries[middle] ?? 0) < holder) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function enlarged(entries: Int32Array): Int32Array {
  const made = new Int32Array(Math.ceil(entries.length * 1.25));
  made.set(entries);
  return made;
}
