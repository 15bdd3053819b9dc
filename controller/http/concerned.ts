// Which hosts an import concerns, for a request that waits for them: those that have to set up, change or forget something by it.
import { inSlices } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { MoveWatches } from "../agents/move-watch.ts";
import { placesIn } from "../inventory/changes.ts";
import { hostsOf } from "../inventory/hosts-of.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { hostsKnowing, knownNames } from "../inventory/known-networks.ts";
import type { PinnedInventory } from "../inventory/pinned-inventory.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
import type { VmMove } from "../inventory/vm-moves.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import { isLarge } from "../write/orders.ts";

/** Of more rewritten VMs, all hosts of their networks are waited for, instead of those that have received their addresses. */
const maxLookedUp = 1_000;
/** Changes that are looked at between two steps. */
const stretch = 512;

export interface Concerns {
  /** None where nothing was changed. */
  of(revision: Revision): ReadonlySet<string>;
  /** Has to be called. */
  end(): void;
}

/** From now on: which revision is the request's own is known later. */
export function collectConcerned(committer: Committer, moves: Pick<MoveWatches, "waitedFor">): Concerns {
  const byRevision = new Map<Revision, ReadonlySet<string>>();
  const end = committer.subscribe((commit, before) => {
    const steps = concernedBy(changesOf(commit, before), () => committer.current, moves);
    const take = (hosts: ReadonlySet<string>) => {
      byRevision.set(commit.revision, hosts);
    };
    return isLarge(commit) ? inSlices(steps).then(take) : take(atOnce(steps));
  });
  return { of: (revision) => byRevision.get(revision) ?? new Set(), end };
}

/** Those of VMs from the tables, where the change set has a million records. */
function* changesOf({ changes }: Commit, before?: PinnedInventory): Generator<ResourceChange | undefined> {
  if (!before) {
    yield* changes;
    return;
  }
  yield* placesIn(changes);
  yield* before.replacedVms;
  yield* before.newVms(() => true);
}

function* concernedBy(
  changes: Iterable<ResourceChange | undefined>,
  look: () => Inventory,
  moves: Pick<MoveWatches, "waitedFor">,
): Steps<ReadonlySet<string>> {
  const hosts = new Set<string>();
  const networks = new Set<string>();
  const rewritten: VmMove[] = [];
  let rewrites = 0;
  let looked = 0;
  for (const change of changes) {
    looked += 1;
    if (looked % stretch === 0) yield;
    if (!change) continue;
    const { kind, before, after } = change;
    // A new host or network has nothing yet: the VMs that come with it are changes themselves.
    if (kind === "network" && before && after) networks.add(after.name);
    if (kind === "host" && before && after)
      for (const name of knownNames(look(), after.name).keys()) networks.add(name);
    if (kind === "vm") {
      for (const vm of [before, after]) for (const host of vm ? hostsOf(vm) : []) hosts.add(host);
      if (before && after) {
        rewrites += 1;
        if (rewrites <= maxLookedUp) rewritten.push({ before, after });
        else for (const each of [...before.interfaces, ...after.interfaces]) networks.add(each.network);
      }
    }
  }
  for (const host of moves.waitedFor(rewritten)) hosts.add(host);
  for (const network of networks) for (const host of hostsKnowing(look(), network)) hosts.add(host);
  for (const host of hosts) if (!look().findHost(host)) hosts.delete(host);
  return hosts;
}
