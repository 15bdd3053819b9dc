// Turns misses into queries. Addresses that are local, known, absent, already in flight or over budget are not queried. No
// timers and no I/O except through the dependencies; time is injected.
import {
  type Answer,
  type BindingKey,
  type IpAddress,
  keyText,
  type MacAddress,
  type Vni,
} from "../../schema/address/index.ts";
import { type AgentFrame, chunk, type Question } from "../../schema/agent/index.ts";
import type { Entry } from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { Replicas } from "../tables/replicas.ts";
import { Budget } from "./budget.ts";
import { type Miss, missKey, type ThreadAnswer } from "./miss.ts";
import type { Timeline } from "./timeline.ts";
import type { WaitingGuest } from "./waiting.ts";

/** Maximum of pending queries; beyond, the oldest is dropped: its guest retries. */
const maxInFlight = 4_096;
const firstQuietMs = 5_000;
const maxQuietMs = 60_000;

/**
 * Time for which an address is not queried again, after the controller has answered `times` times in a row that it is unknown.
 * Its registration is pushed anyway.
 */
export function quietMs(times: number): number {
  return Math.min(maxQuietMs, firstQuietMs * 2 ** (times - 1));
}

/** Budgets of queries to the controller, and of look-ups in whole networks in memory: a scan by one guest leaves room for its network and its host. */
export const allowances = {
  guest: { perSecond: 200, burst: 512 },
  network: { perSecond: 1_000, burst: 2_048 },
  host: { perSecond: 2_000, burst: 4_096 },
} as const;

/** Answers of the thread for networks in memory that may be uncounted in a network: more than 100 guests ask for at the same moment. */
export const maxUncounted = 128;

/** What is known of the guests that ask: the announcer. */
export interface Askers {
  /** Some guest waits for an address. */
  missed(vni: Vni, target: IpAddress): void;
  /** Whether a guest may wait for an address. */
  isAwaited(vni: Vni, target: IpAddress): boolean;
  /** Reads the broadcasts of a network's guests, for `askerOf`. */
  listen(vni: Vni): void;
  /** The guest that asked last for an address, if its request was recorded. */
  askerOf(vni: Vni, target: IpAddress): WaitingGuest | undefined;
  /** The guest that sent nearly all unrecorded requests: one that scans, and is ignored therefore. */
  suspectIn(vni: Vni): MacAddress | undefined;
  /** A guest has its answer for an address. */
  answered(vni: Vni, target: IpAddress, guest: MacAddress): void;
  /** Looks up the port of a guest during the query for it. */
  locate(vni: Vni, guest: WaitingGuest): void;
  /** Ignores the requests of a guest for a while. */
  ignore(vni: Vni, guest: MacAddress): void;
}

/** The thread that answers misses of networks in memory by itself (ADR 0230), as far as budgets concern it. */
export interface ThreadAllowance {
  /** Of a network: so many answers may be given that are not counted here. */
  allow(vni: Vni, count: number): void;
  /** Networks that it serves. */
  readonly servedCount: number;
}

export interface ResolverDependencies {
  readonly held: Pick<HeldAnswers, "lookUp">;
  readonly replicas: Pick<Replicas, "lookUp">;
  /** Absent with `--announce off`. */
  readonly askers: Askers | undefined;
  /** Drops frames without a session: `unanswered` are part of the next session's interest. */
  readonly uplink: { send(frame: AgentFrame): void; nextId(): number };
  /** Writes held entries that the kernel has lost, as these misses show. */
  reassert(entries: readonly Entry[], misses: readonly Timeline[]): void;
  /** Answers from whole networks in memory to `misses`; nothing is registered for `unknown`. */
  answerHere(answers: readonly Answer[], misses: readonly Timeline[], unknown: readonly Timeline[]): void;
  /** Absent: no thread answers misses. */
  readonly thread?: ThreadAllowance | undefined;
  /** Makes what the thread has written what is desired now. */
  correct(answers: readonly ThreadAnswer[]): void;
  /** A query was dropped: `guest` has used up its budget, or, if absent, its network or the host has. */
  overBudget(vni: Vni, guest: MacAddress | undefined): void;
  /** Runs after all queued misses have been read. */
  afterReading(callback: () => void): void;
  nowMs(): number;
}

export interface MissCounters {
  missed: number;
  asked: number;
  joined: number;
  local: number;
  quiet: number;
  reasserted: number;
  /** Answered from a whole network in memory: a binding, or that nothing is registered there. */
  here: number;
  /** Of those and of the reasserted, answered by the thread for networks in memory. */
  byThread: number;
  unregistered: number;
  overBudget: number;
}

export interface BudgetReport {
  readonly host: number;
  readonly networks: readonly { readonly vni: number; readonly left: number }[];
  readonly guests: readonly { readonly name: string; readonly left: number }[];
}

