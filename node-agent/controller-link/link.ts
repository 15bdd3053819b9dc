// The session with the controller: one ordered WebSocket, which is reopened for ever. link-state.ts has its states; the agent
// interprets the frames.
import type { ClientRequest } from "node:http";
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { defined } from "../../common/defined.ts";
import { StateMachine } from "../../common/state-machine.ts";
import type { BindingKey } from "../../schema/address/index.ts";
import {
  type AgentFrame,
  agentPath,
  type ControllerFrame,
  chunk,
  closeCodes,
  FrameError,
  type HeldKind,
  heartbeatMs,
  maxFrameBytes,
  revokedProblem,
} from "../../schema/agent/index.ts";
import { type Frame, FrameAssembly } from "./frame-assembly.ts";
import { type Attempt, afterEnd, type LinkState, type LinkStatus, linkTransitions, statusOf } from "./link-state.ts";

export type Hello = Omit<Extract<AgentFrame, { type: "hello" }>, "type">;

/** Keys of which the agent has the same: at the position of its hello, if it has anything. */
export interface Declared {
  readonly keys: readonly BindingKey[];
  readonly held?: HeldKind;
}

export interface LinkHandlers {
  hello(): Hello;
  /** Every key that the agent holds or waits for, as the new session begins: each once. */
  interest(): readonly Declared[];
  onWelcome(frame: Frame<"welcome">): void;
  /** The whole snapshot. */
  onSnapshot(frame: Frame<"snapshot">): void;
  onAnswers(frame: Frame<"answers"> | Frame<"seed">): void;
  /** The whole set of changes. */
  onChanges(frame: Frame<"changes">): void;
  onBase(frame: Frame<"base">): void;
  onDelta(frame: Frame<"delta">): void;
  onHosts(frame: Frame<"hosts">): void;
  /** Version 1. */
  onSenders(frame: Frame<"senders">): void;
  onHeartbeat(frame: Frame<"heartbeat">): void;
  onTrust(frame: Frame<"trust">): void;
  onClaimed(frame: Frame<"claimed">): void;
  onProbe(frame: Frame<"probe">): void;
  onGroups(frame: Frame<"groups">): void;
  /** The controller, whose certificate was checked, says that this host's certificate was revoked. */
  onRevoked(): void;
  onClosed(reason: string): void;
}

/** For TCP: two SYNs, 1 s apart. A third, 2 s later, would only delay the next attempt. */
export const connectTimeoutMs = 2_000;
/** For the answer of a controller to which the whole fleet connects at once. */
export const handshakeTimeoutMs = 10_000;
/** Credentials of a connection, as PEM, current at the time of connecting. */
export interface LinkCredentials {
  readonly certificate: string;
  readonly key: string;
  /** CAs that the controller's certificate is checked with; empty: public CAs. */
  readonly ca: string;
}

/** OpenSSL's errors about dates, with the likely cause. */
function withClock(error: Error & { readonly code?: unknown }): string {
  if (error.code !== "CERT_NOT_YET_VALID" && error.code !== "CERT_HAS_EXPIRED") return error.message;
  const here = new Date().toISOString();
  return `the controller's ${error.message}; this host's clock is at ${here}: compare it with the controller's`;
}

/** The body of a refused upgrade has the reason. */
const maxRefusalBytes = 16 * 1024;
/** Another agent took this host's name: if both reconnected at once, they would displace each other for ever. */
const replacedMs = 30_000;
const silenceMs = 3 * heartbeatMs;
/** With these the controller refuses the agent until an operator acts: it is unknown, deleted, revoked, or its name is taken. */
const finalCodes: readonly number[] = [
  closeCodes.certificateEnded,
  closeCodes.hostUnknown,
  closeCodes.hostDeleted,
  closeCodes.hostTaken,
];
const finalStatuses: readonly number[] = [401, 403];

