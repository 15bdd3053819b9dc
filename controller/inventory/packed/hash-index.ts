// Ids by the hash of their key, which the rows have: the index has nothing but ids. Segments fill up and split one by one
// (extendible hashing), so that no insertion pays for a rehash of millions.

const firstSlots = 8;
const maxSlots = 2_048;
/** Of a segment's slots, above which it grows or splits. */
const maxFill = 0.8;

interface Segment {
  /** Ids plus one by open addressing with linear probing; 0 is empty. */
  slots: Int32Array;
  count: number;
  /** Leading bits of the hash that all its ids share. */
  readonly depth: number;
}

const newSegment = (depth: number, slots: number): Segment => ({ slots: new Int32Array(slots), count: 0, depth });

export class HashIndex {
  /** By the first `depth` bits of a hash. */
  private directory: Segment[] = [];
  private depth = 0;
  /** Of the search that `first` began. */
  private slots: Int32Array = noSlots;
  private slot = 0;

  /** @param hashOf the hash of an id's key, 32 bits; two ids may have the same key */
  constructor(private readonly hashOf: (id: number) => number) {}

  /** @returns an id that may have the key, or -1; `next` has the others */
  first(hash: number): number {
    const segment = this.directory[this.placeOf(hash)];
    if (!segment) return -1;
    this.slots = segment.slots;
    this.slot = hash & (this.slots.length - 1);
    return (this.slots[this.slot] ?? 0) - 1;
  }

  /** The next id of the search that the last call of `first` began; -1 at its end. The index must not have changed since. */
  next(): number {
    this.slot = (this.slot + 1) & (this.slots.length - 1);
    return (this.slots[this.slot] ?? 0) - 1;
  }

  add(hash: number, id: number): void {
    const segment = this.segmentFor(hash);
    put(segment, hash, id);
  }

  /** Once, where it was added more than once. */
  delete(hash: number, id: number): void {
    const segment = this.directory[this.placeOf(hash)];
    if (!segment) return;
    const { slots } = segment;
    const mask = slots.length - 1;
    let hole = hash & mask;
    while (slots[hole] !== id + 1) {
      if (slots[hole] === 0) return;
      hole = (hole + 1) & mask;
    }
    segment.count -= 1;
    // Ids behind the hole move up if they may stand there: no search ends at the hole before it finds them.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const other = slots[at] ?? 0;
      if (other === 0) break;
      const home = this.hashOf(other - 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = other;
      hole = at;
    }
    slots[hole] = 0;
  }

  private placeOf(hash: number): number {
    return this.depth === 0 ? 0 : hash >>> (32 - this.depth);
  }

  /** With room for one more. */
  private segmentFor(hash: number): Segment {
    for (;;) {
      const segment = this.directory[this.placeOf(hash)];
      if (!segment) this.directory = [newSegment(0, firstSlots)];
      else if (segment.count + 1 <= segment.slots.length * maxFill) return segment;
      else if (segment.slots.length < maxSlots || segment.depth === maxDepth) this.enlarge(segment);
      else this.split(segment);
    }
  }

  private enlarge(segment: Segment): void {
    const ids = segment.slots;
    segment.slots = new Int32Array(ids.length * 2);
    segment.count = 0;
    for (const id of ids) if (id !== 0) put(segment, this.hashOf(id - 1), id - 1);
  }

  private split(segment: Segment): void {
    if (segment.depth === this.depth) {
      this.directory = this.directory.flatMap((each) => [each, each]);
      this.depth += 1;
    }
    const depth = segment.depth + 1;
    const halves = [newSegment(depth, maxSlots), newSegment(depth, maxSlots)] as const;
    for (const id of segment.slots) {
      if (id === 0) continue;
      const hash = this.hashOf(id - 1);
      put(halfOf(halves, hash, depth), hash, id - 1);
    }
    for (const [i, each] of this.directory.entries()) {
      if (each === segment) this.directory[i] = halfOf(halves, i << (32 - this.depth), depth);
    }
  }
}

const noSlots = new Int32Array(1);
/** Equal hashes cannot be split: a segment of them grows instead. */
const maxDepth = 20;

function halfOf([zero, one]: readonly [Segment, Segment], hash: number, depth: number): Segment {
  return ((hash >>> (32 - depth)) & 1) === 0 ? zero : one;
}

function put(segment: Segment, hash: number, id: number): void {
  const { slots } = segment;
  const mask = slots.length - 1;
  let at = hash & mask;
  while (slots[at] !== 0) at = (at + 1) & mask;
  slots[at] = id + 1;
  segment.count += 1;
}
