// Names of an import that have come, each with its line: about 40 bytes for one.
import type { ResourceKind } from "../../schema/events/index.ts";
import { HashIndex } from "../inventory/packed/hash-index.ts";
import { hashOfText } from "../inventory/packed/hashing.ts";
import { none, Rows } from "../inventory/packed/rows.ts";
import { TextArena } from "../inventory/packed/text-arena.ts";

const start = 0;
const length = 1;
const onLine = 2;
const fields = 3;

export class SeenNames {
  private readonly rows = new Rows(fields);
  private readonly names = new TextArena();
  private readonly index = new HashIndex();

  get size(): number {
    return this.rows.size;
  }

  /** @returns the line of the same name of that kind, if it has come; otherwise it has from now on */
  see(kind: ResourceKind, name: string, line: number): number | undefined {
    const text = `${kind} ${name}`;
    const hash = hashOfText(text);
    for (let id = this.index.first(hash); id !== none; id = this.index.next()) {
      if (this.names.compare(this.rows.get(id, start), this.rows.get(id, length), text) === 0) {
        return this.rows.get(id, onLine);
      }
    }
    const id = this.rows.add();
    const place = this.names.add(text);
    this.rows.set(id, start, place.start);
    this.rows.set(id, length, place.length);
    this.rows.set(id, onLine, line);
    this.index.add(hash, id);
    return undefined;
  }
}
