// Which offsets of a subnet are taken: a set of whole numbers that finds the next one it lacks without looking at those
// it has. Level 0 has a bit for each number; each level above has a bit for each word below that is full.

const wordBits = 32;
const full = 0xffff_ffff;
/** Levels of 32-bit words over 2^50 numbers. */
const levelCount = 10;

/** One more than the largest number. */
export const offsetLimit = 2 ** 48;

export class OffsetSet {
  private readonly levels = Array.from({ length: levelCount }, () => new Map<number, number>());
  private count = 0;

  get size(): number {
    return this.count;
  }

  has(offset: number): boolean {
    return (this.word(0, wordOf(offset)) & bitOf(offset)) !== 0;
  }

  add(offset: number): void {
    if (this.has(offset)) return;
    this.count += 1;
    let at = offset;
    for (const level of this.levels) {
      const word = (level.get(wordOf(at)) ?? 0) | bitOf(at);
      level.set(wordOf(at), word);
      if (word >>> 0 !== full) return;
      at = wordOf(at);
    }
  }

  delete(offset: number): void {
    if (!this.has(offset)) return;
    this.count -= 1;
    let at = offset;
    for (const level of this.levels) {
      const was = level.get(wordOf(at)) ?? 0;
      const word = was & ~bitOf(at);
      if (word === 0) level.delete(wordOf(at));
      else level.set(wordOf(at), word);
      if (was >>> 0 !== full) return;
      at = wordOf(at);
    }
  }

  /** The least number ≥ `from` that is not in the set. */
  nextFree(from: number): number {
    let at = from;
    let level = 0;
    for (;;) {
      const free = ~this.word(level, wordOf(at)) & (full << (at % wordBits));
      if (free !== 0) {
        at = wordOf(at) * wordBits + lowestBit(free);
        if (level === 0) return at;
        level -= 1;
        at *= wordBits;
      } else {
        at = wordOf(at) + 1;
        level += 1;
      }
    }
  }

  private word(level: number, index: number): number {
    return this.levels[level]?.get(index) ?? 0;
  }
}

/** Not by shifting: that would cut to 32 bits. */
const wordOf = (offset: number): number => Math.floor(offset / wordBits);
const bitOf = (offset: number): number => 1 << (offset % wordBits);
const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);
