// One agent's connection: the order of frames, liveness, and the limits that keep one agent from harming the others.

import type { RawData, WebSocket } from "ws";
import type { FairTurns } from "../../common/cooperative.ts";
import { type AgentFrame, closeCodes, FrameError, parseAgentFrame } from "../../schema/agent/index.ts";
import type { Identity } from "../auth/identity.ts";
import { type Hello, Rejection } from "./admission.ts";
import type { Declaration } from "./declaration.ts";
import { costOf, type HostAllowances, unitsPerFrame } from "./host-allowance.ts";

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

/** Maximum number of frames that wait for their turn; beyond it the socket is paused. */
const maxWaitingFrames = 32;
/** Questions that are answered in one turn: some tenths of a millisecond. */
const questionsPerTurn = 64;
/** Bytes of a snapshot in the socket that the peer has not read: enough for a fast link, and little for 1,000 slow ones. */
const snapshotWindowBytes = 256 * 1024;
/** RFC 6455 §5.5: a control frame carries 125 bytes, two of them the code. */
const maxReasonBytes = 123;
/** How long a peer may take to answer a close. */
const closeTimeoutMs = 2_000;

interface Message {
  readonly data: RawData;
  readonly isBinary: boolean;
}

export class AgentSession {
  /** Set by a hello that was accepted. */
  hello: Hello | undefined;
  /** Has its snapshot or is receiving it, so changes must be pushed. */
  synced = false;

  private declaration: Declaration | undefined;
  private waitsForSnapshot = false;
  private readonly inbox: Message[] = [];
  private working = false;
  private lastHeardMs: number;
  private largeBytes = 0;
  private closing = false;
  /** Frames to send when the last of `gates` has opened. */
  private readonly held: string[] = [];
  private heldBytes = 0;
  private gates = 0;
  private readonly timer: NodeJS.Timeout;
  private readonly helloTimer: NodeJS.Timeout;
  /** Set while the host is over its allowance. */
  private endPause: (() => void) | undefined;

  constructor(
    private readonly socket: WebSocket,
    readonly identity: Identity,
    private readonly deps: SessionDeps,
  ) {
    const { handler, limits, nowMs } = deps;
    this.lastHeardMs = nowMs();
    this.timer = setInterval(() => this.onBeat(), limits.heartbeatMs);
    this.helloTimer = setTimeout(() => {
      if (!this.hello) this.close(closeCodes.tooSlow, `no hello within ${limits.helloMs / 1_000} s`);
    }, limits.helloMs);
    socket.on("message", (data, isBinary) => {
      if (this.closing) return;
      this.lastHeardMs = nowMs();
      this.inbox.push({ data, isBinary });
      if (this.inbox.length >= maxWaitingFrames) socket.pause();
      if (!this.working) void this.work();
    });
    // ws answers pings by itself, and disconnects peers that do not read the answers.
    for (const event of ["ping", "pong"]) socket.on(event, () => this.onControlFrame());
    socket.on("close", () => {
      this.stop();
      handler.closed(this);
    });
  }

  /** Sends answers that the host has not asked for yet, so that it need not ask. */
  get takesSeeds(): boolean {
    return this.synced && this.hello?.seeding === true;
  }

  get isOpen(): boolean {
    return !this.closing;
  }

  send(frames: readonly string[]): void {
    if (this.closing) return;
    const waiting = this.socket.bufferedAmount;
    this.largeBytes = Math.min(this.largeBytes, waiting + this.heldBytes);
    if (waiting + this.heldBytes > this.limits.maxBufferedBytes + this.largeBytes) {
      this.close(closeCodes.tooSlow, "the agent reads more slowly than changes come");
      return;
    }
    if (this.gates === 0) for (const frame of frames) this.socket.send(frame);
    else {
      this.held.push(...frames);
      this.heldBytes += frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
    }
  }

  /** Buffers all frames from now on, in order, until `gate` settles, which must be soon. */
  hold(gate: Promise<unknown>): void {
    this.gates += 1;
    void gate.finally(() => this.open()).catch(() => {});
  }

  /** From now on changes are pushed to the session; they follow the last of `frames`. */
  async sendSnapshot(frames: AsyncIterable<string>): Promise<void> {
    this.synced = true;
    this.gates += 1;
    try {
      for await (const frame of frames) if (!this.closing) this.socket.send(frame);
    } finally {
      this.open();
    }
  }

