// A real controller on a free port with its own database, and its two kinds of clients. Nothing here sleeps: waiting is
// for a condition, with a deadline.
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import { type RawData, WebSocket } from "ws";
import { type AppOptions, buildApp } from "../../controller/app.ts";
import { makeToken } from "../../controller/auth/tokens.ts";
import { openSqliteStore } from "../../controller/store/sqlite/sqlite-store.ts";
import type { Store } from "../../controller/store/store.ts";
import { type Declared, interestFrames } from "../../node-agent/controller-link/link.ts";
import { type AgentFrame, agentPath, type ControllerFrame, parseControllerFrame } from "../../schema/agent/index.ts";
import type {
  BookmarkCloudEvent,
  CloudEvent,
  OperationalCloudEvent,
  OperationalKind,
} from "../../schema/events/index.ts";
import type { ProblemDetails } from "../../schema/plain/index.ts";
import type { TokenInput } from "../../schema/rest/index.ts";
import { patienceMs } from "../../testkit/lab/wait.ts";

/** Runs until the test ends. */
export async function startController(
  options: Partial<AppOptions> & { db?: string; wrap?: (store: Store) => Store } = {},
) {
  const { db = temporaryDatabase(), wrap = (store) => store, ...rest } = options;
  const fatal: unknown[] = [];
  const app = await buildApp({
    store: wrap(openSqliteStore(db)),
    // Few tests are about authentication: those pass `insecure: false`.
    insecure: true,
    selfRegistration: false,
    log: pino({ level: "silent" }),
    onFatal: (error) => fatal.push(error),
    ...rest,
  });
  await app.listen({ host: "127.0.0.1", port: 0 });
  const stop = () => app.close();
  onTestFinished(stop);
  const { port } = app.server.address() as AddressInfo;
  const base = `127.0.0.1:${port}`;
  return {
    app,
    db,
    fatal,
    stop,
    base,
    /** Status, body and headers of one request with a JSON body. */
    request: async (method: string, path: string, body?: unknown, more: Record<string, string> = {}) => {
      const headers = { ...(body === undefined ? {} : { "content-type": "application/json" }), ...more };
      const payload = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
      const response = await fetch(`http://${base}${path}`, { method, headers, body: payload });
      const text = await response.text();
      const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
      return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
    },
    events: (query = "", protocols: string[] = []) => new EventConsumer(`ws://${base}/v1/events${query}`, protocols),
    agent: (host: string) => new AgentClient(`ws://${base}${agentPath}`, host),
  };
}

/** With authentication: `as` returns the same controller for the owner of the token. */
export async function startSecured(options: Parameters<typeof startController>[0] = {}) {
  const db = options.db ?? temporaryDatabase();
  const store = openSqliteStore(db);
  const local = { name: "the test", role: "admin", scope: "all" } as const;
  const { token, secret } = makeToken({ role: "admin" }, local, new Date());
  await store.access.addToken(token, local);
  await store.close();
  const controller = await startController({ insecure: false, ...options, db });
  const as = (bearer: string): Controller => {
    const headers = { authorization: `Bearer ${bearer}` };
    return {
      ...controller,
      request: (method, path, body, more = {}) => controller.request(method, path, body, { ...headers, ...more }),
      events: (query = "", protocols = []) =>
        new EventConsumer(`ws://${controller.base}/v1/events${query}`, protocols, headers),
    };
  };
  const admin = as(secret);
  /** A new token's secret and id. */
  const issue = (input: TokenInput): Promise<{ id: string; token: string }> =>
    call(admin, 201, "POST", "/v1/tokens", input);
  return { ...controller, as, admin, adminToken: secret, issue };
}

export type Controller = Awaited<ReturnType<typeof startController>>;

export function temporaryDatabase(): string {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "nearmiss.db");
}

