// The session with the controller: one ordered WebSocket, which is reopened for ever. This file parses and assembles frames; the
// agent interprets them.
import type { ClientRequest } from "node:http";
import type { Logger } from "pino";
import { WebSocket } from "ws";
import type { BindingKey } from "../../schema/address/index.ts";
import {
  type AgentFrame,
  agentPath,
  type ControllerFrame,
  chunk,
  closeCodes,
  FrameError,
  heartbeatMs,
  maxFrameBytes,
  parseControllerFrame,
} from "../../schema/agent/index.ts";
import { backoffMs } from "./backoff.ts";

export type Hello = Omit<Extract<AgentFrame, { type: "hello" }>, "type">;
export type Frame<Type extends ControllerFrame["type"]> = Extract<ControllerFrame, { type: Type }>;

export interface LinkHandlers {
  hello(): Hello;
  /** Every key that the agent holds or waits for, as the new session begins. */
  interest(): readonly BindingKey[];
  onWelcome(frame: Frame<"welcome">): void;
  /** Complete: chunks have been assembled. */
  onSnapshot(frame: Frame<"snapshot">): void;
  onAnswers(frame: Frame<"answers"> | Frame<"seed">): void;
  /** Complete: chunks have been assembled. */
  onChanges(frame: Frame<"changes">): void;
  onSenders(frame: Frame<"senders">): void;
  onHeartbeat(frame: Frame<"heartbeat">): void;
  onTrust(frame: Frame<"trust">): void;
  onClosed(reason: string): void;
}

/** State of the session. Times are of the process's monotonic clock. */
export type LinkState =
  | { readonly kind: "connected"; readonly sinceMs: number }
  /** `reason`: why the last attempt failed, if there was one. */
  | { readonly kind: "connecting"; readonly reason?: string }
  | { readonly kind: "waiting"; readonly reason: string; readonly retryAtMs: number };

/** For TCP: two SYNs, 1 s apart. A third, 2 s later, would only delay the next attempt. */
const connectTimeoutMs = 2_000;
/** For the answer of a controller to which the whole fleet connects at once. */
const handshakeTimeoutMs = 10_000;
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

export class ControllerLink {
  private socket: WebSocket | undefined;
  private attempt = 0;
  private retryTimer: NodeJS.Timeout | undefined;
  private silenceTimer: NodeJS.Timeout | undefined;
  private stopped = false;
  /** Snapshot received; queries may be sent. */
  private live = false;
  private current: LinkState = { kind: "connecting" };
  private asOf = 0;
  private partialSnapshot: Frame<"snapshot"> | undefined;
  private partialChanges: Frame<"changes"> | undefined;

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

  get state(): LinkState {
    return this.current;
  }

