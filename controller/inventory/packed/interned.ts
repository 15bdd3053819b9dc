// Values that many VMs share, such as an interface's name or a set of labels: each once, as text, with the number of its
// users. A value that only one VM has costs little more than its text.
import { HashIndex } from "./hash-index.ts";
import { hashOfBytes, hashOfText } from "./hashing.ts";
import { none, Rows } from "./rows.ts";
import { TextArena } from "./text-arena.ts";

const start = 0;
const length = 1;
const uses = 2;
const fields = 3;

/** Values that are kept in the form in which they are read; then all are dropped. */
const maxKept = 4_096;

export class Interned<T> {
  private readonly rows = new Rows(fields);
  private readonly arena = new TextArena();
  private readonly index = new HashIndex();
  private readonly kept = new Map<number, T>();

  /** @param format and @param parse are each other's inverse, exactly */
  constructor(
    private readonly format: (value: T) => string,
    private readonly parse: (text: string) => T,
  ) {}

  /** Counts one more user. @returns `none` for undefined */
  retain(value: T | undefined): number {
    if (value === undefined) return none;
    const text = this.format(value);
    const hash = hashOfText(text);
    const known = this.findText(text, hash);
    if (known !== none) {
      this.rows.set(known, uses, this.rows.get(known, uses) + 1);
      return known;
    }
    const place = this.arena.add(text);
    return this.put(place.start, place.length, hash);
  }

  /** As `retain` of the value whose text is these ASCII bytes; `none` for no bytes. */
  retainBytes(bytes: Uint8Array, from: number, to: number): number {
    if (from === to) return none;
    const hash = hashOfBytes(bytes, from, to);
    for (let id = this.index.first(hash); id !== none; id = this.index.next()) {
      if (!this.arena.equals(this.rows.get(id, start), this.rows.get(id, length), bytes, from, to)) continue;
      this.rows.set(id, uses, this.rows.get(id, uses) + 1);
      return id;
    }
    return this.put(this.arena.addBytes(bytes, from, to), to - from, hash);
  }

  release(id: number): void {
    if (id === none) return;
    const left = this.rows.get(id, uses) - 1;
    this.rows.set(id, uses, left);
    if (left > 0) return;
    const [at, size] = [this.rows.get(id, start), this.rows.get(id, length)];
    this.index.delete(this.arena.hash(at, size), id);
    this.arena.delete(at, size);
    this.rows.delete(id);
    this.kept.delete(id);
  }

  /** @returns `none` where it has no user */
  find(value: T): number {
    const text = this.format(value);
    return this.findText(text, hashOfText(text));
  }

  get(id: number): T | undefined {
    if (id === none) return undefined;
    const known = this.kept.get(id);
    if (known !== undefined) return known;
    const value = this.parse(this.arena.get(this.rows.get(id, start), this.rows.get(id, length)));
    if (this.kept.size >= maxKept) this.kept.clear();
    this.kept.set(id, value);
    return value;
  }

  private put(at: number, size: number, hash: number): number {
    const id = this.rows.add();
    this.rows.set(id, start, at);
    this.rows.set(id, length, size);
    this.rows.set(id, uses, 1);
    this.index.add(hash, id);
    return id;
  }

  private findText(text: string, hash: number): number {
    for (let id = this.index.first(hash); id !== none; id = this.index.next()) {
      if (this.arena.compare(this.rows.get(id, start), this.rows.get(id, length), text) === 0) return id;
    }
    return none;
  }
}

const asIs = (text: string): string => text;

export const internedTexts = (): Interned<string> => new Interned(asIs, asIs);
export const internedJson = <T>(): Interned<T> => new Interned<T>(JSON.stringify, JSON.parse);
