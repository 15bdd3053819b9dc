// Networks that hosts have in their memory as a whole: a base of all bindings, then every change as a delta. One subscription in place
// of interest in each key; a delta is written once for all subscribers. Version 2 only.
import { TurnQueue } from "../../common/cooperative.ts";
import type { Answer, BindingKey, Revision, Vni } from "../../schema/address/index.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import type { BindingChanges } from "../inventory/binding-changes.ts";
import { answerKnown, keysOf } from "../inventory/bindings.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork } from "../inventory/known-networks.ts";
import type { Steps } from "../inventory/steps.ts";
import { TwoLevelMap } from "../inventory/two-level-map.ts";
import type { Committer } from "../write/committer.ts";
import { baseFrames, deltaFrames } from "./frames.ts";
import { RemovedKeys } from "./removed-keys.ts";
import type { AgentSession } from "./session.ts";

/** Maximum time that bases block the event loop, ms: a miss waits no longer. */
const sliceMs = 1;
/** Records for one unit of the host's allowance (host-allowance.ts): a record costs less than a question. */
const recordsPerUnit = 16;

/** Of one host, from its `subscribe` on. A later one of the same network is another object: a base that is under way ends. */
interface Subscription {
  readonly session: AgentSession;
  readonly id: number;
  /** The base has only what is behind this position; undefined: everything. */
  readonly since: Revision | undefined;
}

type Subscribe = Extract<AgentFrame, { type: "subscribe" }>;

export interface DeltaOptions {
  /** It does not count against the limit of what waits for a slow agent. */
  readonly isLarge: boolean;
  /** Something was there before. */
  readonly removes: boolean;
  /** Called before a session is sent one. */
  readonly hold?: (session: AgentSession) => void;
}

interface BaseContent {
  /** Undefined: the host may not know it. */
  readonly network: string | undefined;
  /** Behind `since`. */
  readonly removed: readonly BindingKey[] | undefined;
}

/** Records of one network in a delta, which may have several frames. */
const answersAtOnce = 1_024;
/** Names of VMs that are read at once. */
const namesAtOnce = 64;

/** No host: records do not depend on one. */
const noReader = "";

export class Subscriptions {
  private readonly byNetwork = new TwoLevelMap<Vni, string, Subscription>();
  private readonly byHost = new TwoLevelMap<string, Vni, Subscription>();
  private readonly turns = new TurnQueue(sliceMs);
  private readonly removed: RemovedKeys;
  /** Without a session since they had the network in memory: they may still answer from it. */
  private readonly remembering = new TwoLevelMap<Vni, string, true>();
  private readonly remembered = new TwoLevelMap<string, Vni, true>();
  /** Over all hosts. */
  private count = 0;

  constructor(private readonly committer: Pick<Committer, "current" | "revision">) {
    this.removed = new RemovedKeys(committer.revision);
  }

  /**
   * The host is sent the base, and changes from now on. A network that it may not know has an empty base and no changes.
   * @param asOf the position to which it has the network; undefined: it has nothing
   * @returns units beside those of the frame
   */
  begin(session: AgentSession, { id, vni }: Pick<Subscribe, "id" | "vni">, asOf?: Revision): number {
    const { current } = this.committer;
    const { host } = session;
    this.end(host, vni);
    const network = findKnownNetwork(current, host, vni);
    const removed = network && asOf !== undefined ? this.removed.find(vni, asOf) : undefined;
    const subscription: Subscription = { session, id, since: removed && asOf };
    if (network) {
      this.byNetwork.set(vni, host, subscription);
      this.byHost.set(host, vni, subscription);
      this.count += 1;
    }
    session.follow(this.sendBase(subscription, vni, { network: network?.name, removed }));
    return network ? Math.ceil(current.addressesIn(network.name).size / recordsPerUnit) : 0;
  }

  /** Nothing of the network is sent any more. */
  end(host: string, vni: Vni): void {
    if (!this.byHost.get(host, vni)) return;
    this.byHost.delete(host, vni);
    this.byNetwork.delete(vni, host);
    this.count -= 1;
  }

  /** The session is over. */
  endAll(session: AgentSession): void {
    const { hello } = session;
    if (!hello) return;
    for (const [vni, subscription] of [...this.byHost.under(hello.host)]) {
      if (subscription.session !== session) continue;
      this.end(hello.host, vni);
      this.remembering.set(vni, hello.host, true);
      this.remembered.set(hello.host, vni, true);
    }
  }

  /** The host has its snapshot, after which it follows what it has in memory or drops it; or the host is deleted. */
  forget(host: string): void {
    for (const vni of [...this.remembered.under(host).keys()]) this.forgetIn(host, vni);
  }

  /** Whether the host has at least one network in memory. */
  isFollowing(host: string): boolean {
    return this.byHost.under(host).size > 0;
  }

