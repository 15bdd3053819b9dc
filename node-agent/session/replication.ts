// Whole networks in the agent's memory: which are subscribed to, what their bases and deltas change in the kernel, and the answers to
// misses that follow from them. tables/replicas.ts has the tables, usage.ts says what the kernel has of them.
import type { Turns } from "../../common/cooperative.ts";
import { defined } from "../../common/defined.ts";
import type { AgentNetwork, Answer, Revision, Vni } from "../../schema/address/index.ts";
import { chunk, protocolVersions } from "../../schema/agent/index.ts";
import type { Frame } from "../controller-link/frame-assembly.ts";
import type { Uplink } from "../controller-link/uplink.ts";
import type { HostCondition } from "../findings/condition.ts";
import type { Askers } from "../misses/resolver.ts";
import type { Timeline } from "../misses/timeline.ts";
import type { Programmed } from "../networks/entry-writer.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { HeldFact, Occasion } from "../tables/held-network.ts";
import type { Replicas } from "../tables/replicas.ts";
import type { AppliedPosition } from "./applied-position.ts";
import { answersAlone, tooStale, withoutRoom } from "./memory-problems.ts";
import type { MissOutcomes } from "./miss-outcomes.ts";
import type { Usage } from "./usage.ts";

export interface ReplicationDependencies {
  readonly replicas: Replicas;
  readonly held: HeldAnswers;
  readonly registered: Pick<RegisteredNetworks, "nameOf">;
  /** As the answers of frames. */
  readonly take: (answers: readonly Answer[], occasion: Occasion) => Promise<Programmed>;
  readonly usage: Usage;
  /** Absent with `--announce off`. */
  readonly askers: Pick<Askers, "isAwaited"> | undefined;
  readonly outcomes: Pick<MissOutcomes, "answeredHere">;
  readonly progress: Pick<AppliedPosition, "follow">;
  readonly uplink: Pick<Uplink, "send" | "nextId">;
  readonly turns: Turns;
  nowMs(): number;
  /** ms since 1970. */
  wallMs(): number;
}

/** Answers that are written at once while the kernel is filled. */
const maxLot = 64;

export class Replication {
  /** Of the session. */
  private protocol: number = protocolVersions.min;
  /** The ids of the last `subscribe`: a part of a base that belongs to an earlier one is void. */
  private readonly subscribed = new Map<Vni, number>();
  /** Networks of which the kernel should have everything; with an object while it is being filled. */
  private readonly prefetched = new Map<Vni, object | undefined>();
  /** Networks without room. They are on demand until the next session, or until they are described anew. */
  private readonly refused = new Set<Vni>();

  constructor(private readonly deps: ReplicationDependencies) {}

  /** Problems that an operator should fix. */
  get conditions(): HostCondition[] {
    const { replicas, nowMs, wallMs } = this.deps;
    const now = nowMs();
    const since = (aloneMs: number): number => wallMs() - (now - aloneMs);
    const refused = [...this.refused].map((vni) => withoutRoom(vni, this.nameOf(vni), replicas.maxBytes));
    const alone = replicas.alone(now);
    const stale = alone
      .filter(({ isStale }) => isStale)
      .map(({ vni, sinceMs }) => tooStale(vni, this.nameOf(vni), since(sinceMs)));
    const answering = alone.filter(({ isStale }) => !isStale);
    const names = answering.map(({ vni }) => this.nameOf(vni));
    const firstMs = Math.min(...answering.map(({ sinceMs }) => sinceMs));
    return [...refused, ...(names.length > 0 ? [answersAlone(names, since(firstMs))] : []), ...stale];
  }

  /** For how long networks in memory are without a session, ms, those that do not answer any more included; 0: none is. */
  get aloneForMs(): number {
    const { replicas, nowMs } = this.deps;
    const now = nowMs();
    return Math.max(0, ...replicas.alone(now).map(({ sinceMs }) => now - sinceMs));
  }

  /** The same of one network. */
  aloneForMsOf(network: Vni): number | undefined {
    const { replicas, nowMs } = this.deps;
    const now = nowMs();
    const found = replicas.alone(now).find(({ vni }) => vni === network);
    return found && now - found.sinceMs;
  }

  private nameOf(vni: Vni): string {
    return this.deps.registered.nameOf(vni) ?? String(vni);
  }

  /** What an operator sees of a network. */
  stateOf(vni: Vni): "complete" | "receiving" | "alone" | "no room" | undefined {
    const { replicas } = this.deps;
    if (this.refused.has(vni)) return "no room";
    if (!this.subscribed.has(vni)) return replicas.has(vni) ? "alone" : undefined;
    return replicas.isComplete(vni) ? "complete" : "receiving";
  }

