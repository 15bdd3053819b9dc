// Pushes one revision to the sessions of the hosts that it concerns.
import type { ResourceChange } from "../../schema/events/index.ts";
import { type BindingChanges, bindingChanges } from "../inventory/binding-changes.ts";
import { placesIn } from "../inventory/changes.ts";
import type { IsConcerned } from "../inventory/difference.ts";
import type { PinnedInventory } from "../inventory/pinned-inventory.ts";
import { rangeChanges } from "../inventory/range-changes.ts";
import type { Steps } from "../inventory/steps.ts";
import { isDeparture, migratedTo, movesIn, type VmMove } from "../inventory/vm-moves.ts";
import type { Metrics } from "../metrics.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import { isLarge } from "../write/orders.ts";
import { partnersOf, seedArrivals } from "./arrivals.ts";
import { fanOut, type Push, pushOf } from "./fan-out.ts";
import type { HostStatuses } from "./host-status.ts";
import { tableChanges, tablesWanted, type Wants } from "./host-table.ts";
import type { InterestIndex } from "./interest.ts";
import { PushSets } from "./push-sets.ts";
import type { AgentSession } from "./session.ts";
import type { Subscriptions } from "./subscriptions.ts";

/**
 * How long other hosts wait for the target of a migration. While the target still has the VM's tunnel entries, it drops frames
 * for the VM, so the old way is better. A healthy target needs a few ms.
 */
const maxHeadStartMs = 100;

export interface DistributionDeps {
  readonly committer: Pick<Committer, "current">;
  readonly interests: InterestIndex;
  readonly statuses: HostStatuses;
  readonly sessions: ReadonlyMap<string, AgentSession>;
  readonly subscriptions: Pick<Subscriptions, "distribute" | "isFollowed">;
  readonly metrics: Metrics;
}

interface Distributed extends Pick<BindingChanges, "deletedHosts" | "joined" | "gone" | "redefined"> {
  /** VMs that leave their host, or are about to. */
  readonly departures: readonly VmMove[];
}

/**
 * `current` does not change until this is done: the next revision waits.
 * @param before the inventory before a large commit
 */
export function* distribute(deps: DistributionDeps, commit: Commit, before?: PinnedInventory): Steps<Distributed> {
  const { committer, interests, statuses, sessions, subscriptions, metrics } = deps;
  const { revision, changes } = commit;
  const { current } = committer;
  // A session that is not synced yet has all of the revision in its snapshot.
  const reaches = (host: string) => sessions.get(host)?.isSynced === true;
  const isConcerned: IsConcerned = (host, network) => {
    if (reaches(host)) return true;
    const vni = current.findNetwork(network)?.vni;
    return vni !== undefined && (interests.isWatched(vni) || subscriptions.isFollowed(vni));
  };
  const concerned = before
    ? yield* rangeChanges({ before, after: current, revision, changes, isConcerned })
    : yield* bindingChanges(current, [...changes]);
  const wants: Wants = (host, network) => tablesWanted(sessions.get(host)?.hello)(network);
  const tables = yield* tableChanges(current, concerned, wants);
  const rewrites: VmMove[] = before ? yield* departuresAmong(before.replacedVms) : movesIn(changes);
  const partners = yield* partnersOf(current, interests, rewrites);
  const first = new Set([...migratedTo(rewrites)].filter((host) => sessions.get(host)?.isSynced));
  const headStart =
    first.size > 0 && Promise.all([...first].map((host) => statuses.waitApplied(host, revision, maxHeadStartMs)));
  const held = new Set<AgentSession>();
  const hold = (session: AgentSession): void => {
    if (!headStart || first.has(session.host) || held.has(session)) return;
    held.add(session);
    session.hold(headStart);
  };
  const sets = new PushSets({ revision, sessions, tables, metrics, isLarge: isLarge(commit), beforeFirst: hold });
  const removes = (before ? before.replacesVms : replaces(changes)) || replaces(placesIn(changes));
  yield* subscriptions.distribute(current, concerned, revision, { isLarge: isLarge(commit), removes, hold });
  const parts = before ? { sendPart: (host: string, push: Push) => sets.part(host, push) } : {};
  const pushes = yield* fanOut(current, interests, concerned, revision, { reaches, ...parts });
  for (const host of sets.open) pushOf(pushes, host);
  const seeding = new Map([...partners].filter(([host]) => sessions.get(host)?.takesSeeds));
  metrics.seeded(yield* seedArrivals({ state: current, interest: interests, pushes, asOf: revision }, seeding));
  for (const host of tables.keys()) if (!pushes.has(host)) sets.tableAlone(host);
  for (const [host, push] of pushes) yield* sets.last(host, push);
  const { deletedHosts, joined, gone, redefined } = concerned;
  return { deletedHosts, joined, gone, redefined, departures: rewrites.filter(isDeparture) };
}

/** Those that leave their host, or are about to. Others of a large change set are not kept in memory. */
function* departuresAmong(changes: Iterable<ResourceChange>): Steps<VmMove[]> {
  const departures: VmMove[] = [];
  for (const change of changes) {
    yield;
    departures.push(...movesIn([change]).filter(isDeparture));
  }
  return departures;
}

/** Some were there before. */
function replaces(changes: Iterable<ResourceChange>): boolean {
  for (const { before } of changes) if (before) return true;
  return false;
}