  isFollowed(vni: Vni): boolean {
    return this.byNetwork.under(vni).size > 0;
  }

  /** Connected hosts that have the network in memory. */
  followersOf(vni: Vni): Iterable<string> {
    return this.byNetwork.under(vni).keys();
  }

  /** Disconnected hosts that had the network in memory when their session ended. */
  rememberersOf(vni: Vni): Iterable<string> {
    return this.remembering.under(vni).keys();
  }

  /** Sends the deltas of one revision. */
  *distribute(
    state: Inventory,
    { keys, gone }: Pick<BindingChanges, "keys" | "gone">,
    asOf: Revision,
    { isLarge, removes, hold = () => {} }: DeltaOptions,
  ): Steps<void> {
    for (const [host, vnis] of gone) {
      for (const vni of vnis) {
        this.end(host, vni);
        this.forgetIn(host, vni);
      }
    }
    // Without subscribers only what is removed counts.
    if (this.count === 0 && !removes) return;
    const changed = new Map<Vni, Answer[]>();
    for (const each of keys) {
      yield;
      if (!each) continue;
      const { key, created } = each;
      const isFollowed = this.isFollowed(key.vni);
      if (created && !isFollowed) continue;
      const answer = answerKnown(state, noReader, key, asOf);
      if (!answer.binding) this.removed.add(key, asOf);
      if (!isFollowed) continue;
      const answers = changed.get(key.vni) ?? [];
      changed.set(key.vni, answers);
      answers.push(answer);
      if (answers.length < answersAtOnce) continue;
      changed.delete(key.vni);
      yield* this.sendDelta(key.vni, answers, asOf, { isLarge, hold });
    }
    for (const [vni, answers] of changed) yield* this.sendDelta(vni, answers, asOf, { isLarge, hold });
  }

  private *sendDelta(
    vni: Vni,
    answers: readonly Answer[],
    asOf: Revision,
    { isLarge, hold = () => {} }: Omit<DeltaOptions, "removes">,
  ): Steps<void> {
    const frames = [...deltaFrames(asOf, vni, answers)];
    for (const { session } of [...this.byNetwork.under(vni).values()]) {
      yield;
      hold(session);
      if (isLarge) session.sendLarge(frames);
      else session.send(frames);
    }
  }

  private forgetIn(host: string, vni: Vni): void {
    this.remembered.delete(host, vni);
    this.remembering.delete(vni, host);
  }

  private isCurrent(subscription: Subscription, vni: Vni): boolean {
    const { session } = subscription;
    return session.isOpen && this.byHost.get(session.host, vni) === subscription;
  }

  /** In turns with other bases, and no faster than the host reads. Each part is of the revision at which it is sent. */
  private async sendBase(subscription: Subscription, vni: Vni, { network, removed = [] }: BaseContent): Promise<void> {
    const { session, id, since } = subscription;
    const answers = network === undefined ? [] : this.answers(vni, network, { since, removed });
    const frames = baseFrames(() => this.committer.revision, { id, vni }, answers, since);
    for (;;) {
      const wait = session.findWait();
      if (wait) await wait;
      await this.turns.take();
      if (network !== undefined && !this.isCurrent(subscription, vni)) return;
      const next = frames.next();
      if (next.done) return;
      if (next.value !== undefined) session.send([next.value]);
    }
  }

  /**
   * Of a network that may change in between: what is there from the first to the last of them is among them, and every change since
   * the first is also a delta. Undefined in place of each binding that the host has.
   */
  private *answers(
    vni: Vni,
    network: string,
    { since, removed }: Pick<Subscription, "since"> & { readonly removed: readonly BindingKey[] },
  ): Generator<Answer | undefined> {
    const { committer } = this;
    for (const key of removed) {
      const answer = answerKnown(committer.current, noReader, key, committer.revision);
      yield answer.binding ? undefined : answer;
    }
    for (const name of this.vmNames(network)) {
      for (const each of committer.current.findVm(name)?.interfaces ?? []) {
        if (each.network !== network) continue;
        for (const key of keysOf(each, vni)) {
          const answer = answerKnown(committer.current, noReader, key, committer.revision);
          yield since !== undefined && answer.revision <= since ? undefined : answer;
        }
      }
    }
  }

  /** In order, read anew after some of them: an inventory must not be read on when it has changed. */
  private *vmNames(network: string): Generator<string> {
    let from = "";
    for (;;) {
      const names = [...first(this.committer.current.vmNamesIn(network).from(from), namesAtOnce)];
      yield* names;
      const last = names.at(-1);
      if (last === undefined) return;
      // No name comes between.
      from = `${last}\0`;
    }
  }
}

function* first<T>(items: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const item of items) {
    yield item;
    left -= 1;
    if (left === 0) return;
  }
}
