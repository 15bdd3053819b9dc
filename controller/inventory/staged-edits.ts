// Edits of the VMs of an import, as records: an index by name, about 25 bytes for each, is all that is kept of them in memory.
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import type { Edit, Edits } from "./edits.ts";
import { HashIndex } from "./packed/hash-index.ts";
import { hashOfText } from "./packed/hashing.ts";
import { none, Rows } from "./packed/rows.ts";
import type { Records } from "./records.ts";

/** The record of a change is the text that the log has of it; that of an unchanged VM is its name. */
type Content = { readonly before: Vm | null; readonly after: Vm | null } | string;

/** Two fields: where the record is. */
const place = 0;
const byMutation = 2;
const fields = 3;

/** A change set names a VM twice. */
export class EditedTwiceError extends Error {
  override readonly name = "EditedTwiceError";
}

export class StagedEdits implements Edits<Vm> {
  /** Of these, those that change their VM. */
  changed = 0;
  /** Of these, those of VMs that were there before. */
  replaced = 0;
  /** Number of the edit that was read last in order. */
  reading = 0;
  /** By number: the first is 0. */
  private readonly rows = new Rows(fields);
  private readonly byName = new HashIndex();

  /** @param findStanding the VM as it was before all edits, the same as long as these edits are read */
  constructor(
    readonly records: Records,
    private readonly findStanding: (name: string) => Vm | undefined,
  ) {}

  get size(): number {
    return this.rows.size;
  }

  has(name: string): boolean {
    return this.numberOf(name) !== none;
  }

  get(name: string): Edit<Vm> | undefined {
    const number = this.numberOf(name);
    return number === none ? undefined : this.at(number);
  }

  /** A name is set once: an import names each VM once. */
  set(name: string, { before, after, mutation }: Edit<Vm>): void {
    if (this.has(name)) throw new EditedTwiceError(`VM "${name}" is edited twice`);
    const isChange = before !== after;
    const at = this.records.append(JSON.stringify(isChange ? ({ before, after } satisfies Content) : name));
    const number = this.rows.add();
    this.rows.set(number, place, at | 0);
    this.rows.set(number, place + 1, Math.floor(at / 2 ** 32));
    this.rows.set(number, byMutation, mutation);
    this.byName.add(hashOfText(name), number);
    if (!isChange) return;
    this.changed += 1;
    if (before) this.replaced += 1;
  }

  *[Symbol.iterator](): Generator<readonly [name: string, edit: Edit<Vm>], void, void> {
    let number = 0;
    for (const record of this.records) {
      const content = JSON.parse(record) as Content;
      this.reading = number;
      yield [nameOf(content), this.edit(content, number)];
      number += 1;
    }
  }

  *values(): Generator<Edit<Vm>, void, void> {
    for (const [, edit] of this) yield edit;
  }

  private numberOf(name: string): number {
    const { byName } = this;
    for (let number = byName.first(hashOfText(name)); number !== none; number = byName.next()) {
      if (nameOf(this.contentAt(number)) === name) return number;
    }
    return none;
  }

  at(number: number): Edit<Vm> {
    return this.edit(this.contentAt(number), number);
  }

  private contentAt(number: number): Content {
    const at = (this.rows.get(number, place) >>> 0) + this.rows.get(number, place + 1) * 2 ** 32;
    return JSON.parse(this.records.read(at)) as Content;
  }

  private edit(content: Content, number: number): Edit<Vm> {
    const mutation = this.rows.get(number, byMutation);
    if (typeof content !== "string") return { ...content, mutation };
    const vm = this.findStanding(content) ?? null;
    return { before: vm, after: vm, mutation };
  }
}

const nameOf = (content: Content): string =>
  typeof content === "string" ? content : ((content.after ?? content.before)?.name ?? "");

/** The change that a record has, if it has one. @param revision of the VM after it, in place of the one it was decided for */
export function changeIn(record: string, revision?: Revision): ResourceChange | undefined {
  if (!isChange(record)) return undefined;
  const { before, after } = JSON.parse(record) as Exclude<Content, string>;
  return { kind: "vm", before, after: after && revision ? Object.assign(after, { revision }) : after };
}

const revisionField = '"revision":';
const isEnd = /^\d+\}\}$/;

/** The text that the log has of the change: what others have appended since may have made the VM's revision another, mostly its last field. */
export function loggedAt(record: string, revision: Revision): string {
  if (record.endsWith("null}")) return record;
  const end = record.lastIndexOf(revisionField) + revisionField.length;
  if (isEnd.test(record.slice(end))) return `${record.slice(0, end)}${revision}}}`;
  const { before, after } = changeIn(record, revision) ?? {};
  return JSON.stringify({ before, after });
}

/** Names are in quotes. */
export const isChange = (record: string): boolean => record.startsWith("{");
