// Publishes an operational event when all hosts have confirmed a move, or which have not, even if no request waited for it.
import type { FastifyBaseLogger } from "fastify";
import type { OperationalEvent } from "../../schema/events/index.ts";
import type { OperationalEvents } from "../events/operational-events.ts";
import type { VmMove } from "../inventory/vm-moves.ts";
import type { Metrics } from "../metrics.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import type { MoveWatches } from "./move-watch.ts";

/** Longer than any request waits. */
const deadlineMs = 60_000;
/** Maximum number of watched revisions; beyond it the event is left out. */
const maxWatched = 1_024;
/** Hosts that an event names. */
const maxNamed = 5;

export interface MoveEventsDeps {
  readonly moves: MoveWatches;
  readonly committer: Pick<Committer, "current">;
  readonly operational: OperationalEvents;
  readonly metrics: Metrics;
  readonly log: FastifyBaseLogger;
  readonly now: () => Date;
}

export class MoveEvents {
  private watched = 0;

  constructor(private readonly deps: MoveEventsDeps) {}

  /** The pushes to the affected hosts are sent. */
  follow(commit: Pick<Commit, "revision" | "time">, departures: readonly VmMove[]): void {
    const moves = departures.filter(({ before, after }) => before.host !== after.host);
    const subject = this.subjectOf(moves);
    if (!subject || this.watched >= maxWatched) return;
    this.watched += 1;
    void this.watch(commit, moves, subject).finally(() => {
      this.watched -= 1;
    });
  }

  private async watch(
    { revision, time }: Pick<Commit, "revision" | "time">,
    moves: readonly VmMove[],
    subject: EventSubject,
  ): Promise<void> {
    const { operational, metrics, log, now } = this.deps;
    const watch = this.deps.moves.begin(this.deps.moves.holdersOf(moves), revision);
    for await (const _ of watch.until(deadlineMs));
    const { confirmed, of, slowestMs } = watch.counts;
    const missing = watch.unconfirmed(deadlineMs, true).map(({ host }) => host);
    const kind = missing.length === 0 ? "move-confirmed" : "move-unconfirmed";
    const unconfirmed = missing.length === 0 ? "" : `; not ${missing.slice(0, maxNamed).join(", ")}`;
    const more = missing.length > maxNamed ? " and others" : "";
    const detail = `${subject.what}: ${confirmed} of ${of} hosts, slowest ${slowestMs ?? 0} ms${unconfirmed}${more}`;
    metrics.operational(subject.event.host, kind, 1);
    operational.publish({ kind, ...subject.event, detail, count: 1, first: time, last: now().toISOString() });
    if (missing.length > 0) log.warn({ revision, missing: missing.length }, `unconfirmed: ${detail}`);
  }

  /** One VM, or all VMs that left one host together. Other changes of many VMs are not a move. */
  private subjectOf(moves: readonly VmMove[]): EventSubject | undefined {
    const [first] = moves;
    if (!first) return undefined;
    const { before, after } = first;
    if (moves.length > 1) {
      if (moves.some((move) => move.before.host !== before.host)) return undefined;
      return { what: `${moves.length} VMs from host ${before.host}`, event: { host: before.host } };
    }
    const [name, another] = new Set(after.interfaces.map(({ network }) => network));
    const network =
      name === undefined || another !== undefined ? undefined : this.deps.committer.current.findNetwork(name);
    const inNetwork = network ? { network: network.name, networkUid: network.uid, vni: network.vni } : {};
    const what = `VM ${after.name} from host ${before.host} to ${after.host}`;
    return { what, event: { host: after.host, ...inNetwork, subject: after.name } };
  }
}

interface EventSubject {
  readonly what: string;
  readonly event: Pick<OperationalEvent, "host" | "network" | "networkUid" | "vni" | "subject">;
}
