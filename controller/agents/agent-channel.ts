// The agent side of the controller: sessions by host, and pushes; answering.ts has the answers. Everything that is sent is
// computed and queued in one turn of the event loop from `committer.current`, so that frames of a session never go back in
// `asOf`. A snapshot takes many turns: until it is complete, its session buffers all other frames (snapshots.ts).
import type { FastifyBaseLogger } from "fastify";
import type { WebSocket } from "ws";
import { FairTurns, inSlices } from "../../common/cooperative.ts";
import { Heat } from "../../common/heat.ts";
import type { Revision } from "../../schema/address/index.ts";
import { type AgentFrame, closeCodes, conditionSentence, FrameError } from "../../schema/agent/index.ts";
import type { CertifiedHost, Identity } from "../auth/identity.ts";
import type { OperationalEvents } from "../events/operational-events.ts";
import { placesIn } from "../inventory/changes.ts";
import type { PinnedInventory } from "../inventory/pinned-inventory.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
import type { Metrics } from "../metrics.ts";
import type { Rates } from "../observe/rates.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import { isLarge } from "../write/orders.ts";
import {
  agreeOnProtocol,
  checkName,
  findMismatch,
  getHost,
  type Hello,
  Rejection,
  registerHost,
  VtepRejection,
} from "./admission.ts";
import { Answering } from "./answering.ts";
import { ConditionIntake, type Endings } from "./condition-intake.ts";
import { Declaration } from "./declaration.ts";
import { distribute } from "./distribution.ts";
import { frameText } from "./frames.ts";
import { GroupMembers } from "./group-members.ts";
import { type Allowance, HostAllowances } from "./host-allowance.ts";
import { HostFindings } from "./host-findings.ts";
import { HostSockets } from "./host-sockets.ts";
import { HostStatuses, type SessionStatus } from "./host-status.ts";
import { InterestIndex } from "./interest.ts";
import { openMadeUpQuestions } from "./made-up-questions.ts";
import { MoveEvents } from "./move-events.ts";
import { MoveWatches } from "./move-watch.ts";
import { OwnerProbes } from "./owner-probes.ts";
import { Presence } from "./presence.ts";
import { AgentSession } from "./session.ts";
import type { SessionDeps, SessionHandler, SessionLimits } from "./session-handler.ts";
import { Subscriptions } from "./subscriptions.ts";
import { Takeovers } from "./takeovers.ts";
import type { SendText } from "./text-writer.ts";

/** The part of host certificates that the channel needs. */
export interface Certification {
  readonly enrolment: { readonly trust: { readonly ca: string; readonly issuer: string } };
  readonly certificates: { isStillGood(certified: CertifiedHost): boolean } & Endings;
}

export interface AgentChannelDeps {
  readonly committer: Committer;
  readonly epoch: string;
  /** Hosts may register themselves. */
  readonly selfRegistration: boolean;
  /** Absent: without TLS. */
  readonly certification: Certification | undefined;
  readonly limits: SessionLimits;
  /** Units of the agent channel (host-allowance.ts); default: its own. */
  readonly allowance?: Allowance;
  /** A host without a session for this time is reported as lost. */
  readonly graceMs: number;
  /** Made-up questions run between real ones (heat.ts). */
  readonly isWarm?: boolean;
  readonly operational: OperationalEvents;
  readonly metrics: Metrics;
  readonly rates: Rates;
  readonly log: FastifyBaseLogger;
  readonly now: () => Date;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** Minimum time between two log lines about a host that is over its allowance. */
const tellOfPauseMs = 60_000;

export class AgentChannel implements SessionHandler<AgentSession> {
  readonly moves: MoveWatches;
  private readonly sessions = new Map<string, AgentSession>();
  private readonly statuses = new HostStatuses();
  /** Others only read it. */
  readonly interests = new InterestIndex();
  /** A large revision is being pushed to the sessions. */
  private distributing = false;
  private readonly answering: Answering;
  private readonly subscriptions: Subscriptions;
  private readonly allowances: HostAllowances;
  private readonly sockets = new HostSockets<AgentSession>();
  private readonly sessionDeps: SessionDeps<AgentSession>;
  /** Time of the last log line about the host's allowance. */
  private readonly toldOfPauseMs = new Map<string, number>();
  private readonly moveEvents: MoveEvents;
  private readonly presence: Presence;
  private readonly heat: Heat | undefined;
  private readonly findings: HostFindings;
  /** Others only read the present conditions, and note refusals. */
  readonly conditions: ConditionIntake;
  private readonly probes = new OwnerProbes();
  /** Others only thaw addresses. */
  readonly takeovers: Takeovers;
  /** Others only read them. */
  readonly groups: GroupMembers;