  /** A session begins. */
  begin(protocol: number, isSameStore: boolean): void {
    this.protocol = protocol;
    this.refused.clear();
    if (!isSameStore) this.deps.replicas.forgetAll();
  }

  /** The session has its snapshot: nothing but these networks is on this host. */
  start(networks: readonly AgentNetwork[]): void {
    this.keep(new Set(networks.map(({ vni }) => vni)));
    this.follow(networks);
    this.deps.usage.flushAll();
  }

  /** Networks that are new, or described anew. Version 1 has no subscriptions. */
  follow(networks: readonly AgentNetwork[]): void {
    for (const { vni, knowledge } of networks) {
      this.refused.delete(vni);
      const isWanted = knowledge !== undefined && this.protocol >= 2;
      if (knowledge === "prefetch") this.prefetched.set(vni, undefined);
      else this.prefetched.delete(vni);
      if (isWanted) this.subscribe(vni);
      else if (this.subscribed.has(vni)) this.unsubscribe(vni);
      else this.leave(vni);
      void this.fill(vni);
    }
  }

  /** Networks of an earlier run, with their tables, before a session. */
  recall(networks: readonly AgentNetwork[]): void {
    for (const { vni, knowledge } of networks) {
      if (knowledge !== "prefetch") continue;
      this.prefetched.set(vni, undefined);
      void this.fill(vni);
    }
  }

  /** The kernel has all of the network, as far as there is room: also what no guest uses. */
  isPrefetched(vni: Vni): boolean {
    return this.prefetched.has(vni) && this.deps.replicas.has(vni);
  }

  /** Others are not on this host any more: their subscriptions have ended with them. */
  keep(vnis: ReadonlySet<Vni>): void {
    const { replicas, usage } = this.deps;
    replicas.keep(vnis);
    for (const vni of [...this.subscribed.keys(), ...this.refused, ...this.prefetched.keys()]) {
      if (vnis.has(vni)) continue;
      this.prefetched.delete(vni);
      this.subscribed.delete(vni);
      this.refused.delete(vni);
      usage.take(vni);
    }
  }

  onBase({ id, vni, asOf, answers, since, end }: Frame<"base">): void {
    if (this.subscribed.get(vni) !== id) return;
    const { replicas } = this.deps;
    const isTaken = replicas.takeBase(vni, answers, { isWhole: since === undefined, end });
    if (!isTaken) this.refuse(vni);
    else if (end) {
      this.compare(vni, asOf);
      void this.fill(vni);
    }
  }

  /** What the kernel has changes with the table, and a guest that waits for what is new gets its answer. */
  onDelta({ vni, answers }: Frame<"delta">): void {
    const { held, replicas, askers, usage } = this.deps;
    if (!replicas.takeDelta(vni, answers)) this.refuse(vni);
    // This host's own VMs are in `changes`, with their ports.
    const remote = answers.filter(({ binding, key }) => !binding?.local && held.find(key)?.kind !== "local");
    const isWhole = this.isPrefetched(vni) && replicas.isComplete(vni);
    const changed = remote.filter((each) => held.find(each.key) !== undefined || (isWhole && this.isSpare(each)));
    // Known as absent, such as a VM that was here: the controller has no interest of this host in it yet.
    const isNew = ({ key, binding }: Answer): boolean => binding !== null && held.find(key)?.kind === "absent";
    const used = isWhole ? remote : changed.filter(isNew);
    this.change(changed);
    usage.note(used.map(({ key }) => key));
    const isAnswer = ({ key, binding }: Answer): boolean =>
      binding !== null && key.kind === "ip" && held.find(key) === undefined && replicas.isComplete(vni);
    const awaited = remote.filter(
      (each) => isAnswer(each) && each.key.kind === "ip" && askers?.isAwaited(vni, each.key.ip),
    );
    if (awaited.length > 0) this.answerHere(awaited, [], []);
  }

  /** @param position to which the session has brought the tables */
  onClosed(position: Revision | undefined): void {
    for (const vni of this.prefetched.keys()) this.prefetched.set(vni, undefined);
    this.subscribed.clear();
    this.deps.replicas.interrupt(position, this.deps.nowMs());
  }

