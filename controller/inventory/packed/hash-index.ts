// Ids by the hash of their key, which the rows have: the index has nothing but hashes and ids. Segments fill up and split one by
// one (extendible hashing), so that no insertion pays for a rehash of millions. They lie side by side in blocks: a look-up reads
// the directory and the slot, and no object in between.

const firstSlots = 8;
/** Of a segment, as a power of two. */
const segmentBits = 10;
const maxSlots = 1 << segmentBits;
/** Of a segment's slots, above which it splits. */
const maxFill = 0.8;
/** … which few segments of spread hashes exceed if their average is this. */
const reservedFill = 0.75;
/** Segments of a block, as a power of two. */
const blockBits = 5;
const inBlock = (1 << blockBits) - 1;
/** Numbers of a segment, as a power of two: two for each slot. */
const stepBits = segmentBits + 1;
/** Equal hashes cannot be split: what is too much for a segment of them is in `spilled`. */
const maxDepth = 20;
/** Numbers that `collect` takes at a time. */
const collectedLength = 1 << 15;

const empty = new Int32Array(0);

export class HashIndex {
  /** Segments by the first `depth` bits of a hash. */
  private directory: number[] = [0];
  private depth = 0;
  /** Slots by open addressing with linear probing: a hash, and beside it an id plus one; 0 is empty. */
  private blocks: Int32Array[] = [];
  /** Of each segment: its ids, and how many leading bits of the hash they share. */
  private readonly counts: number[] = [0];
  private readonly depths: number[] = [0];
  /** Last number of a segment: the only one is smaller at first. */
  private mask = 2 * firstSlots - 1;
  /** Hashes and ids for which their segment has no room. */
  private readonly spilled: number[] = [];
  private ids = 0;
  /** What is added before `build`: hashes and ids, in blocks that are filled one by one. */
  private collected: Int32Array[] | undefined;
  private collectedInBlock = 0;
  /** Of the search that `first` began: where it is in its segment, or in `spilled`. */
  private block: Int32Array = empty;
  private base = 0;
  private sought = 0;
  private at = 0;
  private atSpilled = -1;

  get size(): number {
    return this.ids;
  }

  /** @returns an id with the hash, or -1; `next` has the others */
  first(hash: number): number {
    if (this.ids === 0) return this.end();
    const segment = this.segmentOf(hash);
    this.block = this.blocks[segment >>> blockBits] ?? empty;
    this.base = (segment & inBlock) << stepBits;
    this.sought = hash;
    this.at = (2 * hash) & this.mask;
    this.atSpilled = -1;
    return this.current();
  }

  /** The next id of the search that the last call of `first` began; -1 at its end. The index must not have changed since. */
  next(): number {
    if (this.atSpilled >= 0) return this.nextSpilled();
    this.at = (this.at + 2) & this.mask;
    return this.current();
  }

  add(hash: number, id: number): void {
    if (this.collected) {
      this.keep(this.collected, hash, id);
      return;
    }
    this.ids += 1;
    const segment = this.segmentFor(hash);
    if (segment < 0) this.spilled.push(hash, id);
    else this.put(segment, hash, id + 1);
  }

  /** Once, where it was added more than once. */
  delete(hash: number, id: number): void {
    if (this.ids === 0) return;
    const segment = this.segmentOf(hash);
    const block = this.blocks[segment >>> blockBits] ?? empty;
    const base = (segment & inBlock) << stepBits;
    const { mask } = this;
    let hole = (2 * hash) & mask;
    while (block[base + hole + 1] !== id + 1) {
      if (block[base + hole + 1] === 0) {
        this.deleteSpilled(hash, id);
        return;
      }
      hole = (hole + 2) & mask;
    }
    this.ids -= 1;
    this.counts[segment] = (this.counts[segment] ?? 0) - 1;
    // Ids behind the hole move up if they may stand there: no search ends at the hole before it finds them.
    for (let at = (hole + 2) & mask; ; at = (at + 2) & mask) {
      const other = block[base + at + 1] ?? 0;
      if (other === 0) break;
      const hashThere = block[base + at] ?? 0;
      const home = (2 * hashThere) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      block[base + hole] = hashThere;
      block[base + hole + 1] = other;
      hole = at;
    }
    block[base + hole + 1] = 0;
  }

  /** For an empty index: what is added is not found, and must not be deleted, before `build`. */
  collect(): void {
    this.collected = [];
    this.collectedInBlock = collectedLength;
  }

  /** Puts what was collected into segments of their final number: as long as hashes are spread, none is split on the way. */
  build(): void {
    const { collected = [], collectedInBlock } = this;
    this.collected = undefined;
    this.reserve(Math.max(0, (collected.length - 1) * collectedLength + collectedInBlock) / 2);
    for (const [i, block] of collected.entries()) {
      const end = i === collected.length - 1 ? collectedInBlock : collectedLength;
      for (let at = 0; at < end; at += 2) this.add(block[at] ?? 0, block[at + 1] ?? 0);
    }
  }

