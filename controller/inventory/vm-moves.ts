// VMs that a change set moves from one host to another, or writes at all.
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";

/** A VM before and after; the same if nothing changed. */
export interface VmMove {
  readonly before: Vm;
  readonly after: Vm;
}

export function movesIn(touched: Iterable<ResourceChange>): VmMove[] {
  return [...rewritesIn(touched)];
}

function* rewritesIn(touched: Iterable<ResourceChange>): Generator<VmMove> {
  for (const { kind, before, after } of touched) {
    if (kind === "vm" && before && after) yield { before, after };
  }
}

/** Those that leave their host, or are about to. Others of a large change set are not kept in memory. */
export function departuresIn(changes: Iterable<ResourceChange>): VmMove[] {
  const departures: VmMove[] = [];
  for (const move of rewritesIn(changes)) {
    const { before, after } = move;
    if (before.host !== after.host || before.preparedHost !== after.preparedHost) departures.push(move);
  }
  return departures;
}

/** Hosts that a live migration is committed to. */
export function migratedTo(changes: Iterable<ResourceChange>): Set<string> {
  const hosts = new Set<string>();
  for (const { before, after } of rewritesIn(changes)) if (before.preparedHost === after.host) hosts.add(after.host);
  return hosts;
}
