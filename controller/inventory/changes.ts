// The changes of one revision. Those of a mutation are an array. Those of an import may be more than fit into memory as objects: they
// are read from where they are staged, each time anew.
import type { Revision } from "../../schema/address/index.ts";
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
    /** That they become; absent: the one that they were decided for. */
    readonly revision?: Revision,
  ) {}

  /** The same as another revision. */
  at(revision: Revision): StagedChanges {
    const places = this.places.map((change): ResourceChange => {
      return { ...change, after: change.after && { ...change.after, revision } } as ResourceChange;
    });
    return new StagedChanges(places, this.vms, revision);
  }

  get length(): number {
    return this.places.length + this.vms.changed;
  }

  *[Symbol.iterator](): Generator<ResourceChange, void, void> {
    yield* this.places;
    for (const record of this.vms.records) {
      const change = changeIn(record, this.revision);
      if (change) yield change;
    }
  }
}

/** What takes the changes back, in the same order: of resources, each of which changes once. */
export function inverseOf(changes: Changes): Changes {
  return {
    length: changes.length,
    *[Symbol.iterator]() {
      for (const { kind, before, after } of changes) yield { kind, before: after, after: before } as ResourceChange;
    },
  };
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
