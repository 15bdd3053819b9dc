// A consumer of the event stream, written by the documentation, which also disconnects, reads slowly and sleeps, and
// records what it received for the validator.
import { type ClientRequest, get, type IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { findCursor } from "../../schema/events/index.ts";
import { eventCloseCodes } from "../../schema/plain/index.ts";
import { pause } from "../../testkit/lab/wait.ts";
import { endOf, position, type Segment } from "./stream-validator.ts";

export interface StreamTarget {
  readonly url: string;
  readonly token: string;
}

export interface FollowerOptions {
  readonly name: string;
  /** Such as `host=a`. */
  readonly filter?: string;
  /** Server-Sent Events. */
  readonly sse?: boolean;
  /** Events until it leaves without a word; absent: it stays. */
  readonly leaveAfter?: () => number;
  /** Its actions before it reconnects after the revision. */
  readonly away?: (revision: number) => Promise<void>;
  /** How long it reads nothing before it leaves, ms. */
  readonly stallMs?: () => number;
  /** Whether an event passes its filter, by the judgement of the one that sees everything. */
  readonly wants?: (change: StreamChange) => boolean;
}

export interface StreamChange {
  readonly id: string;
  readonly type: string;
  readonly revision: number;
  readonly index: number;
  readonly data: Readonly<Record<"before" | "after", Readonly<Record<string, unknown>> | null>>;
}

/** While the controller is down all of them reconnect repeatedly. */
const retryMs = 50;

/** One connection, until it ends. */
interface Connection {
  readonly ended: Promise<number | undefined>;
  leave(): void;
  pause(): void;
  resume(): void;
}

export class StreamFollower {
  readonly segments: Segment[] = [{ after: 0, received: [], bookmarks: [] }];
  /** How often each close code, or HTTP status, ended a connection; 0: without a word. */
  readonly ends = new Map<number, number>();
  private cursor = "0";
  private bookmarked = -1;
  private connection: Connection | undefined;
  private left = Number.POSITIVE_INFINITY;
  private calm = false;
  private stopped = false;
  private readonly done: Promise<void>;

  constructor(
    readonly options: FollowerOptions,
    private readonly target: () => StreamTarget,
    private readonly onChange: (change: StreamChange) => void = () => {},
  ) {
    this.done = this.run();
  }

  /** Reconnects once more, and stays until a bookmark covers the revision. */
  async finish(revision: number): Promise<void> {
    this.calm = true;
    this.connection?.leave();
    while (this.bookmarked < revision) await pause(5);
    this.stopped = true;
    this.connection?.leave();
    await this.done;
  }

  private get segment(): Segment {
    return this.segments.at(-1) as Segment;
  }

  private async run(): Promise<void> {
    const { leaveAfter, away } = this.options;
    while (!this.stopped) {
      this.left = this.calm ? Number.POSITIVE_INFINITY : (leaveAfter?.() ?? Number.POSITIVE_INFINITY);
      this.connection = this.options.sse ? this.connectSse() : this.connectWebSocket();
      const code = (await this.connection.ended) ?? 0;
      this.ends.set(code, (this.ends.get(code) ?? 0) + 1);
      if (code === eventCloseCodes.compacted || code === 410) await this.startOver();
      else if (this.left <= 0 && !this.calm) await away?.(findCursor(this.cursor)?.revision ?? 0);
      else await pause(retryMs);
    }
  }

  /** From a snapshot: its head says which revision it is of. */
  private async startOver(): Promise<void> {
    try {
      const { url, token } = this.target();
      const response = await fetch(new URL("/v1/export", url), { headers: { authorization: `Bearer ${token}` } });
      const { epoch, revision } = JSON.parse((await response.text()).split("\n")[0] ?? "");
      this.cursor = `${epoch}/${revision}`;
      this.segments.push({ after: endOf(revision), received: [], bookmarks: [] });
    } catch {
      // The controller is down: the next attempt gets the same answer.
    }
  }

  private take(text: string): void {
    const event = JSON.parse(text) as StreamChange | { id: string; type: string; revision: number };
    if (event.type === "nearmiss.bookmark") {
      this.cursor = event.id;
      this.bookmarked = event.revision;
      const { received, bookmarks } = this.segment;
      bookmarks.push({ upTo: endOf(event.revision), received: received.length });
    }
    if (!("index" in event)) return;
    this.segment.received.push(position(event.revision, event.index));
    this.cursor = event.id;
    this.onChange(event);
    if (--this.left <= 0) this.tire();
  }

  private tire(): void {
    const { connection } = this;
    const { stallMs, leaveAfter } = this.options;
    if (this.left < 0 || this.calm) return;
    if (stallMs) {
      connection?.pause();
      setTimeout(() => {
        this.left = leaveAfter?.() ?? 0;
        connection?.resume();
      }, stallMs());
    } else connection?.leave();
  }

  private path(more: string): string {
    return `/v1/events?${[this.options.filter, more].filter(Boolean).join("&")}`;
  }

  private connectWebSocket(): Connection {
    const { url, token } = this.target();
    const address = `${url.replace("http", "ws")}${this.path(`since=${this.cursor}`)}`;
    const socket = new WebSocket(address, { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false });
    let gone = false;
    socket.on("message", (data) => gone || this.take(String(data)));
    socket.on("error", () => {});
    return {
      ended: new Promise((resolve) => socket.once("close", (code) => resolve(code === 1006 ? undefined : code))),
      leave: () => {
        gone = true;
        socket.terminate();
      },
      pause: () => socket.pause(),
      resume: () => socket.resume(),
    };
  }

  private connectSse(): Connection {
    const { url, token } = this.target();
    const headers = { accept: "text/event-stream", authorization: `Bearer ${token}`, "last-event-id": this.cursor };
    let code: number | undefined;
    let rest = "";
    let answer: IncomingMessage | undefined;
    const take = (chunk: string) => {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const [, data = "{}"] = /^data: (.*)$/m.exec(block) ?? [];
        if (block.startsWith("event: end")) code = JSON.parse(data).code;
        else if (!request.destroyed) this.take(data);
      }
    };
    const request: ClientRequest = get(new URL(this.path(""), url), { headers, agent: false }, (response) => {
      answer = response;
      if (response.statusCode !== 200) code = response.statusCode;
      else response.setEncoding("utf8").on("data", take);
      response.on("error", () => {}).resume();
    });
    request.on("error", () => {});
    return {
      ended: new Promise((resolve) => request.once("close", () => resolve(code))),
      leave: () => void request.destroy(),
      pause: () => void answer?.pause(),
      resume: () => void answer?.resume(),
    };
  }
}