  constructor(private readonly deps: AgentChannelDeps) {
    this.presence = new Presence(deps);
    if (deps.isWarm)
      this.heat = new Heat({
        open: () => openMadeUpQuestions(deps.limits, deps.nowMs),
        failed: (error) => deps.log.warn({ err: error }, "the way of answers is not kept warm"),
        nowMs: deps.nowMs,
      });
    this.findings = new HostFindings({
      ...deps,
      reportsConditions: (host, agoMs) => this.conditions.covers(host, agoMs),
    });
    this.takeovers = new Takeovers({
      ...deps,
      probe: (host, guest) => {
        const session = this.sessions.get(host);
        return session?.isSynced ? this.probes.ask(session, guest) : undefined;
      },
      isLost: (host) => this.presence.isLost(host),
      update: (host) => this.conditions.present.update(host),
    });
    this.conditions = new ConditionIntake({
      ...deps,
      endings: deps.certification?.certificates,
      addressesOn: (host) => this.takeovers.seenOn(host),
      helloOf: (host) => this.sessions.get(host)?.hello,
      awaySince: (host) => (this.isConnected(host) ? undefined : this.statuses.statusOf(host).lastSeen),
      admits: (host) => this.findings.admits(host),
    });
    const { interests, statuses } = this;
    const { committer, limits, nowMs } = deps;
    this.allowances = new HostAllowances(deps.allowance);
    this.sessionDeps = { handler: this, limits, allowances: this.allowances, turns: new FairTurns(), nowMs };
    this.subscriptions = new Subscriptions(committer);
    this.groups = new GroupMembers({ current: () => committer.current, sessions: this.sessions, nowMs });
    this.answering = new Answering({ ...deps, interests, sessions: this.sessions });
    this.moves = new MoveWatches({
      committer,
      interests,
      statuses,
      subscriptions: this.subscriptions,
      prompt: (host) => this.prompt(host),
      statusOf: (host) => this.statusOf(host),
      nowMs,
    });
    this.moveEvents = new MoveEvents({ ...deps, moves: this.moves });
    deps.committer.subscribe((commit, before) => this.onCommit(commit, before));
    deps.metrics.observe({
      sessions: () => this.sessions.size,
      interest: () => this.interests.size,
      group_memberships: () => this.groups.size,
      made_up_questions: () => this.heat?.runs ?? 0,
    });
  }

  accept(socket: WebSocket, identity: Identity, sendText: SendText): void {
    const session = new AgentSession(socket, sendText, identity, this.sessionDeps);
    if (identity.kind !== "host") return;
    for (const crowdedOut of this.sockets.add(identity.name, session, this.sessions.get(identity.name))) {
      this.deps.metrics.agentSocketEnded();
      crowdedOut.terminate();
    }
  }

  isConnected(host: string): boolean {
    return this.sessions.has(host);
  }

  /** Status of the host's agent; `problems` are its conditions as sentences. */
  statusOf(name: string): SessionStatus {
    const present = this.conditions.present.of(name);
    const problems = present.map((each) => conditionSentence(each, each.network?.name));
    return { ...this.statuses.statusOf(name), problems, connected: this.isConnected(name) };
  }