export class ControllerLink {
  private readonly machine = new StateMachine<LinkState>(linkTransitions, { kind: "idle" }, (left) => {
    if ("timer" in left) clearTimeout(left.timer);
  });

  /** Why there was no session, as in the log's last line about it. */
  private loggedReason: string | undefined;

  /**
   * @param url of the controller, http: or https:
   * @param credentials asked for at each connection; undefined: this host has not enrolled
   */
  constructor(
    private readonly url: URL,
    private readonly credentials: () => LinkCredentials | undefined,
    private readonly handlers: LinkHandlers,
    private readonly log: Logger,
  ) {}

  get status(): LinkStatus {
    return statusOf(this.state);
  }

  /** There is a session, and its snapshot is complete. */
  get isLive(): boolean {
    return this.state.kind === "live";
  }

  start(): void {
    this.connect({ failures: 0 });
  }

  /** Sends now; without a live session the frame is dropped, because the next session begins with the whole interest. */
  send(frame: AgentFrame): boolean {
    const { state } = this;
    if (state.kind !== "live") return false;
    write(state.socket, frame);
    return true;
  }

  stop(): void {
    const { state } = this;
    if (state.kind === "stopped") return;
    this.machine.enter({ kind: "stopped" });
    if ("socket" in state) state.socket.close(1001, "the agent stops");
  }

  private get state(): LinkState {
    return this.machine.state;
  }

  private connect(attempt: Attempt): void {
    const target = new URL(agentPath, this.url);
    target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(target, {
      maxPayload: maxFrameBytes,
      handshakeTimeout: handshakeTimeoutMs,
      finishRequest: endUnlessConnected,
      perMessageDeflate: false,
      // A read has several frames of a base, and misses are read between them.
      allowSynchronousEvents: false,
      ...tlsOptions(this.credentials()),
    });
    let reason = "connection lost";
    let refusal: string | undefined;
    let isRefused = false;
    socket.on("unexpected-response", (_request, response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        if (text.length < maxRefusalBytes) text += part;
      });
      response.on("end", () => {
        const { reason: because, isRevoked } = readRefusal(response.statusCode ?? 0, text);
        refusal = because;
        isRefused = finalStatuses.includes(response.statusCode ?? 0);
        // Anyone could say so over plain HTTP.
        if (isRevoked && this.url.protocol === "https:") this.handlers.onRevoked();
        socket.terminate();
      });
    });
    socket.on("open", () => this.onOpen(socket, attempt));
    socket.on("message", (data, isBinary) => {
      try {
        if (isBinary) throw new FrameError("frames are text");
        this.receive(data.toString());
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        reason = `the controller sent an invalid frame: ${error.message}`;
        socket.terminate();
      }
    });
    socket.on("error", (error) => {
      reason = refusal ?? withClock(error);
    });
    socket.on("close", (code, text) => {
      if (text.length > 0) reason = `${text.toString()} (${code})`;
      isRefused ||= finalCodes.includes(code);
      this.onClose(reason, code === closeCodes.replaced ? replacedMs : 0, isRefused);
    });
    this.machine.enter({ kind: "connecting", socket, ...attempt });
  }

  private onOpen(socket: WebSocket, attempt: Attempt): void {
    const frames = new FrameAssembly();
    this.machine.enter({ kind: "syncing", socket, timer: endIfSilent(socket), frames, ...attempt });
    write(socket, { type: "hello", ...this.handlers.hello() });
    for (const frame of interestFrames(this.handlers.interest())) write(socket, frame);
  }

  /** @throws FrameError */
  private receive(text: string): void {
    const { state } = this;
    if (state.kind !== "syncing" && state.kind !== "live") return;
    state.timer.refresh();
    const frame = state.frames.add(text);
    if (frame?.type === "snapshot" && state.kind === "syncing") {
      const { socket, frames } = state;
      this.machine.enter({ kind: "live", socket, timer: endIfSilent(socket), frames, sinceMs: performance.now() });
    }
    if (frame) this.dispatch(frame);
  }

  private dispatch(frame: ControllerFrame): void {
    const { handlers } = this;
    switch (frame.type) {
      case "trust":
        handlers.onTrust(frame);
        break;
      case "claimed":
        handlers.onClaimed(frame);
        break;
      case "probe":
        handlers.onProbe(frame);
        break;
      case "groups":
        handlers.onGroups(frame);
        break;
      case "welcome":
        handlers.onWelcome(frame);
        break;
      case "snapshot":
        handlers.onSnapshot(frame);
        break;
      case "seed":
      case "answers":
        handlers.onAnswers(frame);
        break;
      case "changes":
        handlers.onChanges(frame);
        break;
      case "base":
        handlers.onBase(frame);
        break;
      case "delta":
        handlers.onDelta(frame);
        break;
      case "hosts":
        handlers.onHosts(frame);
        break;
      case "senders":
        handlers.onSenders(frame);
        break;
      case "heartbeat":
        handlers.onHeartbeat(frame);
        break;
    }
  }

  private onClose(reason: string, minPauseMs: number, isRefused: boolean): void {
    const { state } = this;
    if (state.kind !== "connecting" && state.kind !== "syncing" && state.kind !== "live") return;
    const { failures, pauseMs } = afterEnd(state, minPauseMs, Math.random(), isRefused);
    const timer = setTimeout(() => this.connect({ failures, reason }), pauseMs);
    this.machine.enter({ kind: "waiting", reason, retryAtMs: performance.now() + pauseMs, isRefused, timer });
    this.handlers.onClosed(reason);
    // A line for each change, and not for each attempt.
    const isNew = withoutTimes(reason) !== this.loggedReason || state.kind === "live";
    this.loggedReason = withoutTimes(reason);
    this.log[isNew ? "warn" : "debug"]({ reason, retryMs: Math.round(pauseMs) }, "no session with the controller");
  }
}