  start(): void {
    if (this.current.kind === "waiting") this.current = { kind: "connecting", reason: this.current.reason };
    const target = new URL(agentPath, this.url);
    target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(target, {
      maxPayload: maxFrameBytes,
      handshakeTimeout: handshakeTimeoutMs,
      finishRequest: endUnlessConnected,
      perMessageDeflate: false,
      ...tlsOptions(this.credentials()),
    });
    this.socket = socket;
    let reason = "connection lost";
    let refusal: string | undefined;
    socket.on("unexpected-response", (_request, response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        if (text.length < maxRefusalBytes) text += part;
      });
      response.on("end", () => {
        refusal = describeRefusal(response.statusCode ?? 0, text);
        socket.terminate();
      });
    });
    socket.on("open", () => this.onOpen());
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
      this.onClose(reason, code === closeCodes.replaced ? replacedMs : 0);
    });
  }

  /** There is a session, and its snapshot is complete. */
  get isLive(): boolean {
    return this.live;
  }

  /** Sends now; without a live session the frame is dropped, because the next session begins with the whole interest. */
  send(frame: AgentFrame): boolean {
    if (!this.live) return false;
    this.socket?.send(JSON.stringify(frame));
    return true;
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    clearTimeout(this.silenceTimer);
    this.socket?.close(1001, "the agent stops");
  }

  private onOpen(): void {
    this.asOf = 0;
    this.partialSnapshot = undefined;
    this.partialChanges = undefined;
    this.heard();
    this.write({ type: "hello", ...this.handlers.hello() });
    const chunks = chunk(this.handlers.interest());
    chunks.forEach((keys, i) => {
      this.write({ type: "interest", keys, end: i === chunks.length - 1 });
    });
  }

  private write(frame: AgentFrame): void {
    this.socket?.send(JSON.stringify(frame));
  }

  /** @throws FrameError */
  private receive(text: string): void {
    this.heard();
    const frame = parseControllerFrame(text);
    if (!frame) return;
    if (frame.type === "trust") {
      this.handlers.onTrust(frame);
      return;
    }
    if (frame.asOf < this.asOf) throw new FrameError(`asOf went back from ${this.asOf} to ${frame.asOf}`);
    this.asOf = frame.asOf;
    switch (frame.type) {
      case "welcome":
        this.handlers.onWelcome(frame);
        break;
      case "snapshot":
        this.partialSnapshot = joinSnapshot(this.partialSnapshot, frame);
        if (frame.end) this.endSnapshot(this.partialSnapshot);
        break;
      case "seed":
      case "answers":
        this.handlers.onAnswers(frame);
        break;
      case "changes":
        this.partialChanges = joinChanges(this.partialChanges, frame);
        if (frame.end) this.endChanges(this.partialChanges);
        break;
      case "senders":
        this.handlers.onSenders(frame);
        break;
      case "heartbeat":
        this.handlers.onHeartbeat(frame);
        break;
    }
  }

  private endSnapshot(whole: Frame<"snapshot">): void {
    this.partialSnapshot = undefined;
    this.live = true;
    this.attempt = 0;
    this.current = { kind: "connected", sinceMs: performance.now() };
    this.handlers.onSnapshot(whole);
  }

  private endChanges(whole: Frame<"changes">): void {
    this.partialChanges = undefined;
    this.handlers.onChanges(whole);
  }

  /** A half-open connection is detected by silence: the controller's heartbeats stop. */
  private heard(): void {
    if (this.silenceTimer) this.silenceTimer.refresh();
    else this.silenceTimer = setTimeout(() => this.socket?.terminate(), silenceMs);
  }

  private onClose(reason: string, leastMs: number): void {
    this.live = false;
    clearTimeout(this.silenceTimer);
    this.silenceTimer = undefined;
    if (this.stopped) return;
    this.handlers.onClosed(reason);
    const delayMs = leastMs + backoffMs(this.attempt++, Math.random());
    this.current = { kind: "waiting", reason, retryAtMs: performance.now() + delayMs };
    this.log.warn({ reason, retryMs: Math.round(delayMs) }, "no session with the controller");
    this.retryTimer = setTimeout(() => this.start(), delayMs);
  }
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

function describeRefusal(status: number, text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail === "string") return `${detail} (${status})`;
  } catch {
    // Not a controller, or a proxy before it.
  }
  return `the controller refuses the session with status ${status}`;
}

function joinSnapshot(earlier: Frame<"snapshot"> | undefined, frame: Frame<"snapshot">): Frame<"snapshot"> {
  if (!earlier) return frame;
  return {
    ...frame,
    networks: [...earlier.networks, ...frame.networks],
    answers: [...earlier.answers, ...frame.answers],
  };
}

function joinChanges(earlier: Frame<"changes"> | undefined, frame: Frame<"changes">): Frame<"changes"> {
  if (!earlier) return frame;
  const self = frame.self ?? earlier.self;
  return {
    ...frame,
    networks: [...earlier.networks, ...frame.networks],
    gone: [...earlier.gone, ...frame.gone],
    answers: [...earlier.answers, ...frame.answers],
    ...(self ? { self } : {}),
  };
}