  presenceOf(name: string): Pick<SessionStatus, "connected" | "lastSeen"> {
    return { lastSeen: this.statuses.statusOf(name).lastSeen, connected: this.isConnected(name) };
  }

  /** Of the connected agent; undefined where none is. */
  versionOf(host: string): string | undefined {
    return this.sessions.get(host)?.hello?.version;
  }

  waitApplied(host: string, revision: Revision, timeoutMs: number): Promise<boolean> {
    return this.statuses.waitApplied(host, revision, timeoutMs);
  }

  /** Every certificate of the host was revoked. */
  revoked(host: string): void {
    this.sessions.get(host)?.close(closeCodes.certificateEnded, `the certificates of host "${host}" were revoked`);
  }

  /** Agents get the new trusted CAs with their next frame; sessions with a certificate of a removed CA are closed. */
  trustChanged(): void {
    for (const session of this.sessions.values()) {
      if (this.endIfUncertified(session)) continue;
      this.sendTrust(session);
    }
  }

  stop(): void {
    this.presence.stop();
    this.groups.stop();
    this.heat?.want(false);
    this.conditions.stop();
    this.statuses.stop();
    for (const session of this.sessions.values()) {
      session.close(closeCodes.controllerStopping, "the controller is stopping");
    }
  }

  async hello(session: AgentSession, hello: Hello): Promise<void> {
    const protocol = agreeOnProtocol(hello.protocol);
    checkName(session.identity, hello);
    const { committer, epoch, selfRegistration, log } = this.deps;
    const isNew = selfRegistration && committer.current.findHost(hello.host) === undefined;
    if (selfRegistration) await this.register(hello);
    // Revoked between the upgrade and this frame.
    if (!session.isOpen || this.endIfUncertified(session)) return;
    const host = getHost(committer.current, hello.host, selfRegistration);
    const mismatch = findMismatch(host, hello);
    if (mismatch)
      log.warn({ host: host.name, ...mismatch }, "the agent was started with another VTEP than the registered one");
    this.settleWithOlder(host.name, session);
    this.sessions.set(host.name, session);
    this.heat?.want(true);
    session.accept(hello, protocol);
    const { name, vtep, port } = host;
    const position = { protocol, epoch, asOf: committer.revision };
    const self = { host: name, vtep, vtepPort: port, ...(isNew ? { isNew: true as const } : {}) };
    session.send([frameText({ type: "welcome", ...position, ...self, groups: true })]);
    this.sendTrust(session);
    log.info({ host: name, version: hello.version }, "agent connected");
    this.presence.connected(name);
    this.conditions.begin(name, keyOfPeer(session.identity));
  }

  private async register(hello: Hello): Promise<void> {
    try {
      await registerHost(this.deps.committer, hello);
    } catch (error) {
      if (error instanceof VtepRejection && error.owner !== undefined)
        this.conditions.refuse(error.owner, { reason: "vtep-taken", values: { agent: hello.host } });
      throw error;
    }
  }

  declared(
    session: AgentSession,
    declaration = new Declaration(),
    { keys, held }: Extract<AgentFrame, { type: "interest" }>,
  ): Declaration {
    declaration.add(this.deps.committer.current, session.host, keys, held);
    return declaration;
  }

  async interest(session: AgentSession, declaration: Declaration): Promise<void> {
    const { leftOut } = declaration;
    if (leftOut > 0) {
      this.deps.metrics.keysLeftOut(leftOut);
      const host = session.host;
      this.deps.log.warn({ host, leftOut }, "more unregistered addresses than a host may declare: the rest is ignored");
    }
    await this.answering.declare(session, declaration);
    if (!session.isOpen) return;
    this.subscriptions.forget(session.host);
    this.groups.begin(session.host, session);
  }

