// One agent's connection: the order of frames, and liveness. inbox.ts and outbox.ts have the limits that keep one agent from
// harming the others.
import type { WebSocket } from "ws";
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
import { inParts } from "./frame-parts.ts";
import { type FrameWriter, writerFor } from "./frames.ts";
import { costOf, unitsPerFrame } from "./host-allowance.ts";
import { Inbox, type Message } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import { ReadingWaits } from "./reading-waits.ts";
import type { FrameOf, SessionDeps, SessionLimits } from "./session-handler.ts";
import { type SessionState, sessionTransitions } from "./session-state.ts";
import { closeSocket } from "./socket-close.ts";
import type { SendText } from "./text-writer.ts";

/** Keys of a declaration that are recorded in one turn: some tenths of a millisecond. */
const keysPerTurn = 128;
/** Questions that are answered in one turn: some tenths of a millisecond. */
const questionsPerTurn = 64;
/** Keys from the host's memory that become interest in one turn: the same. */
const usesPerTurn = 64;

/** Longer than a connection takes for what has waited. Agents answer heartbeats within it. */
const lateMs = 1_000;

export class AgentSession {
  private readonly machine: StateMachine<SessionState>;
  private readonly inbox: Inbox;
  private readonly outbox: Outbox;
  private readonly reading: ReadingWaits;
  private readonly heartbeat: Repetition;
  private lastHeardMs: number;
  private resumedMs = Number.NEGATIVE_INFINITY;
  /** Snapshots that it has begun to send. */
  snapshots = 0;
  /** Of the session; the lowest before the hello. */
  private protocol: number = protocolVersions.min;

  constructor(
    private readonly socket: WebSocket,
    private readonly sendText: SendText,
    readonly identity: Identity,
    private readonly deps: SessionDeps<AgentSession>,
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
    this.outbox = new Outbox(socket, sendText, limits.maxBufferedBytes);
    const stalled = `the agent has read nothing of its snapshot for ${limits.stalledMs / 1_000} s`;
    this.reading = new ReadingWaits(socket, {
      ms: limits.stalledMs,
      call: () => this.close(closeCodes.tooSlow, stalled),
    });
    this.lastHeardMs = nowMs();
    this.heartbeat = every(limits.heartbeatMs, () => this.onBeat());
    socket.on("message", (data, isBinary) => {
      if (!this.isOpen) return;
      this.heardAt(nowMs());
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

  /** Frames may have waited on the way: nothing came before them for longer than heartbeats are apart. */
  get mayBeLate(): boolean {
    return this.deps.nowMs() - this.resumedMs < lateMs;
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
      for await (const frame of frames) if (this.isOpen) this.sendText(frame);
    } finally {
      this.outbox.open();
    }
    if (!this.isOpen) return;
    this.machine.enter({ kind: "synced", hello });
    this.lastHeardMs = this.deps.nowMs();
  }

  /** Waits while the peer has much of its snapshot or a base to read: resolves when it has read more, or the session has ended. */
  findWait(): Promise<void> | undefined {
    return this.isOpen ? this.reading.findWait() : undefined;
  }

  /** Work for this session that goes on beside its frames: a failure ends the session. */
  follow(work: Promise<void>): void {
    work.catch((error) => this.fail(error));
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.stop();
    closeSocket(this.socket, code, reason);
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
    this.reading.endAll();
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
    if (frame?.type === "used") return this.use(frame);
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
    const more = this.inParts(frame.keys, keysPerTurn, (keys) => this.declarePart({ ...frame, keys }));
    if (!frame.end) return more;
    return more ? more.then(() => this.endDeclaration()) : this.endDeclaration();
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
    return this.inParts(frame.questions, questionsPerTurn, (questions) =>
      this.spend(this.deps.handler.resolve(this, { ...frame, questions })),
    );
  }

  private use(frame: FrameOf<"used">): Promise<void> | undefined {
    this.checkFollows(frame);
    return this.inParts(frame.keys, usesPerTurn, (keys) => this.deps.handler.used(this, { ...frame, keys }));
  }

  /** Nothing more of the frame is handled where the session ends. */
  private inParts<Item>(items: readonly Item[], itemsPerTurn: number, handle: (part: readonly Item[]) => void) {
    return inParts(items, itemsPerTurn, this.deps.turns, (part) => {
      if (this.isOpen) handle(part);
    });
  }

  private checkFollows({ type }: AgentFrame): void {
    if (!this.isSynced || this.protocol < 2)
      throw new FrameError(`${type} must come after interest … end, in version 2`);
  }

  private dispatch(frame: Exclude<AgentFrame, { type: "hello" | "interest" | "resolve" | "used" }>): void {
    const { handler } = this.deps;
    switch (frame.type) {
      case "release":
        if (!this.isSynced) throw new FrameError("release must come after interest … end");
        // In one turn, whose end its answer is: 900 keys take less than a millisecond.
        handler.release(this, frame);
        return;
      case "subscribe":
        this.checkFollows(frame);
        this.spend(handler.subscribe(this, frame));
        return;
      case "unsubscribe":
        this.checkFollows(frame);
        handler.unsubscribe(this, frame);
        return;
      case "applied":
        handler.applied(this, frame);
        return;
      case "report":
        handler.reported(this, frame);
        return;
      case "conditions":
        if (this.protocol < 2) throw new FrameError("conditions are for version 2");
        handler.conditionsReported(this, frame);
        return;
      case "claim":
        this.checkFollows(frame);
        handler.claimed(this, frame);
        return;
      case "probed":
        this.checkFollows(frame);
        handler.probed(this, frame);
        return;
      case "memberships":
        this.checkFollows(frame);
        handler.joined(this, frame);
        return;
    }
  }

  private heardAt(nowMs: number): void {
    if (nowMs - this.lastHeardMs > this.limits.heartbeatMs + lateMs) this.resumedMs = nowMs;
    this.lastHeardMs = nowMs;
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
