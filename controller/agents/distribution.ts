// Pushes one revision to the sessions of the hosts that it concerns.
import { type BindingChanges, bindingChanges } from "../inventory/binding-changes.ts";
import type { Steps } from "../inventory/steps.ts";
import { migratedTo, movesIn } from "../inventory/vm-moves.ts";
import type { Metrics } from "../metrics.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import { isLarge } from "../write/orders.ts";
import { partnersOf, seedArrivals } from "./arrivals.ts";
import { fanOut } from "./fan-out.ts";
import type { HostStatuses } from "./host-status.ts";
import { tableChanges } from "./host-table.ts";
import type { InterestIndex } from "./interest.ts";
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
  readonly subscriptions: Pick<Subscriptions, "distribute">;
  readonly metrics: Metrics;
}

/** `current` does not change until this is done: the next revision waits. */
export function* distribute(deps: DistributionDeps, commit: Commit): Steps<BindingChanges> {
  const { committer, interests, statuses, sessions, subscriptions, metrics } = deps;
  const { revision, changes } = commit;
  const { current } = committer;
  const concerned = yield* bindingChanges(current, changes);
  const isFiltering = (host: string) => sessions.get(host)?.hello?.senders === true;
  const tables = yield* tableChanges(current, concerned, isFiltering);
  const tableFrames = (session: AgentSession, host: string): string[] =>
    (tables.get(host) ?? []).flatMap((part) => session.writer.table(revision, part, host) ?? []);
  const partners = yield* partnersOf(current, interests, movesIn(changes));
  const pushes = yield* fanOut(current, interests, concerned, revision);
  const seeding = new Map([...partners].filter(([host]) => sessions.get(host)?.takesSeeds));
  metrics.seeded(yield* seedArrivals({ state: current, interest: interests, pushes, asOf: revision }, seeding));
  const first = new Set([...migratedTo(changes)].filter((host) => sessions.get(host)?.isSynced));
  const headStart =
    first.size > 0 && Promise.all([...first].map((host) => statuses.waitApplied(host, revision, maxHeadStartMs)));
  const held = new Set<AgentSession>();
  const hold = (session: AgentSession): void => {
    if (!headStart || first.has(session.host) || held.has(session)) return;
    held.add(session);
    session.hold(headStart);
  };
  yield* subscriptions.distribute(current, concerned, revision, isLarge(commit), hold);
  for (const host of tables.keys()) {
    const session = sessions.get(host);
    if (session?.isSynced && !pushes.has(host)) session.send(tableFrames(session, host));
  }
  for (const [host, push] of pushes) {
    const session = sessions.get(host);
    if (!session) continue;
    const frames = tableFrames(session, host);
    for (const frame of session.writer.changes(revision, push)) {
      frames.push(frame);
      yield;
    }
    // In a large revision it may have ended, or begun another declaration.
    if (!session.isSynced) continue;
    hold(session);
    // In one turn: frames of one set must not be separated by a snapshot.
    if (isLarge(commit)) session.sendLarge(frames);
    else session.send(frames);
    metrics.pushed(push.answers.length);
  }
  return concerned;
}