  private current(): number {
    const { block, base, sought, mask } = this;
    for (let at = this.at; ; at = (at + 2) & mask) {
      const id = block[base + at + 1] ?? 0;
      if (id !== 0 && block[base + at] !== sought) continue;
      this.at = at;
      if (id !== 0) return id - 1;
      if (this.spilled.length === 0) return this.end();
      return this.nextSpilled();
    }
  }

  private nextSpilled(): number {
    for (let at = Math.max(this.atSpilled, 0); at < this.spilled.length; at += 2) {
      if (this.spilled[at] !== this.sought) continue;
      this.atSpilled = at + 2;
      return this.spilled[at + 1] ?? -1;
    }
    return this.end();
  }

  /** A search that has ended does not begin again. */
  private end(): number {
    this.atSpilled = this.spilled.length;
    return -1;
  }

  private deleteSpilled(hash: number, id: number): void {
    for (let at = 0; at < this.spilled.length; at += 2) {
      if (this.spilled[at] !== hash || this.spilled[at + 1] !== id) continue;
      this.spilled.splice(at, 2);
      this.ids -= 1;
      return;
    }
  }

  private segmentOf(hash: number): number {
    return this.depth === 0 ? 0 : (this.directory[hash >>> (32 - this.depth)] ?? 0);
  }

  /** With room for one more; -1: none can be made. */
  private segmentFor(hash: number): number {
    for (;;) {
      const segment = this.segmentOf(hash);
      if (this.blocks.length === 0) this.reach(0);
      if (2 * ((this.counts[segment] ?? 0) + 1) <= (this.mask + 1) * maxFill) return segment;
      if (this.mask + 1 < 2 * maxSlots) this.enlarge();
      else if ((this.depths[segment] ?? 0) === maxDepth) return -1;
      else this.split(segment);
    }
  }

  /** @param id plus one */
  private put(segment: number, hash: number, id: number): void {
    const block = this.blocks[segment >>> blockBits] ?? empty;
    const base = (segment & inBlock) << stepBits;
    const { mask } = this;
    let at = (2 * hash) & mask;
    while (block[base + at + 1] !== 0) at = (at + 2) & mask;
    block[base + at] = hash;
    block[base + at + 1] = id;
    this.counts[segment] = (this.counts[segment] ?? 0) + 1;
  }

  /** While there is one segment. */
  private enlarge(): void {
    const slots = this.blocks[0] ?? empty;
    this.mask = 2 * this.mask + 1;
    this.blocks[0] = new Int32Array(this.mask + 1);
    this.counts[0] = 0;
    this.putAll(slots);
  }

  /** The segment keeps those whose next bit is 0. */
  private split(segment: number): void {
    const depth = (this.depths[segment] ?? 0) + 1;
    if (depth > this.depth) {
      this.directory = this.directory.flatMap((each) => [each, each]);
      this.depth += 1;
    }
    const other = this.counts.length;
    this.reach(other);
    this.depths[segment] = depth;
    this.counts.push(0);
    this.depths.push(depth);
    for (let i = 0; i < this.directory.length; i++) {
      if (this.directory[i] === segment && ((i >>> (this.depth - depth)) & 1) === 1) this.directory[i] = other;
    }
    const base = (segment & inBlock) << stepBits;
    const block = this.blocks[segment >>> blockBits] ?? empty;
    const slots = block.slice(base, base + 2 * maxSlots);
    block.fill(0, base, base + 2 * maxSlots);
    this.counts[segment] = 0;
    this.putAll(slots);
  }

  private putAll(slots: Int32Array): void {
    for (let at = 0; at < slots.length; at += 2) {
      const id = slots[at + 1] ?? 0;
      const hash = slots[at] ?? 0;
      if (id !== 0) this.put(this.segmentOf(hash), hash, id);
    }
  }

  /** Makes room for the segment. The first block doubles up to a whole one. */
  private reach(segment: number): void {
    const at = segment >>> blockBits;
    const end = ((segment & inBlock) << stepBits) + this.mask + 1;
    const block = this.blocks[at];
    if (!block) this.blocks[at] = new Int32Array(at === 0 ? end : 1 << (blockBits + stepBits));
    else if (end > block.length) {
      this.blocks[at] = new Int32Array(2 * block.length);
      this.blocks[at]?.set(block);
    }
  }

  private reserve(count: number): void {
    while (this.mask + 1 < 2 * maxSlots && count > ((this.mask + 1) / 2) * reservedFill) this.mask = 2 * this.mask + 1;
    while (count / 2 ** this.depth > maxSlots * reservedFill) this.depth += 1;
    this.depths[0] = this.depth;
    this.reach(0);
    for (let segment = 1; segment < 2 ** this.depth; segment++) {
      this.reach(segment);
      this.directory.push(segment);
      this.counts.push(0);
      this.depths.push(this.depth);
    }
  }

  private keep(blocks: Int32Array[], hash: number, id: number): void {
    if (this.collectedInBlock === collectedLength) {
      blocks.push(new Int32Array(collectedLength));
      this.collectedInBlock = 0;
    }
    const block = blocks[blocks.length - 1] ?? empty;
    block[this.collectedInBlock] = hash;
    block[this.collectedInBlock + 1] = id;
    this.collectedInBlock += 2;
  }
}