  /** Waits while the peer has much of its snapshot to read: resolves when it has read more, or is disconnected. */
  findWait(): Promise<void> | undefined {
    if (this.closing || this.socket.bufferedAmount <= snapshotWindowBytes) return undefined;
    const { stalledMs } = this.limits;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.close(closeCodes.tooSlow, `the agent has read nothing of its snapshot for ${stalledMs / 1_000} s`);
        resolve();
      }, stalledMs);
      // An empty ping is written after all waiting frames.
      this.socket.ping(undefined, false, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** A set that may be as large as the host's part of the inventory, so it does not count against the limit. */
  sendLarge(frames: readonly string[]): void {
    this.send(frames);
    this.largeBytes += frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
  }

  close(code: number, reason: string): void {
    if (this.closing) return;
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

  private stop(): void {
    this.closing = true;
    this.synced = false;
    this.inbox.length = 0;
    this.declaration = undefined;
    this.held.length = 0;
    clearInterval(this.timer);
    clearTimeout(this.helloTimer);
    this.endPause?.();
  }

  private open(): void {
    this.gates -= 1;
    if (this.gates > 0) return;
    this.heldBytes = 0;
    for (const frame of this.held.splice(0)) if (!this.closing) this.socket.send(frame);
  }

  private onControlFrame(): void {
    if (this.closing) return;
    this.spend(unitsPerFrame);
    if (!this.working) void this.work();
  }

  /** Handles one frame per turn of the event loop, alternating with other hosts. */
  private async work(): Promise<void> {
    this.working = true;
    try {
      for (;;) {
        await this.afford();
        const next = this.inbox.shift();
        if (!next || this.closing) break;
        await this.deps.turns.run(() => this.receive(next));
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.working = false;
      this.socket.resume();
    }
  }

  /** Over its allowance, the host's channel is not read: TCP makes it wait, and nothing is lost. */
  private async afford(): Promise<void> {
    const { allowances, handler, nowMs } = this.deps;
    const host = this.chargedHost;
    if (host === undefined) return;
    for (;;) {
      const ms = allowances.waitMs(host, nowMs());
      if (ms === 0 || this.closing) return;
      handler.paused(host, ms);
      this.socket.pause();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.endPause = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.endPause = undefined;
    }
  }

  private spend(units: number): void {
    const { allowances, nowMs } = this.deps;
    const host = this.chargedHost;
    if (host !== undefined) allowances.spend(host, units, nowMs());
  }

  private async receive({ data, isBinary }: Message): Promise<void> {
    if (this.closing) return;
    if (isBinary) throw new FrameError("frames must be text");
    const text = data.toString();
    const frame = parseAgentFrame(text);
    const { handler } = this.deps;
    if (frame?.type === "hello") {
      if (this.hello) throw new FrameError("hello may be sent only once");
      await handler.hello(this, frame);
      this.spend(costOf(frame, text.length));
      if (this.isOpen) handler.heard(this);
      return;
    }
    if (!this.hello && frame) throw new FrameError(`hello must be the first frame, not ${frame.type}`);
    this.spend(costOf(frame, text.length));
    handler.heard(this);
    if (frame?.type === "interest") await this.declare(frame);
    else if (frame?.type === "resolve") await this.resolve(frame);
    else if (frame) this.dispatch(frame);
  }

  private async declare(frame: FrameOf<"interest">): Promise<void> {
    this.declaration = this.deps.handler.declared(this, this.declaration, frame);
    if (!frame.end) return;
    const { declaration } = this;
    this.declaration = undefined;
    // Until its new snapshot begins: the host would forget pushes of now with the old snapshot.
    this.synced = false;
    this.waitsForSnapshot = true;
    await this.deps.handler.interest(this, declaration);
    this.waitsForSnapshot = false;
    this.lastHeardMs = this.deps.nowMs();
  }

  /** One part per turn: a frame of 900 questions must not delay other hosts. */
  private async resolve(frame: FrameOf<"resolve">): Promise<void> {
    if (!this.synced) throw new FrameError("resolve must come after interest … end");
    const { handler, turns } = this.deps;
    const answer = (from: number): void => {
      if (this.closing) return;
      const questions = frame.questions.slice(from, from + questionsPerTurn);
      this.spend(handler.resolve(this, { ...frame, questions }));
    };
    answer(0);
    for (let from = questionsPerTurn; from < frame.questions.length && !this.closing; from += questionsPerTurn) {
      await turns.run(() => answer(from));
    }
  }

  private dispatch(frame: Exclude<AgentFrame, { type: "hello" | "interest" | "resolve" }>): void {
    const { handler } = this.deps;
    switch (frame.type) {
      case "release":
        if (!this.synced) throw new FrameError("release must come after interest … end");
        handler.release(this, frame);
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
    // The channel is paused, so no frame can arrive.
    if (this.endPause || this.waitsForSnapshot) this.lastHeardMs = this.deps.nowMs();
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
