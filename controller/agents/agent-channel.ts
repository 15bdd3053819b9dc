// The agent side of the controller: sessions by host, and pushes; answering.ts has the answers. Everything that is sent is
// computed and queued in one turn of the event loop from `committer.current`, so that frames of a session never go back in
// `asOf`. A snapshot takes many turns: until it is complete, its session buffers all other frames (snapshots.ts).
import type { FastifyBaseLogger } from "fastify";
import type { WebSocket } from "ws";
import { FairTurns, inSlices } from "../../common/cooperative.ts";
import type { Revision } from "../../schema/address/index.ts";
import { type AgentFrame, closeCodes, FrameError } from "../../schema/agent/index.ts";
import type { CertifiedHost, Identity } from "../auth/identity.ts";
import type { OperationalEvents } from "../events/operational-events.ts";
import type { Inventory } from "../inventory/inventory.ts";
import { mayKnow } from "../inventory/known-networks.ts";
import { atOnce, type Steps } from "../inventory/steps.ts";
import type { Metrics } from "../metrics.ts";
import type { Rates } from "../observe/rates.ts";
import type { Commit } from "../store/store.ts";
import type { Committer } from "../write/committer.ts";
import { isLarge } from "../write/orders.ts";
import { agreeOnProtocol, checkName, findMismatch, getHost, type Hello, Rejection, registerHost } from "./admission.ts";
import { Answering } from "./answering.ts";
import { Declaration } from "./declaration.ts";
import { distribute } from "./distribution.ts";
import { frameText } from "./frames.ts";
import { type Allowance, HostAllowances } from "./host-allowance.ts";
import { HostFindings } from "./host-findings.ts";
import { HostSockets } from "./host-sockets.ts";
import { type HostStatus, HostStatuses } from "./host-status.ts";
import { problemOf } from "./host-words.ts";
import { InterestIndex } from "./interest.ts";
import { MoveEvents } from "./move-events.ts";
import { MoveWatches } from "./move-watch.ts";
import { Presence } from "./presence.ts";
import { AgentSession, type SessionDeps, type SessionHandler, type SessionLimits } from "./session.ts";
import { Subscriptions } from "./subscriptions.ts";

/** The part of host certificates that the channel needs. */
export interface Certification {
  readonly enrolment: { readonly trust: { readonly ca: string; readonly issuer: string } };
  readonly certificates: { isStillGood(certified: CertifiedHost): boolean };
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

export class AgentChannel implements SessionHandler {
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
  private readonly sessionDeps: SessionDeps;
  /** Time of the last log line about the host's allowance. */
  private readonly toldOfPauseMs = new Map<string, number>();
  private readonly moveEvents: MoveEvents;
  private readonly presence: Presence;
  private readonly findings: HostFindings;

  constructor(private readonly deps: AgentChannelDeps) {
    this.presence = new Presence(deps);
    this.findings = new HostFindings(deps);
    const { interests, statuses } = this;
    const { committer, limits, nowMs } = deps;
    this.allowances = new HostAllowances(deps.allowance);
    this.sessionDeps = { handler: this, limits, allowances: this.allowances, turns: new FairTurns(), nowMs };
    this.subscriptions = new Subscriptions(committer);
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
    deps.metrics.observe({ sessions: () => this.sessions.size, interest: () => this.interests.size });
  }

  accept(socket: WebSocket, identity: Identity): void {
    const session = new AgentSession(socket, identity, this.sessionDeps);
    if (identity.kind !== "host") return;
    for (const crowdedOut of this.sockets.add(identity.name, session, this.sessions.get(identity.name))) {
      this.deps.metrics.agentSocketEnded();
      crowdedOut.terminate();
    }
  }

  isConnected(host: string): boolean {
    return this.sessions.has(host);
  }

