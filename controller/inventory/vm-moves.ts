// VMs that a change set moves from one host to another, or writes at all.
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";

/** A VM before and after; the same if nothing changed. */
export interface VmMove {
  readonly before: Vm;
  readonly after: Vm;
}

export function movesIn(touched: readonly ResourceChange[]): VmMove[] {
  return touched.flatMap((change) => {
    if (change.kind !== "vm" || !change.before || !change.after) return [];
    return [{ before: change.before, after: change.after }];
  });
}

/** Hosts that a live migration is committed to. */
export function migratedTo(changes: readonly ResourceChange[]): Set<string> {
  const committed = movesIn(changes).filter(({ before, after }) => before.preparedHost === after.host);
  return new Set(committed.map(({ after }) => after.host));
}
