// One agent's connection: the order of frames, and liveness. inbox.ts and outbox.ts have the limits that keep one agent from
// harming the others.
import type { WebSocket } from "ws";
import type { FairTurns } from "../../common/cooperative.ts";
import { every, type Repetition } from "../../common/every.ts";
import { StateMachine } from "../../common/state-machine.ts";
import {
  type AgentFrame,
  closeCodes,
  FrameError,
  parseAgentFrame,
  protocolVersions,
} from "../../schema/agent/index.ts";
import type { Identity } from "../auth/identity.ts";
import { type Hello, Rejection } from "./admission.ts";
import type { Declaration } from "./declaration.ts";
import { type FrameWriter, writerFor } from "./frames.ts";
import { costOf, type HostAllowances, unitsPerFrame } from "./host-allowance.ts";
import { Inbox, type Message } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import { type SessionState, sessionTransitions } from "./session-state.ts";

/** Handlers of the session's frames. Each call returns after all its answers are sent. */
export interface SessionHandler {
  /** @throws Rejection */
  hello(session: AgentSession, hello: Hello): Promise<void>;
  /** Another part of the host's declaration. */
  declared(session: AgentSession, declaration: Declaration | undefined, frame: FrameOf<"interest">): Declaration;
  /** The declaration is complete. Answered in turn, because a whole fleet may reconnect at once. */
  interest(session: AgentSession, declaration: Declaration): Promise<void>;
  /** @returns units beside those of the frame, see host-allowance.ts */
  resolve(session: AgentSession, frame: FrameOf<"resolve">): number;
  release(session: AgentSession, frame: FrameOf<"release">): void;
  /** @returns units beside those of the frame */
  subscribe(session: AgentSession, frame: FrameOf<"subscribe">): number;
  unsubscribe(session: AgentSession, frame: FrameOf<"unsubscribe">): void;
  used(session: AgentSession, frame: FrameOf<"used">): void;
  applied(session: AgentSession, frame: FrameOf<"applied">): void;
  reported(session: AgentSession, frame: FrameOf<"report">): void;
  heard(session: AgentSession): void;
  /** The host is over its allowance: its channel is not read for a while. */
  paused(host: string, ms: number): void;
  /** The heartbeat interval has passed: send a heartbeat. */
  beat(session: AgentSession): void;
  closed(session: AgentSession): void;
  failed(session: AgentSession, error: unknown): void;
}

type FrameOf<Type extends AgentFrame["type"]> = Extract<AgentFrame, { type: Type }>;

export interface SessionLimits {
  readonly heartbeatMs: number;
  /** Maximum bytes waiting for a slow agent, without its snapshot or a large change set. */
  readonly maxBufferedBytes: number;
  /** From the upgrade to the hello, which agents send at once. */
  readonly helloMs: number;
  /** A peer that reads nothing of its snapshot for this time is disconnected. */
  readonly stalledMs: number;
}

/** Dependencies that the sessions share. */
export interface SessionDeps {
  readonly handler: SessionHandler;
  readonly limits: SessionLimits;
  readonly allowances: HostAllowances;
  readonly turns: FairTurns;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** Keys of a declaration that are recorded in one turn: some tenths of a millisecond. */
const keysPerTurn = 128;
/** Questions that are answered in one turn: some tenths of a millisecond. */
const questionsPerTurn = 64;
/** Bytes of a snapshot in the socket that the peer has not read: enough for a fast link, and little for 1,000 slow ones. */
const snapshotWindowBytes = 256 * 1024;
/** RFC 6455 §5.5: a control frame carries 125 bytes, two of them the code. */
const maxReasonBytes = 123;
/** How long a peer may take to answer a close. */
const closeTimeoutMs = 2_000;

export class AgentSession {
  private readonly machine: StateMachine<SessionState>;
  private readonly inbox: Inbox;
  private readonly outbox: Outbox;
  private readonly heartbeat: Repetition;
  /** Of what waits until the peer has read more. */
  private readonly endWaits = new Set<() => void>();
  private lastHeardMs: number;
  /** Snapshots that it has begun to send. */
  snapshots = 0;
  /** Of the session; the lowest before the hello. */
  private protocol: number = protocolVersions.min;