/** @throws if the answer has another status, with its content */
export async function call(controller: Controller, status: number, method: string, path: string, body?: unknown) {
  const answer = await controller.request(method, path, body);
  if (answer.status !== status) {
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}, expected ${status}`);
  }
  return answer.body;
}

export function problemType(body: ProblemDetails): string {
  return body.type.replace("urn:nearmiss:problem:", "");
}

interface ClientOptions {
  readonly headers?: Record<string, string>;
  /** Address to connect from. */
  readonly localAddress?: string;
  /** Over TLS, in PEM: the client's certificate, and the CA for checking the controller. */
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

class Client<Message> {
  readonly received: Message[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly opened: Promise<unknown>;
  protected readonly socket: WebSocket;
  private readonly waiting = new Set<() => void>();
  private readonly listeners: ((message: Message) => void)[] = [];

  constructor(
    url: string,
    { protocols = [], ...options }: ClientOptions & { protocols?: string[] },
    parse: (text: string) => Message | undefined,
  ) {
    this.socket = new WebSocket(url, protocols, options);
    this.socket.on("message", (data: RawData) => {
      const message = parse(data.toString());
      if (message) {
        this.received.push(message);
        for (const listener of this.listeners) listener(message);
      }
      for (const wake of this.waiting) wake();
    });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once("open", resolve);
      this.socket.once("error", reject);
    });
    this.opened.catch(() => {});
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    onTestFinished(() => this.socket.terminate());
  }

  /** The first received message that fits, now or later. */
  async until<Fitting extends Message>(fits: (message: Message) => message is Fitting): Promise<Fitting>;
  async until(fits: (message: Message) => boolean): Promise<Message>;
  async until(fits: (message: Message) => boolean): Promise<Message> {
    await this.untilAll(() => this.received.some(fits));
    return this.received.find(fits) as Message;
  }

  async untilAll(holds: (received: readonly Message[]) => boolean): Promise<void> {
    const endMs = performance.now() + patienceMs;
    while (!holds(this.received)) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(`waited ${patienceMs} ms; received ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.waiting.add(wake);
      });
    }
  }

  /** Each future message. */
  listen(listener: (message: Message) => void): void {
    this.listeners.push(listener);
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  get protocol(): string {
    return this.socket.protocol;
  }

  close(): void {
    this.socket.close();
  }
}

/** Receives changes; operational events, which have no revision, and bookmarks are kept apart. */
export class EventConsumer extends Client<CloudEvent> {
  readonly operational: OperationalCloudEvent[];
  readonly bookmarks: BookmarkCloudEvent[];
  /** Of all messages, in the order of arrival. */
  readonly ids: string[];

  constructor(url: string, protocols: string[], headers: Record<string, string> = {}) {
    const operational: OperationalCloudEvent[] = [];
    const bookmarks: BookmarkCloudEvent[] = [];
    const ids: string[] = [];
    super(url, { protocols, headers }, (text) => {
      const event: CloudEvent | OperationalCloudEvent | BookmarkCloudEvent = JSON.parse(text);
      ids.push(event.id);
      if ("index" in event) return event;
      if ("operational" in event) operational.push(event);
      else bookmarks.push(event);
      return undefined;
    });
    this.operational = operational;
    this.bookmarks = bookmarks;
    this.ids = ids;
  }

  /** The first operational event of the type, now or later. */
  async untilOperational(kind: OperationalKind): Promise<OperationalCloudEvent> {
    const found = () => this.operational.find(({ type }) => type === `nearmiss.operational.${kind}`);
    await this.untilAll(() => found() !== undefined);
    return found() as OperationalCloudEvent;
  }

  /** A bookmark says that everything up to the revision has arrived. */
  async untilBookmark(revision: number): Promise<void> {
    await this.untilAll(() => this.bookmarks.some((bookmark) => bookmark.revision >= revision));
  }
}

type FrameOf<Type extends ControllerFrame["type"]> = Extract<ControllerFrame, { type: Type }>;

