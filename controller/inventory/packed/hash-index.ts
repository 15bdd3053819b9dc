// Ids by the hash of their key, which the rows have: the index has nothing but hashes and ids. Segments fill up and split one by
// one (extendible hashing), so that no insertion pays for a rehash of millions.

const firstSlots = 8;
const maxSlots = 1_024;
/** Of a segment's slots, above which it grows or splits. */
const maxFill = 0.8;

interface Segment {
  /** By open addressing with linear probing: a hash, and beside it an id plus one; 0 is empty. */
  slots: Int32Array;
  count: number;
  /** Leading bits of the hash that all its ids share. */
  readonly depth: number;
}

const newSegment = (depth: number, slots: number): Segment => ({ slots: new Int32Array(2 * slots), count: 0, depth });

export class HashIndex {
  /** By the first `depth` bits of a hash. */
  private directory: Segment[] = [];
  private depth = 0;
  /** Of the search that `first` began. */
  private slots: Int32Array = noSlots;
  private sought = 0;
  private at = 0;

  /** @returns an id with the hash, or -1; `next` has the others */
  first(hash: number): number {
    const segment = this.directory[this.placeOf(hash)];
    if (!segment) return -1;
    const { slots } = segment;
    this.slots = slots;
    this.sought = hash;
    this.at = (2 * hash) & (slots.length - 1);
    return this.current();
  }

  /** The next id of the search that the last call of `first` began; -1 at its end. The index must not have changed since. */
  next(): number {
    this.at = (this.at + 2) & (this.slots.length - 1);
    return this.current();
  }

  add(hash: number, id: number): void {
    put(this.segmentFor(hash), hash, id + 1);
  }

  /** Once, where it was added more than once. */
  delete(hash: number, id: number): void {
    const segment = this.directory[this.placeOf(hash)];
    if (!segment) return;
    const { slots } = segment;
    const mask = slots.length - 1;
    let hole = (2 * hash) & mask;
    while (slots[hole + 1] !== id + 1) {
      if (slots[hole + 1] === 0) return;
      hole = (hole + 2) & mask;
    }
    segment.count -= 1;
    // Ids behind the hole move up if they may stand there: no search ends at the hole before it finds them.
    for (let at = (hole + 2) & mask; ; at = (at + 2) & mask) {
      const other = slots[at + 1] ?? 0;
      if (other === 0) break;
      const hashThere = slots[at] ?? 0;
      const home = (2 * hashThere) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = hashThere;
      slots[hole + 1] = other;
      hole = at;
    }
    slots[hole + 1] = 0;
  }

  private current(): number {
    const { slots, sought } = this;
    const mask = slots.length - 1;
    for (let at = this.at; ; at = (at + 2) & mask) {
      const id = slots[at + 1] ?? 0;
      if (id !== 0 && slots[at] !== sought) continue;
      this.at = at;
      return id - 1;
    }
  }

  private placeOf(hash: number): number {
    return this.depth === 0 ? 0 : hash >>> (32 - this.depth);
  }

  /** With room for one more. */
  private segmentFor(hash: number): Segment {
    for (;;) {
      const segment = this.directory[this.placeOf(hash)];
      if (!segment) this.directory = [newSegment(0, firstSlots)];
      else if (2 * (segment.count + 1) <= segment.slots.length * maxFill) return segment;
      else if (segment.slots.length < 2 * maxSlots || segment.depth === maxDepth) enlarge(segment);
      else this.split(segment);
    }
  }

  private split(segment: Segment): void {
    if (segment.depth === this.depth) {
      this.directory = this.directory.flatMap((each) => [each, each]);
      this.depth += 1;
    }
    const depth = segment.depth + 1;
    const halves = [newSegment(depth, maxSlots), newSegment(depth, maxSlots)] as const;
    each(segment.slots, (hash, id) => put(halfOf(halves, hash, depth), hash, id));
    for (const [i, standing] of this.directory.entries()) {
      if (standing === segment) this.directory[i] = halfOf(halves, i << (32 - this.depth), depth);
    }
  }
}

const noSlots = new Int32Array(2);
/** Equal hashes cannot be split: a segment of them grows instead. */
const maxDepth = 20;

function halfOf([zero, one]: readonly [Segment, Segment], hash: number, depth: number): Segment {
  return ((hash >>> (32 - depth)) & 1) === 0 ? zero : one;
}

function enlarge(segment: Segment): void {
  const { slots } = segment;
  segment.slots = new Int32Array(slots.length * 2);
  segment.count = 0;
  each(slots, (hash, id) => put(segment, hash, id));
}

/** @param visit hears of each hash and id plus one */
function each(slots: Int32Array, visit: (hash: number, id: number) => void): void {
  for (let at = 0; at < slots.length; at += 2) {
    const id = slots[at + 1] ?? 0;
    if (id !== 0) visit(slots[at] ?? 0, id);
  }
}

/** @param id plus one */
function put(segment: Segment, hash: number, id: number): void {
  const { slots } = segment;
  const mask = slots.length - 1;
  let at = (2 * hash) & mask;
  while (slots[at + 1] !== 0) at = (at + 2) & mask;
  slots[at] = hash;
  slots[at + 1] = id;
  segment.count += 1;
}
