// Reads the log backwards from a position.
import type { FairTurns } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { LoggedEvent, ResourceChange, ResourceKind } from "../../schema/events/index.ts";
import type { NetworkScope } from "../../schema/rest/index.ts";
import { narrowChange } from "../inventory/scope.ts";
import type { LogPosition, Store } from "../store/store.ts";

export interface Subject {
  readonly kind?: ResourceKind;
  /** Of the resource itself. */
  readonly name?: string;
  /** Networks themselves, and VMs that are or were in them. */
  readonly network?: string;
  /** Hosts themselves, and VMs that are on them, arrive or leave. */
  readonly host?: string;
}

export interface LookBack {
  /** Newest first. */
  readonly events: readonly LoggedEvent[];
  /** Where to go on; absent where the log begins here. */
  readonly next?: LogPosition;
}

/** Rows that are read and parsed in one turn: about half a millisecond. */
const pageSize = 64;
/** Limit per read, so that a search for rare changes returns soon, with the position to continue from. */
const maxRead = 8_192;

/** @throws what the store throws */
export async function lookBack(
  { store, turns }: { readonly store: Pick<Store, "readEventsBack">; readonly turns: FairTurns },
  { before, limit, subject, scope }: { before: LogPosition; limit: number; subject: Subject; scope: NetworkScope },
): Promise<LookBack> {
  const { kind, name } = subject;
  const of = kind !== undefined && name !== undefined ? { kind, name } : undefined;
  const events: LoggedEvent[] = [];
  let position = before;
  for (let read = 0; read < maxRead; read += pageSize) {
    let page: LoggedEvent[] = [];
    const from = position;
    await turns.run(async () => {
      page = await store.readEventsBack(from, pageSize, of);
    });
    for (const event of page) {
      position = event;
      // Asked of the narrowed change: otherwise a filter would tell of networks that the scope hides.
      const change = narrowChange(scope, event.change);
      if (change && concerns(change, subject)) events.push({ ...event, change });
      if (events.length === limit) return { events, next: position };
    }
    if (page.length < pageSize) return { events };
  }
  return { events, next: { revision: position.revision, index: position.index } };
}

export const endOfLog: LogPosition = { revision: Number.MAX_SAFE_INTEGER as Revision, index: 0 };

export function concerns(change: ResourceChange, { kind, name, network, host }: Subject): boolean {
  if (kind !== undefined && change.kind !== kind) return false;
  const sides = [change.before, change.after].filter((side) => side !== null);
  if (name !== undefined && !sides.some((side) => side.name === name)) return false;
  if (network === undefined && host === undefined) return true;
  if (change.kind !== "vm") {
    const wanted = change.kind === "network" ? network : host;
    const other = change.kind === "network" ? host : network;
    return other === undefined && sides.some((side) => side.name === wanted);
  }
  const vms = [change.before, change.after].filter((side) => side !== null);
  return vms.some(
    (vm) =>
      (host === undefined || vm.host === host) &&
      (network === undefined || vm.interfaces.some((each) => each.network === network)),
  );
}