  /** Answers of the tables to misses; nothing is registered for `unknown`. */
  answerHere(answers: readonly Answer[], misses: readonly Timeline[], unknown: readonly Timeline[]): void {
    const { take, outcomes, progress, usage, nowMs } = this.deps;
    const startMs = nowMs();
    const programmed = take(answers, "asked");
    progress.follow(programmed);
    usage.note(answers.map(({ key }) => key));
    outcomes.answeredHere(misses, unknown, answers, startMs, programmed);
  }

  private subscribe(vni: Vni): void {
    if (this.subscribed.has(vni)) return;
    const { replicas, uplink } = this.deps;
    const id = uplink.nextId();
    this.subscribed.set(vni, id);
    const asOf = replicas.begin(vni);
    uplink.send({ type: "subscribe", id, vni, ...defined({ asOf }) });
  }

  /** The kernel's part of the network becomes interest before the changes of the whole network end. */
  private unsubscribe(vni: Vni): void {
    const { replicas, uplink, usage } = this.deps;
    this.subscribed.delete(vni);
    usage.flush(vni);
    uplink.send({ type: "unsubscribe", id: uplink.nextId(), vni });
    replicas.drop(vni);
  }

  /** The network is on demand since the session began. What was answered without one may have changed: the controller is asked. */
  private leave(vni: Vni): void {
    const { replicas, uplink, usage } = this.deps;
    const open = usage.take(vni);
    for (const questions of open.length > 0 ? chunk(open) : [])
      uplink.send({ type: "resolve", id: uplink.nextId(), questions });
    replicas.drop(vni);
  }

  private refuse(vni: Vni): void {
    this.unsubscribe(vni);
    this.refused.add(vni);
  }

  /**
   * The table is complete as of `asOf`: what the kernel has of an earlier one, without interest in it, may have
   * changed since.
   */
  private compare(vni: Vni, asOf: Revision): void {
    const { held, replicas } = this.deps;
    const differences = held.keysIn(vni).flatMap((key): Answer[] => {
      const fact = held.find(key);
      if (!fact || fact.kind === "local") return [];
      const answer = replicas.find(key);
      if (answer) return answer.binding?.local || isSame(fact, answer) ? [] : [answer];
      return fact.kind === "absent" ? [] : [{ key, revision: asOf, binding: null }];
    });
    this.change(differences);
  }

  /** Puts all that there is room for into the kernel, in turns with everything else. Deltas do the same with what is new. */
  private async fill(vni: Vni): Promise<void> {
    const { replicas, turns } = this.deps;
    if (!this.prefetched.has(vni) || !this.isAnswered(vni)) return;
    const filling = {};
    this.prefetched.set(vni, filling);
    let lot: Answer[] = [];
    let steps = 0;
    for (const answer of replicas.answers(vni)) {
      if (this.isSpare(answer, 2 * lot.length)) lot.push(answer);
      steps += 1;
      if (lot.length < maxLot && steps % maxLot !== 0) continue;
      // In the turn in which they were read: a delta may change them in the next one.
      await this.put(lot);
      lot = [];
      if (turns.over) await turns.next();
      if (this.prefetched.get(vni) !== filling) return;
    }
    await this.put(lot);
    if (this.prefetched.get(vni) === filling) this.prefetched.set(vni, undefined);
  }

  /** Misses in the network are answered from its table, also without a session. */
  private isAnswered(vni: Vni): boolean {
    const { replicas, nowMs } = this.deps;
    if (replicas.isComplete(vni)) return true;
    return !this.subscribed.has(vni) && replicas.alone(nowMs()).some((each) => each.vni === vni && !each.isStale);
  }

  private async put(answers: readonly Answer[]): Promise<void> {
    if (answers.length === 0) return;
    const { take, progress, usage } = this.deps;
    const programmed = take(answers, "told");
    progress.follow(programmed);
    usage.note(answers.map(({ key }) => key));
    await programmed;
  }

  /** A binding elsewhere that the kernel lacks and has room for. */
  private isSpare(answer: Answer, more = 0): boolean {
    const { held } = this.deps;
    return (
      answer.binding !== null &&
      !answer.binding.local &&
      held.find(answer.key) === undefined &&
      held.hasSpare(answer, more)
    );
  }

  private change(answers: readonly Answer[]): void {
    if (answers.length === 0) return;
    const { take, progress } = this.deps;
    progress.follow(take(answers, "told"));
  }
}

function isSame(fact: HeldFact, { binding }: Answer): boolean {
  return (
    fact.kind === "remote" &&
    fact.mac === binding?.mac &&
    fact.vtep === binding.vtep &&
    fact.vtepPort === binding.vtepPort &&
    fact.router === binding.router
  );
}