const withoutTimes = (reason: string): string => reason.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "");

/** At least one frame, the last with the end. */
export function interestFrames(declared: readonly Declared[]): Extract<AgentFrame, { type: "interest" }>[] {
  const parts = declared.flatMap(({ keys, held }) => chunk(keys).map((part) => ({ keys: part, ...defined({ held }) })));
  const all = parts.length > 0 ? parts : [{ keys: [] }];
  return all.map((part, i) => ({ type: "interest", ...part, end: i === all.length - 1 }));
}

function write(socket: WebSocket, frame: AgentFrame): void {
  socket.send(JSON.stringify(frame));
}

/** A half-open connection is detected by silence: the controller's heartbeats stop. */
function endIfSilent(socket: WebSocket): NodeJS.Timeout {
  return setTimeout(() => socket.terminate(), silenceMs);
}

/** Sends the request, and aborts it if there is no connection in time. */
function endUnlessConnected(request: ClientRequest): void {
  request.on("socket", (socket) => {
    const giveUp = () => request.destroy(new Error(`no connection within ${connectTimeoutMs} ms`));
    const timer = setTimeout(giveUp, connectTimeoutMs);
    for (const event of ["connect", "close"]) socket.once(event, () => clearTimeout(timer));
  });
  request.end();
}

function tlsOptions(credentials: LinkCredentials | undefined) {
  if (!credentials) return {};
  const { certificate: cert, key, ca } = credentials;
  return { cert, key, minVersion: "TLSv1.2" as const, ...(ca === "" ? {} : { ca }) };
}

function readRefusal(status: number, text: string): { readonly reason: string; readonly isRevoked: boolean } {
  try {
    const { detail, type } = JSON.parse(text) as { detail?: unknown; type?: unknown };
    const isRevoked = type === revokedProblem;
    if (typeof detail === "string") return { reason: `${detail} (${status})`, isRevoked };
  } catch {
    // Not a controller, or a proxy before it.
  }
  return { reason: `the controller refuses the session with status ${status}`, isRevoked: false };
}