export class AgentClient extends Client<ControllerFrame> {
  /** All messages as they came. */
  readonly texts: readonly string[];
  private fences = 0;

  constructor(
    url: string,
    private readonly host: string,
    options: ClientOptions = {},
  ) {
    const reader = { protocol: 1, host };
    const texts: string[] = [];
    super(url, options, (text) => {
      texts.push(text);
      const frame = parseControllerFrame(text, reader);
      if (frame?.type === "welcome") reader.protocol = frame.protocol;
      return frame;
    });
    this.texts = texts;
  }

  async hello(more: Partial<Extract<AgentFrame, { type: "hello" }>> = {}): Promise<FrameOf<"welcome">> {
    await this.opened;
    const protocol = { min: 1, max: 1 };
    this.send({ type: "hello", protocol, version: "test", host: this.host, vtepPort: 4789, ...more });
    return this.frame("welcome");
  }

  /** Hello, interest, and the snapshot that follows. */
  async connect(...[keys = [], more = {}]: [FrameOfAgent<"interest">["keys"]?, Parameters<AgentClient["hello"]>[0]?]) {
    return this.declare([{ keys }], more);
  }

  /** As `connect`, with what the host has for its keys. */
  async declare(declared: readonly Declared[], more: Parameters<AgentClient["hello"]>[0] = {}) {
    await this.hello(more);
    for (const frame of interestFrames(declared)) this.send(frame);
    await this.until((frame) => frame.type === "snapshot" && frame.end);
    return this;
  }

  send(frame: AgentFrame): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Everything that was sent before has been read: frames are taken in order. */
  async heard(): Promise<void> {
    this.fences += 1;
    const fence = 1_000_000 + this.fences;
    this.send({ type: "resolve", id: fence, questions: [] });
    await this.frame("answers", ({ id }) => id === fence);
  }

  sendText(text: string | Buffer): void {
    this.socket.send(text);
  }

  ping(): void {
    this.socket.ping();
  }

  /** Stops reading: the controller's data stays in the kernel's buffers, and then in the controller. */
  stopReading(): void {
    this.socket.pause();
  }

  readOn(): void {
    this.socket.resume();
  }

  frame<Type extends ControllerFrame["type"]>(type: Type, fits: (frame: FrameOf<Type>) => boolean = () => true) {
    return this.until((frame): frame is FrameOf<Type> => frame.type === type && fits(frame as FrameOf<Type>));
  }

  frames<Type extends ControllerFrame["type"]>(type: Type): FrameOf<Type>[] {
    return this.received.filter((frame): frame is FrameOf<Type> => frame.type === type);
  }
}

type FrameOfAgent<Type extends AgentFrame["type"]> = Extract<AgentFrame, { type: Type }>;

/** Two networks, hosts a, b, c, and a VM on a and b each in network blue (VNI 100). */
export async function populate(controller: Controller): Promise<void> {
  const put = (path: string, body: unknown) => call(controller, 201, "PUT", path, body);
  await put("/v1/networks/blue", { vni: 100, subnets: ["10.20.1.0/24", "fd00:20::/64"] });
  await put("/v1/networks/red", { vni: 200, subnets: ["10.20.1.0/24"] });
  await put("/v1/hosts/a", { vtep: "192.0.2.1" });
  await put("/v1/hosts/b", { vtep: "192.0.2.2" });
  await put("/v1/hosts/c", { vtep: "192.0.2.3" });
  await put("/v1/vms/web-1", vm("a", 1));
  await put("/v1/vms/web-2", vm("b", 2));
}

/** A VM body: number n has MAC …:0n and the addresses 10.20.1.n and fd00:20::n. */
export function vm(host: string, n: number, network = "blue") {
  const ips = network === "blue" ? [`10.20.1.${n}`, `fd00:20::${n}`] : [`10.20.1.${n}`];
  return { host, interfaces: [{ network, mac: `52:54:00:00:00:0${n}`, ips }] };
}