  /** Status of the host's agent, including problems that the controller found. */
  statusOf(name: string): HostStatus & { readonly connected: boolean } {
    const status = this.statuses.statusOf(name);
    const host = this.deps.committer.current.findHost(name);
    const hello = this.sessions.get(name)?.hello;
    const mismatch = host && hello && findMismatch(host, hello);
    const downBut = host?.down && hello && "the host is marked down, and its agent is connected: no VM is placed on it";
    const problems = [mismatch, downBut].flatMap((each) => each || []).concat(status.problems);
    return { ...status, problems, connected: this.isConnected(name) };
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
    this.statuses.stop();
    for (const session of this.sessions.values()) {
      session.close(closeCodes.controllerStopping, "the controller is stopping");
    }
  }

  async hello(session: AgentSession, hello: Hello): Promise<void> {
    const protocol = agreeOnProtocol(hello.protocol);
    checkName(session.identity, hello);
    const { committer, epoch, selfRegistration, log } = this.deps;
    if (selfRegistration) await registerHost(committer, hello);
    // Revoked between the upgrade and this frame.
    if (!session.isOpen || this.endIfUncertified(session)) return;
    const host = getHost(committer.current, hello.host, selfRegistration);
    const mismatch = findMismatch(host, hello);
    if (mismatch) log.warn({ host: host.name }, mismatch);
    this.settleWithOlder(host.name, session);
    this.sessions.set(host.name, session);
    session.accept(hello, protocol);
    const { name, vtep, port } = host;
    session.send([
      frameText({ type: "welcome", protocol, epoch, asOf: committer.revision, host: name, vtep, vtepPort: port }),
    ]);
    this.sendTrust(session);
    log.info({ host: name, version: hello.version }, "agent connected");
    this.presence.connected(name);
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
    if (session.isOpen) this.subscriptions.forget(session.host);
  }

  resolve(session: AgentSession, frame: Extract<AgentFrame, { type: "resolve" }>): number {
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
    const { current } = this.deps.committer;
    const problems = frame.problems.map((text) => problemOf(text, (name) => mayKnow(current, host, name)));
    this.statuses.applied(host, frame.revision, [...new Set(problems)]);
    if (frame.misses) this.deps.rates.programmed(session.host, frame.misses);
  }

  reported(session: AgentSession, { reports }: Extract<AgentFrame, { type: "report" }>): void {
    this.findings.take(session.host, reports);
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
    if (session.identity.kind === "host") this.sockets.ended(session.identity.name, session);
    if (!session.hello || !this.isCurrent(session)) return;
    this.sessions.delete(session.hello.host);
    this.deps.log.info({ host: session.hello.host }, "agent disconnected");
    this.presence.disconnected(session.hello.host);
  }

  failed(session: AgentSession, error: unknown): void {
    this.deps.log.error({ err: error, host: session.hello?.host }, "agent session failed");
  }

  private onCommit(commit: Commit, before?: Inventory): void | Promise<void> {
    if (!isLarge(commit)) return atOnce(this.distribute(commit));
    this.distributing = true;
    return inSlices(this.distribute(commit, before)).finally(() => {
      this.distributing = false;
    });
  }

  private *distribute(commit: Commit, before?: Inventory): Steps<void> {
    const { deps, interests, statuses, sessions, subscriptions } = this;
    const { deletedHosts } = yield* distribute(
      { ...deps, interests, statuses, sessions, subscriptions },
      commit,
      before,
    );
    for (const host of deletedHosts) {
      sessions.get(host)?.close(closeCodes.hostDeleted, `host "${host}" was deleted`);
      statuses.forget(host);
      this.presence.forget(host);
      this.findings.forget(host);
      subscriptions.forget(host);
      this.allowances.forget(host);
      this.toldOfPauseMs.delete(host);
      deps.metrics.forgetHost(host);
      deps.rates.forget(host);
    }
    this.moveEvents.follow(commit);
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
    this.deps.log.warn(
      { host },
      "second session with another key: refused, because an agent of this host is connected",
    );
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