  resolve(session: AgentSession, frame: Extract<AgentFrame, { type: "resolve" }>): number {
    this.heat?.used(this.deps.nowMs());
    return this.answering.resolve(session, frame);
  }

  paused(host: string, ms: number): void {
    this.deps.metrics.agentPaused(ms / 1_000);
    const nowMs = this.deps.nowMs();
    if (nowMs - (this.toldOfPauseMs.get(host) ?? Number.NEGATIVE_INFINITY) < tellOfPauseMs) return;
    this.toldOfPauseMs.set(host, nowMs);
    this.deps.log.warn({ host, ms }, "the host sends more than its allowance: its channel is read more slowly");
  }

  release(session: AgentSession, frame: Extract<AgentFrame, { type: "release" }>): void {
    this.answering.release(session, frame);
  }

  subscribe(session: AgentSession, { id, vni, asOf }: Extract<AgentFrame, { type: "subscribe" }>): number {
    const isComparable = session.hello?.epoch === this.deps.epoch && (asOf ?? 0) <= this.deps.committer.revision;
    return this.subscriptions.begin(session, { id, vni }, isComparable ? asOf : undefined);
  }

  unsubscribe(session: AgentSession, { id, vni }: Extract<AgentFrame, { type: "unsubscribe" }>): void {
    this.subscriptions.end(session.host, vni);
    session.send(session.writer.answers(id, this.deps.committer.revision, []));
  }

  used(session: AgentSession, { keys }: Extract<AgentFrame, { type: "used" }>): void {
    this.answering.used(session.host, keys);
  }

  applied(session: AgentSession, frame: Extract<AgentFrame, { type: "applied" }>): void {
    const { revision } = this.deps.committer;
    if (frame.revision > revision) throw new FrameError(`applied ${frame.revision} is beyond the log, at ${revision}`);
    const host = session.host;
    this.conditions.sentences(host, frame.problems);
    this.statuses.applied(host, frame.revision);
    if (frame.misses) this.deps.rates.programmed(session.host, frame.misses);
  }

  reported(session: AgentSession, { reports }: Extract<AgentFrame, { type: "report" }>): void {
    this.findings.take(session.host, reports);
  }

  conditionsReported(session: AgentSession, frame: Extract<AgentFrame, { type: "conditions" }>): void {
    this.conditions.frame(session.host, frame);
  }

  claimed(session: AgentSession, frame: Extract<AgentFrame, { type: "claim" }>): void {
    const decided = this.takeovers.claim(session.host, frame, session.mayBeLate).then((result) => {
      const granted = result === "moved" || result === "kept";
      session.send([frameText({ type: "claimed", id: frame.id, granted, ...(granted ? {} : { reason: result }) })]);
    });
    session.follow(decided);
  }

  probed(session: AgentSession, { id, answers }: Extract<AgentFrame, { type: "probed" }>): void {
    this.probes.answered(session, id, answers);
  }

  joined(session: AgentSession, frame: Extract<AgentFrame, { type: "memberships" }>): void {
    this.groups.reported(session.host, frame);
  }

  heard(session: AgentSession): void {
    if (session.hello && this.isCurrent(session)) this.statuses.seen(session.hello.host, this.deps.now());
  }

  beat(session: AgentSession): void {
    if (this.endIfUncertified(session)) return;
    this.bookmark(session);
  }

  /** Hosts that follow a network have deltas, which they confirm with the next bookmark. */
  private prompt(host: string): void {
    const session = this.sessions.get(host);
    if (session && this.subscriptions.isFollowing(host)) this.bookmark(session);
  }

  private bookmark(session: AgentSession): void {
    // A bookmark says that all before it was sent, which is not so in the middle of a large revision.
    if (session.isSynced && !this.distributing)
      session.send([frameText({ type: "heartbeat", asOf: this.deps.committer.revision })]);
  }

