// One agent's connection: the order of frames, liveness, and the limits that keep one agent from harming the others.

import type { RawData, WebSocket } from "ws";
import { type AgentFrame, type BindingKey, closeCodes, FrameError, parseAgentFrame } from "../../schema/index.ts";
import type { Identity } from "../auth/identity.ts";
import { type Hello, Rejection } from "./admission.ts";

/** What the session hands its frames to. Each call ends with all that it has to say sent. */
export interface SessionHandler {
  /** @throws Rejection */
  hello(session: AgentSession, hello: Hello): Promise<void>;
  /** Answered in its turn: a whole fleet may come at once. */
  interest(session: AgentSession, keys: readonly BindingKey[]): Promise<void>;
  resolve(session: AgentSession, frame: Extract<AgentFrame, { type: "resolve" }>): void;
  release(session: AgentSession, frame: Extract<AgentFrame, { type: "release" }>): void;
  applied(session: AgentSession, frame: Extract<AgentFrame, { type: "applied" }>): void;
  reported(session: AgentSession, frame: Extract<AgentFrame, { type: "report" }>): void;
  heard(session: AgentSession): void;
  /** A beat has passed: say something. */
  beat(session: AgentSession): void;
  closed(session: AgentSession): void;
  failed(session: AgentSession, error: unknown): void;
}

export interface SessionLimits {
  readonly heartbeatMs: number;
  /** Bytes waiting for an agent that does not read, beside its snapshot or a large change set. */
  readonly maxBufferedBytes: number;
}

/** More keys than any host's tables hold. */
const maxInterestKeys = 1_000_000;
/** RFC 6455 §5.5: a control frame carries 125 bytes, two of them the code. */
const maxReasonBytes = 123;
/** How long a peer may take to answer a close. */
const closeTimeoutMs = 2_000;

export class AgentSession {
  /** Set by a hello that was accepted. */
  hello: Hello | undefined;
  /** Has its snapshot, so must be told of changes. */
  synced = false;

  private declared: BindingKey[] = [];
  private work: Promise<void> = Promise.resolve();
  private lastHeardMs: number;
  private largeBytes = 0;
  private closing = false;
  /** What is to be sent when the last of `gates` has opened. */
  private readonly held: string[] = [];
  private gates = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly socket: WebSocket,
    readonly identity: Identity,
    private readonly handler: SessionHandler,
    private readonly limits: SessionLimits,
    private readonly nowMs: () => number,
  ) {
    this.lastHeardMs = nowMs();
    this.timer = setInterval(() => this.onBeat(), limits.heartbeatMs);
    socket.on("message", (data, isBinary) => {
      this.work = this.work.then(() => this.receive(data, isBinary)).catch((error) => this.fail(error));
    });
    socket.on("close", () => {
      clearInterval(this.timer);
      this.closing = true;
      handler.closed(this);
    });
  }

  /** May be told of what it has not asked for, so that it need not ask. */
  get takesSeeds(): boolean {
    return this.synced && this.hello?.seeding === true;
  }

  get isOpen(): boolean {
    return !this.closing;
  }

  send(frames: readonly string[]): void {
    if (this.closing) return;
    if (this.socket.bufferedAmount > this.limits.maxBufferedBytes + this.largeBytes) {
      this.close(closeCodes.tooSlow, "the agent reads more slowly than changes come");
      return;
    }
    if (this.gates > 0) this.held.push(...frames);
    else for (const frame of frames) this.socket.send(frame);
  }

  /** Whatever is sent from now on stays here, in its order, until `gate` settles: which must be soon. */
  hold(gate: Promise<unknown>): void {
    this.gates += 1;
    void gate.finally(() => {
      this.gates -= 1;
      if (this.gates > 0) return;
      for (const frame of this.held.splice(0)) if (!this.closing) this.socket.send(frame);
    });
  }

  sendSnapshot(frames: readonly string[]): void {
    this.sendLarge(frames);
    this.synced = true;
  }

  /** A set that may be as large as the host's part of the inventory, so it does not count against the limit. */
  sendLarge(frames: readonly string[]): void {
    this.send(frames);
    this.largeBytes = frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
  }

  close(code: number, reason: string): void {
    if (this.closing) return;
    this.closing = true;
    this.synced = false;
    this.socket.close(code, fitReason(reason));
    setTimeout(() => this.socket.terminate(), closeTimeoutMs).unref();
  }

  private async receive(data: RawData, isBinary: boolean): Promise<void> {
    if (this.closing) return;
    if (isBinary) throw new FrameError("frames are text");
    const frame = parseAgentFrame(data.toString());
    this.lastHeardMs = this.nowMs();
    if (frame?.type === "hello") {
      if (this.hello) throw new FrameError("hello comes once");
      await this.handler.hello(this, frame);
      if (this.isOpen) this.handler.heard(this);
      return;
    }
    if (!this.hello && frame) throw new FrameError(`hello comes first, not ${frame.type}`);
    this.handler.heard(this);
    if (frame?.type === "interest") await this.declare(frame);
    else if (frame) this.dispatch(frame);
  }

  private async declare({ keys, end }: Extract<AgentFrame, { type: "interest" }>): Promise<void> {
    this.declared = this.declared.concat(keys);
    if (this.declared.length > maxInterestKeys) throw new FrameError(`more than ${maxInterestKeys} keys of interest`);
    if (end) await this.handler.interest(this, this.declared.splice(0));
  }

  private dispatch(frame: Exclude<AgentFrame, { type: "hello" | "interest" }>): void {
    switch (frame.type) {
      case "resolve":
        if (!this.synced) throw new FrameError("resolve comes after interest … end");
        this.handler.resolve(this, frame);
        return;
      case "release":
        if (!this.synced) throw new FrameError("release comes after interest … end");
        this.handler.release(this, frame);
        return;
      case "applied":
        this.handler.applied(this, frame);
        return;
      case "report":
        this.handler.reported(this, frame);
        return;
    }
  }

  private onBeat(): void {
    if (this.nowMs() - this.lastHeardMs >= 3 * this.limits.heartbeatMs) this.socket.terminate();
    else this.handler.beat(this);
  }

  private fail(error: unknown): void {
    if (error instanceof FrameError) this.close(closeCodes.badFrame, error.message);
    else if (error instanceof Rejection) this.close(error.code, error.message);
    else {
      this.handler.failed(this, error);
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