  constructor(
    private readonly socket: WebSocket,
    readonly identity: Identity,
    private readonly deps: SessionDeps,
  ) {
    const { handler, limits, turns, nowMs } = deps;
    const timer = setTimeout(() => {
      this.close(closeCodes.tooSlow, `no hello within ${limits.helloMs / 1_000} s`);
    }, limits.helloMs);
    this.machine = new StateMachine<SessionState>(sessionTransitions, { kind: "greeting", timer }, (left) => {
      if (left.kind === "greeting") clearTimeout(left.timer);
    });
    this.inbox = new Inbox(socket, {
      turns,
      pauseMs: () => this.pauseMs(),
      paused: (ms) => this.paused(ms),
      receive: (message) => this.receive(message),
      failed: (error) => this.fail(error),
    });
    this.outbox = new Outbox(socket, limits.maxBufferedBytes);
    this.lastHeardMs = nowMs();
    this.heartbeat = every(limits.heartbeatMs, () => this.onBeat());
    socket.on("message", (data, isBinary) => {
      if (!this.isOpen) return;
      this.lastHeardMs = nowMs();
      this.inbox.add({ data, isBinary });
    });
    // ws answers pings by itself, and disconnects peers that do not read the answers.
    for (const event of ["ping", "pong"]) socket.on(event, () => this.onControlFrame());
    socket.on("close", () => {
      this.stop();
      handler.closed(this);
    });
  }

  /** The hello that was accepted; also after the end of the session. */
  get hello(): Hello | undefined {
    return this.state.kind === "greeting" ? undefined : this.state.hello;
  }

  /** @throws FrameError before the hello */
  get host(): string {
    if (!this.hello) throw new FrameError("hello must be the first frame");
    return this.hello.host;
  }

  get isOpen(): boolean {
    return this.state.kind !== "closed";
  }

  /** Has its snapshot or is receiving it, so changes must be pushed. */
  get isSynced(): boolean {
    return this.state.kind === "sending" || this.state.kind === "synced";
  }

  /** Sends answers that the host has not asked for yet, so that it need not ask. */
  get takesSeeds(): boolean {
    return this.isSynced && this.hello?.seeding === true;
  }

  /** The host may say what it has, and is sent the rest. */
  get resumes(): boolean {
    return this.protocol >= 2;
  }

  /** Frames in the version that was agreed on. */
  get writer(): FrameWriter {
    return writerFor(this.protocol);
  }

  /** @param protocol the version that both sides speak */
  accept(hello: Hello, protocol: number): void {
    this.protocol = protocol;
    this.machine.enter({ kind: "declaring", hello });
  }

  send(frames: readonly string[]): void {
    if (this.isOpen && !this.outbox.send(frames)) this.closeAsSlow();
  }

  /** A set that may be as large as the host's part of the inventory, so it does not count against the limit. */
  sendLarge(frames: readonly string[]): void {
    if (this.isOpen && !this.outbox.sendLarge(frames)) this.closeAsSlow();
  }

  /** Buffers all frames from now on, in order, until `gate` settles, which must be soon. */
  hold(gate: Promise<unknown>): void {
    this.outbox.hold();
    void gate.finally(() => this.outbox.open()).catch(() => {});
  }

  /** From now on changes are pushed to the session; they follow the last of `frames`. */
  async sendSnapshot(frames: AsyncIterable<string>): Promise<void> {
    if (this.state.kind !== "queued") return;
    const { hello } = this.state;
    this.machine.enter({ kind: "sending", hello });
    this.snapshots += 1;
    this.outbox.hold();
    try {
      for await (const frame of frames) if (this.isOpen) this.socket.send(frame);
    } finally {
      this.outbox.open();
    }
    if (!this.isOpen) return;
    this.machine.enter({ kind: "synced", hello });
    this.lastHeardMs = this.deps.nowMs();
  }