export class MissResolver {
  readonly counters: MissCounters = {
    missed: 0,
    asked: 0,
    joined: 0,
    local: 0,
    quiet: 0,
    reasserted: 0,
    here: 0,
    byThread: 0,
    unregistered: 0,
    overBudget: 0,
  };
  private fromThread: ThreadAnswer[] = [];
  /** By network, guests with less left than the thread may answer uncounted. */
  private readonly low = new Map<Vni, Set<string>>();
  private readonly inFlight = new Map<string, Timeline>();
  /** Read, not yet decided on. */
  private read = new Map<string, Timeline>();
  /** More may be waiting to be read. */
  private reading = false;
  private readonly guests = new Budget(allowances.guest);
  private readonly networks = new Budget(allowances.network);
  private readonly host = new Budget(allowances.host);

  constructor(private readonly deps: ResolverDependencies) {}

  readonly onMiss = (miss: Miss): void => {
    this.counters.missed++;
    if (miss.kind === "l3miss") this.deps.askers?.missed(miss.vni, miss.ip);
    const text = keyText(missKey(miss));
    if (this.inFlight.has(text) || this.read.has(text)) {
      this.counters.joined++;
      return;
    }
    this.note(text, { miss, missedMs: this.deps.nowMs() });
  };

  /** The thread has answered a miss; its guest waits no more if it has its reply. What others do follows as for any miss. */
  readonly onThreadAnswer = (byThread: ThreadAnswer): void => {
    const { miss, missedMs } = byThread;
    this.counters.missed++;
    this.counters.byThread++;
    this.fromThread.push(byThread);
    if (this.read.has(keyText(missKey(miss)))) this.counters.joined++;
    if (byThread.repliedMs === undefined) this.deps.askers?.missed(miss.vni, miss.ip);
    this.note(keyText(missKey(miss)), { miss, missedMs, byThread });
  };

  /** The thread serves a network from now on. */
  readonly grant = (vni: Vni): void => {
    const { thread } = this.deps;
    if (thread) thread.allow(vni, this.allowanceOf(vni, thread.servedCount));
  };

  private note(text: string, timeline: Timeline): void {
    this.read.set(text, timeline);
    if (this.reading) return;
    // The first queued miss need not wait for the others.
    this.reading = true;
    this.deps.afterReading(() => {
      this.reading = false;
      this.decide();
    });
    this.decide();
  }

  /** The timelines that end with these answers. */
  onAnswers(answers: readonly Answer[]): Timeline[] {
    const answeredMs = this.deps.nowMs();
    return answers.flatMap(({ key }) => {
      const text = keyText(key);
      const timeline = this.inFlight.get(text);
      if (!timeline) return [];
      this.inFlight.delete(text);
      return [{ ...timeline, answeredMs }];
    });
  }

  /** Keys that a guest waits for: part of the interest of a new session, so that its snapshot answers them. */
  unanswered(): BindingKey[] {
    return [...this.inFlight.values()].map(({ miss }) => missKey(miss));
  }

  /** Misses whose queries are pending, oldest first. */
  waiting(): Timeline[] {
    return [...this.inFlight.values()];
  }

  /** Remaining budgets. Guests as "VNI MAC", the most exhausted first. */
  budgets(nowMs: number): BudgetReport {
    return {
      host: this.host.left(nowMs).get("host") ?? allowances.host.burst,
      networks: [...this.networks.left(nowMs)].map(([vni, left]) => ({ vni: Number(vni), left })),
      guests: [...this.guests.left(nowMs)]
        .map(([name, left]) => ({ name, left }))
        .filter(({ left }) => left < allowances.guest.burst)
        .sort((a, b) => a.left - b.left)
        .slice(0, 16),
    };
  }

