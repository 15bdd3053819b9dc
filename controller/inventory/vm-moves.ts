// VMs that a change set moves from one host to another, or writes at all.
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Vm } from "../../schema/rest/index.ts";

/** A VM before and after; the same if nothing changed. */
export interface VmMove {
  readonly before: Vm;
  readonly after: Vm;
}

export function movesIn(touched: Iterable<ResourceChange>): VmMove[] {
  const moves: VmMove[] = [];
  for (const { kind, before, after } of touched) if (kind === "vm" && before && after) moves.push({ before, after });
  return moves;
}

/** It leaves its host, or is about to. */
export const isDeparture = ({ before, after }: VmMove): boolean =>
  before.host !== after.host || before.preparedHost !== after.preparedHost;

/** Hosts that a live migration is committed to. */
export function migratedTo(moves: Iterable<VmMove>): Set<string> {
  const hosts = new Set<string>();
  for (const { before, after } of moves) if (before.preparedHost === after.host) hosts.add(after.host);
  return hosts;
}