  closed(session: AgentSession): void {
    this.subscriptions.endAll(session);
    this.probes.ended(session);
    if (session.identity.kind === "host") this.sockets.ended(session.identity.name, session);
    if (!session.hello || !this.isCurrent(session)) return;
    this.sessions.delete(session.hello.host);
    this.heat?.want(this.sessions.size > 0);
    this.deps.log.info({ host: session.hello.host }, "agent disconnected");
    this.presence.disconnected(session.hello.host);
    this.conditions.present.update(session.hello.host);
  }

  failed(session: AgentSession, error: unknown): void {
    this.deps.log.error({ err: error, host: session.hello?.host }, "agent session failed");
  }

  private onCommit(commit: Commit, before?: PinnedInventory): void | Promise<void> {
    if (!isLarge(commit)) return atOnce(this.distribute(commit));
    this.distributing = true;
    return inSlices(this.distribute(commit, before)).finally(() => {
      this.distributing = false;
    });
  }

  private *distribute(commit: Commit, before?: PinnedInventory): Steps<void> {
    const { deps, interests, statuses, sessions, subscriptions } = this;
    const { deletedHosts, departures, ...changes } = yield* distribute(
      { ...deps, interests, statuses, sessions, subscriptions },
      commit,
      before,
    );
    this.groups.follow(changes);
    for (const host of deletedHosts) {
      sessions.get(host)?.close(closeCodes.hostDeleted, `host "${host}" was deleted`);
      statuses.forget(host);
      this.presence.forget(host);
      this.findings.forget(host);
      this.conditions.forget(host);
      subscriptions.forget(host);
      this.allowances.forget(host);
      this.toldOfPauseMs.delete(host);
      deps.metrics.forgetHost(host);
      deps.rates.forget(host);
    }
    this.moveEvents.follow(commit, departures);
    for (const host of this.takeovers.hostsWithMarked()) this.conditions.present.update(host);
    for (const { kind, after } of placesIn(commit.changes))
      if (kind === "host" && after) this.conditions.present.update(after.name);
  }

  /**
   * One session per host. An agent that lost its connection reconnects with the same key and takes over; a client with
   * another key must not be able to replace a working agent. @throws Rejection
   */
  private settleWithOlder(host: string, session: AgentSession): void {
    const older = this.sessions.get(host);
    if (!older?.isOpen) return;
    const sameKey = keyOfPeer(older.identity) === keyOfPeer(session.identity);
    this.deps.metrics.secondSession(sameKey ? "replaced" : "refused");
    if (sameKey) {
      this.deps.log.warn({ host }, "second session: the older one with the same key is closed");
      older.close(closeCodes.replaced, `another agent connected as host "${host}"`);
      return;
    }
    const line = "second session with another key: refused, because an agent of this host is connected";
    const refusal = { reason: "name-taken", key: keyOfPeer(session.identity) } as const;
    this.deps.log[this.conditions.refuse(host, refusal) ? "warn" : "debug"]({ host }, line);
    throw new Rejection(closeCodes.hostTaken, `an agent with another key is connected as host "${host}"`);
  }

  private endIfUncertified(session: AgentSession): boolean {
    const { identity } = session;
    if (identity.kind !== "host" || this.deps.certification?.certificates.isStillGood(identity) !== false) return false;
    session.close(closeCodes.certificateEnded, `the certificate of host "${identity.name}" has ended`);
    return true;
  }

  private sendTrust(session: AgentSession): void {
    const { certification } = this.deps;
    if (!certification || session.identity.kind !== "host") return;
    session.send([frameText({ type: "trust", ...certification.enrolment.trust })]);
  }

  private isCurrent(session: AgentSession): boolean {
    return session.hello !== undefined && this.sessions.get(session.hello.host) === session;
  }
}

/** Must be equal for two sessions of one host; the same for all peers without a certificate. */
function keyOfPeer(identity: Identity): string | undefined {
  return identity.kind === "host" ? identity.key : undefined;
}
