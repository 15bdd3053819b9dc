// Writes the changes of an import to a stage, in parts: networks and hosts as they come over, VMs from the file of their records. The caller
// opens the transactions.
import type { Database } from "better-sqlite3";
import type { ResourceChange } from "../../../schema/events/index.ts";
import { isChange } from "../../inventory/staged-edits.ts";
import { recordsOfFile } from "../spool.ts";
import { type StageCommit, type StageExtent, Stages } from "./stages.ts";

/** Records of one transaction, some 20 ms long: other commits wait for it. */
const recordsAtOnce = 1_024;

/** A file that is read, and how many changes are staged. */
interface Source {
  readonly records: Iterator<string>;
  index: number;
}

export class Staging {
  private readonly stages: Stages;
  /** By stage. */
  private readonly sources = new Map<number, Source>();

  constructor(db: Database) {
    this.stages = new Stages(db);
  }

  /** @returns the id of the stage */
  open(from: { readonly extent: StageExtent; readonly descriptor: number; readonly bytes: number }): number {
    const { extent, descriptor, bytes } = from;
    const stage = this.stages.begin(extent);
    this.sources.set(stage, { records: recordsOfFile(descriptor, bytes), index: extent.places });
    return stage;
  }

  addPlaces({
    stage,
    changes,
    firstIndex,
  }: {
    readonly stage: number;
    readonly changes: readonly ResourceChange[];
    readonly firstIndex: number;
  }): void {
    for (const [i, { kind, before, after }] of changes.entries()) {
      const name = (after ?? before)?.name ?? "";
      this.stages.add(stage, { index: firstIndex + i, kind, name, data: JSON.stringify({ before, after }) });
    }
  }

  /** @returns whether there are more */
  addSome(stage: number): boolean {
    const source = this.sources.get(stage);
    if (!source) throw new Error(`stage ${stage} is not open`);
    for (let count = 0; count < recordsAtOnce; count++) {
      const { value: record, done } = source.records.next();
      if (done) return false;
      if (!isChange(record)) continue;
      this.stages.add(stage, { index: source.index, kind: "vm", name: nameIn(record), data: record });
      source.index += 1;
    }
    return true;
  }

  /** @returns whether there is more to drop */
  drop(stage: number): boolean {
    this.sources.delete(stage);
    return this.stages.drop(stage, recordsAtOnce);
  }

  commit(commit: StageCommit): void {
    this.stages.commit(commit);
    this.sources.delete(commit.stage);
  }
}

function nameIn(record: string): string {
  const { before, after } = JSON.parse(record) as ResourceChange;
  return (after ?? before)?.name ?? "";
}
