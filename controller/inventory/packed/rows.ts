// Rows of 32-bit fields with dense ids. All fields of a row lie side by side, since a look-up reads several of them: one
// cache line instead of one for each column. Freed ids are given again.

/** Rows of a block, as a power of two: growing allocates a block and copies nothing of the others. */
const blockBits = 13;
const blockRows = 1 << blockBits;
const inBlock = blockRows - 1;
/** Rows of the first block, which doubles up to a whole one: most inventories of tests have few. */
const firstRows = 8;

/** In place of an id: there is none. */
export const none = -1;

export class Rows {
  private readonly blocks: Int32Array[] = [];
  private used = 0;
  private live = 0;
  /** The last freed row; its first field has the one freed before. */
  private freed = none;

  /** @param stride fields of a row */
  constructor(private readonly stride: number) {}

  get size(): number {
    return this.live;
  }

  /** All ids are below it, those of deleted rows too. */
  get extent(): number {
    return this.used;
  }

  get(id: number, field: number): number {
    return this.blocks[id >>> blockBits]?.[(id & inBlock) * this.stride + field] ?? 0;
  }

  set(id: number, field: number, value: number): void {
    const block = this.blocks[id >>> blockBits];
    if (block) block[(id & inBlock) * this.stride + field] = value;
  }

  /** The fields of the row, and of others: those of this one begin at `offset`. For who sets many. */
  block(id: number): Int32Array {
    return this.blocks[id >>> blockBits] ?? noFields;
  }

  offset(id: number): number {
    return (id & inBlock) * this.stride;
  }

  /** @returns the id of a row whose fields may have any values */
  add(): number {
    this.live += 1;
    if (this.freed !== none) {
      const id = this.freed;
      this.freed = this.get(id, 0);
      return id;
    }
    const id = this.used;
    this.used += 1;
    this.reach(id);
    return id;
  }

  delete(id: number): void {
    this.live -= 1;
    this.set(id, 0, this.freed);
    this.freed = id;
  }

  private reach(id: number): void {
    const at = id >>> blockBits;
    const block = this.blocks[at];
    if (!block) this.blocks[at] = new Int32Array((at === 0 ? firstRows : blockRows) * this.stride);
    else if ((id & inBlock) * this.stride >= block.length) {
      const larger = new Int32Array(block.length * 2);
      larger.set(block);
      this.blocks[at] = larger;
    }
  }
}

const noFields = new Int32Array(0);
