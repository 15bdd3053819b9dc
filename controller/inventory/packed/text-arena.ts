// Texts as bytes: a million short strings as objects would cost more than all else of a VM. A text with characters beyond
// Latin-1 has two bytes for each UTF-16 code unit, so that every text is read as it was written.

import { hashOfBytes, hashOfText } from "./hashing.ts";

/** Bytes of a unit: where texts begin, and what they are rounded up to. */
const unit = 8;
const blockUnits = 1 << 13;
const firstUnits = 32;

/** Where a text is: its first unit, and its number of code units; negative where these have two bytes. */
export interface Place {
  start: number;
  length: number;
}

export class TextArena {
  private readonly blocks: Buffer[] = [];
  /** The unit behind the last one that was ever used. */
  private filled = 0;
  /** Freed places by their number of units. */
  private readonly freed = new Map<number, number[]>();

  add(text: string): Place {
    const wide = /[^\0-\xff]/.test(text);
    const start = this.allocate(unitsOf(wide ? text.length * 2 : text.length));
    const block = this.blocks[Math.floor(start / blockUnits)];
    block?.write(text, (start % blockUnits) * unit, wide ? "utf16le" : "latin1");
    return { start, length: wide ? -text.length : text.length };
  }

  /** As `add` of ASCII bytes, whose number is the length. @returns the first unit */
  addBytes(bytes: Uint8Array, from: number, to: number): number {
    const start = this.allocate(unitsOf(to - from));
    const block = this.blocks[Math.floor(start / blockUnits)] ?? noBytes;
    let at = (start % blockUnits) * unit;
    for (let i = from; i < to; i++) block[at++] = bytes[i] ?? 0;
    return start;
  }

  /** Whether the text is that of the ASCII bytes. */
  equals(start: number, length: number, bytes: Uint8Array, from: number, to: number): boolean {
    if (length !== to - from) return false;
    const block = this.blocks[Math.floor(start / blockUnits)] ?? noBytes;
    let at = (start % blockUnits) * unit;
    for (let i = from; i < to; i++) if (block[at++] !== bytes[i]) return false;
    return true;
  }

  delete(start: number, length: number): void {
    const units = unitsOf(length < 0 ? -length * 2 : length);
    const places = this.freed.get(units);
    if (places) places.push(start);
    else this.freed.set(units, [start]);
  }

  get(start: number, length: number): string {
    const at = (start % blockUnits) * unit;
    const block = this.blocks[Math.floor(start / blockUnits)];
    if (!block) return "";
    return length < 0 ? block.toString("utf16le", at, at - length * 2) : block.toString("latin1", at, at + length);
  }

  /** By UTF-16 code unit: negative where the stored text comes before `text`. */
  compare(start: number, length: number, text: string): number {
    if (length < 0) {
      const stored = this.get(start, length);
      return stored < text ? -1 : stored > text ? 1 : 0;
    }
    const at = (start % blockUnits) * unit;
    const block = this.blocks[Math.floor(start / blockUnits)];
    const shared = Math.min(length, text.length);
    for (let i = 0; i < shared; i++) {
      const difference = (block?.[at + i] ?? 0) - text.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return length - text.length;
  }

  /** As `hashOfText`. */
  hash(start: number, length: number): number {
    if (length < 0) return hashOfText(this.get(start, length));
    const at = (start % blockUnits) * unit;
    return hashOfBytes(this.blocks[Math.floor(start / blockUnits)] ?? noBytes, at, at + length);
  }

  private allocate(units: number): number {
    const reused = this.freed.size === 0 ? undefined : this.freed.get(units)?.pop();
    if (reused !== undefined) return reused;
    const left = this.blocks.length * blockUnits - this.filled;
    if (units > left || this.blocks.length === 0) this.filled = this.openBlock(units);
    const start = this.filled;
    this.filled += units;
    this.reach(start, units);
    return start;
  }

  /** The end of the last block stays unused. A longer text takes the numbers of several blocks. @returns its first unit */
  private openBlock(units: number): number {
    const first = this.blocks.length;
    const spans = Math.max(1, Math.ceil(units / blockUnits));
    const whole = first > 0 || spans > 1;
    this.blocks[first] = Buffer.alloc((whole ? spans * blockUnits : firstUnits) * unit);
    for (let i = 1; i < spans; i++) this.blocks[first + i] = Buffer.alloc(0);
    return first * blockUnits;
  }

  /** The first block doubles up to a whole one. */
  private reach(start: number, units: number): void {
    const at = Math.floor(start / blockUnits);
    const block = this.blocks[at];
    const needed = ((start % blockUnits) + units) * unit;
    if (!block || needed <= block.length) return;
    const larger = Buffer.alloc(Math.max(needed, Math.min(block.length * 2, blockUnits * unit)));
    block.copy(larger);
    this.blocks[at] = larger;
  }
}

const unitsOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / unit));

const noBytes = new Uint8Array(0);
