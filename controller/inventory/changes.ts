// The changes of one revision. Those of a mutation are an array. Those of an import may be more than fit into memory as objects: they
// are read from where they are staged, each time anew.
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Records } from "./records.ts";
import { changeIn } from "./staged-edits.ts";

/** In the order of the log. */
export interface Changes extends Iterable<ResourceChange> {
  readonly length: number;
}

/** Networks and hosts as objects, and behind them VMs as records. */
export class StagedChanges implements Changes {
  constructor(
    readonly places: readonly ResourceChange[],
    readonly vms: { readonly records: Records; readonly changed: number; readonly replaced: number },
  ) {}

  get length(): number {
    return this.places.length + this.vms.changed;
  }

  *[Symbol.iterator](): Generator<ResourceChange, void, void> {
    yield* this.places;
    for (const record of this.vms.records) {
      const change = changeIn(record);
      if (change) yield change;
    }
  }
}

/** Without reading all VMs. */
export function* placesIn(changes: Changes): Generator<ResourceChange, void, void> {
  for (const change of changes instanceof StagedChanges ? changes.places : changes) {
    if (change.kind !== "vm") yield change;
  }
}

/** Those of resources that were there before. VMs are not read where none was. */
export function* replacementsIn(changes: Changes): Generator<ResourceChange, void, void> {
  const isNew = changes instanceof StagedChanges && changes.vms.replaced === 0;
  for (const change of isNew ? changes.places : changes) if (change.before !== null) yield change;
}