  /** Waits while the peer has much of its snapshot or a base to read: resolves when it has read more, or the session has ended. */
  findWait(): Promise<void> | undefined {
    if (!this.isOpen || this.socket.bufferedAmount <= snapshotWindowBytes) return undefined;
    const { stalledMs } = this.limits;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.close(closeCodes.tooSlow, `the agent has read nothing of its snapshot for ${stalledMs / 1_000} s`);
      }, stalledMs);
      const endWait = (): void => {
        this.endWaits.delete(endWait);
        clearTimeout(timer);
        resolve();
      };
      this.endWaits.add(endWait);
      // An empty ping is written after all waiting frames.
      this.socket.ping(undefined, false, endWait);
    });
  }

  /** Work for this session that goes on beside its frames: a failure ends the session. */
  follow(work: Promise<void>): void {
    work.catch((error) => this.fail(error));
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.stop();
    this.socket.close(code, fitReason(reason));
    setTimeout(() => this.socket.terminate(), closeTimeoutMs).unref();
    // Or the peer's answer to the close would not be read.
    this.socket.resume();
  }

  /** Ends the connection without a close frame. */
  terminate(): void {
    this.stop();
    this.socket.terminate();
  }

  private get chargedHost(): string | undefined {
    return this.identity.kind === "host" ? this.identity.name : this.hello?.host;
  }

  private get limits(): SessionLimits {
    return this.deps.limits;
  }

  private get state(): SessionState {
    return this.machine.state;
  }

  private stop(): void {
    if (!this.isOpen) return;
    this.machine.enter({ kind: "closed", hello: this.hello });
    this.inbox.close();
    this.outbox.clear();
    // A peer that reads nothing would keep its snapshot, and all the keys that it has declared, in memory.
    for (const endWait of [...this.endWaits]) endWait();
    this.heartbeat.stop();
  }

  private closeAsSlow(): void {
    this.close(closeCodes.tooSlow, "the agent reads more slowly than changes come");
  }

  private onControlFrame(): void {
    if (!this.isOpen) return;
    this.spend(unitsPerFrame);
    this.inbox.wake();
  }

  /** How long the host must pause now, because it is over its allowance. */
  private pauseMs(): number {
    const { allowances, nowMs } = this.deps;
    const host = this.chargedHost;
    return host === undefined ? 0 : allowances.waitMs(host, nowMs());
  }

  private paused(ms: number): void {
    const host = this.chargedHost;
    if (host !== undefined) this.deps.handler.paused(host, ms);
  }

  private spend(units: number): void {
    const { allowances, nowMs } = this.deps;
    const host = this.chargedHost;
    if (host !== undefined) allowances.spend(host, units, nowMs());
  }

  /** What takes one turn is done on return. */
  private receive({ data, isBinary }: Message): Promise<void> | undefined {
    if (!this.isOpen) return undefined;
    if (isBinary) throw new FrameError("frames must be text");
    const text = data.toString();
    const frame = parseAgentFrame(text);
    const cost = costOf(frame, text.length);
    if (frame?.type === "hello") return this.greet(frame, cost);
    if (this.state.kind === "greeting" && frame)
      throw new FrameError(`hello must be the first frame, not ${frame.type}`);
    this.spend(cost);
    this.deps.handler.heard(this);
    if (frame?.type === "interest") return this.declare(frame);
    if (frame?.type === "resolve") return this.resolve(frame);
    if (frame) this.dispatch(frame);
    return undefined;
  }

  private async greet(frame: FrameOf<"hello">, cost: number): Promise<void> {
    if (this.state.kind !== "greeting") throw new FrameError("hello may be sent only once");
    const { handler } = this.deps;
    await handler.hello(this, frame);
    this.spend(cost);
    if (this.isOpen) handler.heard(this);
  }

  private declare(frame: FrameOf<"interest">): Promise<void> | undefined {
    if (frame.keys.length > keysPerTurn) return this.declareInTurns(frame);
    this.declarePart(frame);
    return frame.end ? this.endDeclaration() : undefined;
  }

  private async declareInTurns(frame: FrameOf<"interest">): Promise<void> {
    for (let from = 0; from < frame.keys.length && this.isOpen; from += keysPerTurn) {
      const keys = frame.keys.slice(from, from + keysPerTurn);
      const part = (): void => this.declarePart({ ...frame, keys });
      if (from === 0) part();
      else await this.deps.turns.run(part);
    }
    if (frame.end) await this.endDeclaration();
  }

  private declarePart(frame: FrameOf<"interest">): void {
    const { state } = this;
    // Frames are handled one by one, so no snapshot of this session is under way.
    if (state.kind !== "declaring" && state.kind !== "synced") return;
    state.declaration = this.deps.handler.declared(this, state.declaration, frame);
  }

  private endDeclaration(): Promise<void> | undefined {
    const { state } = this;
    if ((state.kind !== "declaring" && state.kind !== "synced") || !state.declaration) return undefined;
    const { declaration } = state;
    this.machine.enter({ kind: "queued", hello: state.hello });
    return this.deps.handler.interest(this, declaration);
  }

  private resolve(frame: FrameOf<"resolve">): Promise<void> | undefined {
    if (!this.isSynced) throw new FrameError("resolve must come after interest … end");
    this.answer(frame, 0);
    return frame.questions.length > questionsPerTurn ? this.answerRest(frame) : undefined;
  }

  /** One part per turn: a frame of 900 questions must not delay other hosts. */
  private async answerRest(frame: FrameOf<"resolve">): Promise<void> {
    for (let from = questionsPerTurn; from < frame.questions.length && this.isOpen; from += questionsPerTurn) {
      await this.deps.turns.run(() => this.answer(frame, from));
    }
  }

  private answer(frame: FrameOf<"resolve">, from: number): void {
    if (!this.isOpen) return;
    const questions = frame.questions.slice(from, from + questionsPerTurn);
    this.spend(this.deps.handler.resolve(this, { ...frame, questions }));
  }

  private dispatch(frame: Exclude<AgentFrame, { type: "hello" | "interest" | "resolve" }>): void {
    const { handler } = this.deps;
    switch (frame.type) {
      case "release":
        if (!this.isSynced) throw new FrameError("release must come after interest … end");
        handler.release(this, frame);
        return;
      case "subscribe":
      case "unsubscribe":
      case "used":
        if (!this.isSynced || this.protocol < 2)
          throw new FrameError(`${frame.type} must come after interest … end, in version 2`);
        if (frame.type === "subscribe") this.spend(handler.subscribe(this, frame));
        else if (frame.type === "unsubscribe") handler.unsubscribe(this, frame);
        else handler.used(this, frame);
        return;
      case "applied":
        handler.applied(this, frame);
        return;
      case "report":
        handler.reported(this, frame);
        return;
    }
  }

  private onBeat(): void {
    // Nothing is read while the channel is paused, and nothing is handled until the snapshot is sent.
    if (this.inbox.isPaused || this.state.kind === "queued" || this.state.kind === "sending")
      this.lastHeardMs = this.deps.nowMs();
    const silentMs = this.deps.nowMs() - this.lastHeardMs;
    if (silentMs >= 3 * this.limits.heartbeatMs) this.socket.terminate();
    else this.deps.handler.beat(this);
  }

  private fail(error: unknown): void {
    if (error instanceof FrameError) this.close(closeCodes.badFrame, error.message);
    else if (error instanceof Rejection) this.close(error.code, error.message);
    else {
      this.deps.handler.failed(this, error);
      this.close(closeCodes.failed, "the controller failed");
    }
  }
}

function fitReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= maxReasonBytes) return reason;
  // Cut characters whole: a partial one would not be UTF-8.
  return `${bytes
    .subarray(0, maxReasonBytes - 6)
    .toString()
    .replace(/\uFFFD+$/, "")} …`;
}
