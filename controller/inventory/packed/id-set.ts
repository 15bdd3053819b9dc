// A set of ids of rows: one bit for each id up to the largest.

const firstWords = 32;

export class IdSet {
  private words = new Int32Array(0);

  has(id: number): boolean {
    return id >= 0 && ((this.words[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;
  }

  /** In order, as they are when they are read. */
  *[Symbol.iterator](): Generator<number, void, void> {
    for (let at = 0; at < this.words.length; at++) {
      for (let bit = 0; this.words[at] !== 0 && bit < 32; bit++) if (this.has(32 * at + bit)) yield 32 * at + bit;
    }
  }

  add(id: number): void {
    const at = id >>> 5;
    if (at >= this.words.length) {
      const larger = new Int32Array(Math.max(firstWords, 2 ** Math.ceil(Math.log2(at + 1))));
      larger.set(this.words);
      this.words = larger;
    }
    this.words[at] = (this.words[at] ?? 0) | (1 << (id & 31));
  }

  /** `none` is in no set. */
  delete(id: number): void {
    const at = id >>> 5;
    if (id >= 0 && at < this.words.length) this.words[at] = (this.words[at] ?? 0) & ~(1 << (id & 31));
  }
}
