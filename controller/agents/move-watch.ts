// Waits until the hosts that hold a VM have confirmed its move.
import type { Revision } from "../../schema/address/index.ts";
import type { Unconfirmed } from "../../schema/rest/index.ts";
import type { VmMove } from "../inventory/vm-moves.ts";
import type { Committer } from "../write/committer.ts";
import { type Confirmation, Confirmations, type Confirmed } from "./confirmations.ts";
import { holdersOf, networksOf } from "./holders.ts";
import type { HostStatuses, SessionStatus } from "./host-status.ts";
import type { InterestIndex } from "./interest.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface MoveWatchDeps {
  readonly committer: Pick<Committer, "current">;
  readonly interests: InterestIndex;
  readonly statuses: HostStatuses;
  readonly subscriptions: Pick<Subscriptions, "followersOf" | "rememberersOf">;
  /** Has a connected host confirm what it was sent, now and not with the next heartbeat. */
  readonly prompt: (host: string) => void;
  readonly statusOf: (host: string) => SessionStatus;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class MoveWatches {
  constructor(private readonly deps: MoveWatchDeps) {}

  /** Hosts that have to confirm the moves. */
  holdersOf(moves: readonly VmMove[]): Set<string> {
    return holdersOf(this.deps.committer.current, this.deps.interests, moves);
  }

  /** Hosts that a request waits for: those, and connected ones that have the VM's network in memory. `all`: disconnected ones, too. */
  waitedFor(moves: readonly VmMove[], all = false): Set<string> {
    const { committer, subscriptions } = this.deps;
    const hosts = this.holdersOf(moves);
    for (const { vni } of networksOf(committer.current, moves)) {
      for (const host of subscriptions.followersOf(vni)) hosts.add(host);
      if (all) for (const host of subscriptions.rememberersOf(vni)) hosts.add(host);
    }
    return hosts;
  }

  /** Disconnected hosts that have the VM's former place in memory only: no entry of theirs forwards by it yet. */
  rememberedBy(moves: readonly VmMove[]): string[] {
    const { committer, subscriptions } = this.deps;
    const holders = this.holdersOf(moves);
    const networks = networksOf(committer.current, moves);
    const hosts = new Set(networks.flatMap(({ vni }) => [...subscriptions.rememberersOf(vni)]));
    return [...hosts].filter((host) => !holders.has(host) && committer.current.findHost(host)).sort();
  }

  /**
   * Starts when a change is durable and published as `revision`, after the pushes to hosts. @param isUrgent a request waits, so hosts are asked
   * to confirm now
   */
  begin(hosts: Iterable<string>, revision: Revision, isUrgent = false): MoveWatch {
    return new MoveWatch(this.deps, hosts, revision, isUrgent);
  }
}

/** With the counts right after it: more may have come by the time it is read. */
type CountedConfirmation = Confirmation & Confirmed;

export class MoveWatch {
  private readonly confirmations: Confirmations;
  private readonly startMs: number;

  constructor(
    private readonly deps: MoveWatchDeps,
    hosts: Iterable<string>,
    readonly revision: Revision,
    private readonly isUrgent: boolean,
  ) {
    this.startMs = deps.nowMs();
    this.confirmations = new Confirmations(hosts);
  }

  get counts(): Confirmed {
    return this.confirmations.counts;
  }

  /** Yields each confirmation, until all have arrived or the time is over. */
  async *until(timeoutMs: number): AsyncGenerator<CountedConfirmation> {
    const news: CountedConfirmation[] = [];
    let wake = () => {};
    let open = 0;
    for (const host of this.confirmations.unconfirmed) {
      open += 1;
      void this.confirmation(host, timeoutMs).then((confirmation) => {
        open -= 1;
        if (confirmation) news.push(confirmation);
        wake();
      });
    }
    while (open > 0 || news.length > 0) {
      const next = news.shift();
      if (next) yield next;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }

  /** Hosts that have not confirmed, and why. @param whole with the agents' problems, which may concern any network */
  unconfirmed(timeoutMs: number, whole: boolean): Unconfirmed[] {
    return this.confirmations.unconfirmed.map((host) => ({ host, why: this.explain(host, timeoutMs, whole) }));
  }

  private async confirmation(host: string, timeoutMs: number): Promise<CountedConfirmation | undefined> {
    const { statuses, committer, nowMs } = this.deps;
    if (this.isUrgent && timeoutMs > 0) this.deps.prompt(host);
    const confirmed = await statuses.waitApplied(host, this.revision, this.isDown(host) ? 0 : timeoutMs);
    if (!confirmed && !committer.current.findHost(host)) this.confirmations.forget(host);
    const confirmation = { host, ms: Math.round(nowMs() - this.startMs) };
    if (!confirmed || !this.confirmations.confirm(confirmation)) return undefined;
    return { ...confirmation, ...this.counts };
  }

  /** An operator has marked it down, so it will not confirm. */
  private isDown(host: string): boolean {
    return this.deps.committer.current.findHost(host)?.down ?? false;
  }

  private explain(host: string, timeoutMs: number, whole: boolean): string {
    if (this.isDown(host))
      return "is marked down, so the move does not wait for it: its kernel still has the last state that it was sent";
    const { connected, lastSeen, problems } = this.deps.statusOf(host);
    if (!connected) {
      const since = lastSeen ? `, last heard ${lastSeen.toISOString()}` : " since the controller started";
      return `no agent is connected${since}: its kernel still has the last state that it was sent`;
    }
    const late = timeoutMs > 0 ? ` within ${timeoutMs} ms` : " yet";
    const reason = `has not confirmed revision ${this.revision}${late}`;
    return [reason, ...(whole ? problems : [])].join("; ");
  }
}