  /** On all that was read so far. */
  decide(): void {
    const { read, fromThread } = this;
    if (read.size === 0) return;
    this.read = new Map();
    this.fromThread = [];
    const nowMs = this.deps.nowMs();
    const { held, replicas, askers } = this.deps;
    for (const vni of new Set([...read.values()].map(({ miss }) => miss.vni))) askers?.listen(vni);
    for (const { miss, asker, repliedMs } of fromThread)
      if (repliedMs !== undefined) askers?.answered(miss.vni, miss.ip, asker.mac);
    const questions: Question[] = [];
    const located: { readonly vni: Vni; readonly asker: WaitingGuest }[] = [];
    const lost: Entry[] = [];
    const told: Timeline[] = [];
    const here: Answer[] = [];
    const answered: Timeline[] = [];
    const unknown: Timeline[] = [];
    for (const [text, timeline] of read) {
      const key = missKey(timeline.miss);
      const known = held.lookUp(key, nowMs);
      if (known.kind === "remote") {
        this.counters.reasserted++;
        lost.push(...known.entries);
        told.push(timeline);
        continue;
      }
      const found = known.kind === "local" ? undefined : replicas.lookUp(key, nowMs);
      // A VM that has just come to this host is in its network's table first.
      if (known.kind === "local" || found?.binding?.local) this.counters.local++;
      else if (found === undefined && known.kind === "absent" && known.forMs < quietMs(known.times))
        this.counters.quiet++;
      else {
        const { byThread } = timeline;
        const asker = byThread?.asker ?? (key.kind === "ip" ? askers?.askerOf(key.vni, key.ip) : undefined);
        if (!this.admit(key, asker, byThread !== undefined, nowMs)) continue;
        if (asker && found !== null && !byThread) located.push({ vni: key.vni, asker });
        if (found) {
          here.push(found);
          answered.push(timeline);
        } else if (found === null) unknown.push(timeline);
        else {
          // The network has become one on demand: its answer is that of the table, until the controller's is there.
          if (byThread) here.push(answerOf(byThread));
          this.remember(text, { ...timeline, askedMs: nowMs });
          questions.push(asker ? { ...key, asker: asker.ip } : key);
        }
      }
    }
    if (lost.length > 0) this.deps.reassert(lost, told);
    this.counters.here += here.length;
    this.counters.unregistered += unknown.length;
    if (here.length + unknown.length > 0) this.deps.answerHere(here, answered, unknown);
    if (fromThread.length > 0) this.deps.correct(fromThread);
    this.ask(questions);
    for (const { vni, asker } of located) askers?.locate(vni, asker);
    for (const vni of new Set([...read.values()].map(({ miss }) => miss.vni))) this.grant(vni);
  }

  private ask(questions: readonly Question[]): void {
    if (questions.length === 0) return;
    const { uplink } = this.deps;
    for (const part of chunk(questions)) uplink.send({ type: "resolve", id: uplink.nextId(), questions: part });
  }

  /** Taken from all three budgets or none: a guest over its own budget does not use those of its network and host. */
  private admit(key: BindingKey, asker: WaitingGuest | undefined, isAnswered: boolean, nowMs: number): boolean {
    const network = String(key.vni);
    const mac = asker?.mac ?? (key.kind === "ip" ? this.deps.askers?.suspectIn(key.vni) : undefined);
    const guest = mac && `${network} ${mac}`;
    // What has been answered is counted: the next one waits for it.
    const exhausted = isAnswered ? undefined : this.exhausted(network, guest, nowMs);
    if (exhausted !== undefined) {
      this.refuse(key.vni, exhausted === "guest" ? mac : undefined);
      return false;
    }
    if (guest !== undefined) {
      this.guests.spend(guest, nowMs);
      this.noteLow(key.vni, guest, nowMs);
    }
    this.networks.spend(network, nowMs);
    this.host.spend("host", nowMs);
    return true;
  }

  /** A query is dropped: `guest` is over its budget, or, if absent, its network or the host is. */
  readonly refuse = (vni: Vni, guest: MacAddress | undefined): void => {
    this.counters.overBudget++;
    if (guest) this.deps.askers?.ignore(vni, guest);
    this.deps.overBudget(vni, guest);
  };

  private exhausted(
    network: string,
    guest: string | undefined,
    nowMs: number,
  ): "guest" | "network" | "host" | undefined {
    if (guest !== undefined && !this.guests.allows(guest, nowMs)) return "guest";
    if (!this.networks.allows(network, nowMs)) return "network";
    return this.host.allows("host", nowMs) ? undefined : "host";
  }

  private noteLow(vni: Vni, guest: string, nowMs: number): void {
    if (this.deps.thread === undefined || this.guests.leftOf(guest, nowMs) >= maxUncounted) return;
    const low = this.low.get(vni) ?? new Set();
    this.low.set(vni, low.add(guest));
  }

  /** None while a budget might not suffice for all of them: the main thread judges each miss then. */
  private allowanceOf(vni: Vni, servedCount: number): number {
    const nowMs = this.deps.nowMs();
    const low = this.low.get(vni);
    for (const guest of low ?? []) if (this.guests.leftOf(guest, nowMs) >= maxUncounted) low?.delete(guest);
    if (low?.size === 0) this.low.delete(vni);
    const share = this.host.leftOf("host", nowMs) / Math.max(1, servedCount);
    const left = Math.min(this.networks.leftOf(String(vni), nowMs), share);
    return this.low.has(vni) || left < 0 ? 0 : Math.min(maxUncounted, Math.floor(left));
  }

  private remember(text: string, timeline: Timeline): void {
    this.counters.asked++;
    const [oldest] = this.inFlight.keys();
    if (this.inFlight.size >= maxInFlight && oldest !== undefined) this.inFlight.delete(oldest);
    this.inFlight.set(text, timeline);
  }
}

/** What a table said when the thread read it. The name of the host is not known any more, and not needed here. */
function answerOf({ miss, revision, written: { vni: _, ip: __, ...binding } }: ThreadAnswer): Answer {
  return { key: missKey(miss), revision, binding: { ...binding, host: "" } };
}
