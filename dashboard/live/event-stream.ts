// The event stream: one WebSocket, opened again and again from where it ended, so that nothing is missed or seen twice.
import { signal } from "@preact/signals";
import type { BookmarkCloudEvent } from "../../schema/events/index.ts";
import { bearerProtocol, cloudEventsProtocol, eventCloseCodes, eventsPath } from "../../schema/plain/index.ts";
import type { IdentityView, OverviewView } from "../../schema/rest/index.ts";
import { isBookmark, isChange, type StreamEvent } from "./events.ts";
import { cursorOf, isNew, type Position, whollyAt } from "./position.ts";

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Since when, and when the next attempt is made: wall clock, ms. */
  | { readonly kind: "lost"; readonly sinceMs: number; readonly nextMs: number };

export interface StreamListener {
  /** What came in since the last call, in order; gathered for a moment, so that a burst is one redraw. */
  readonly onEvents?: (events: readonly StreamEvent[]) => void;
  /** The link stands, for the first time or again: what happens from now on comes in. */
  readonly onLive?: () => void;
  /** The link was lost and stands again, or the log had to be begun anew: whatever is shown may be old. */
  readonly onResumed?: () => void;
}

interface SocketHandlers {
  onOpen(): void;
  onMessage(text: string): void;
  onClose(code: number, reason: string): void;
}

export interface EventStreamDeps {
  open(path: string, protocols: string[], handlers: SocketHandlers): { close(): void };
  get<Body>(path: string): Promise<Body>;
  /** Wall clock. */
  nowMs(): number;
  /** In [0, 1). */
  random(): number;
}

const firstPauseMs = 250;
const maxPauseMs = 8_000;
const gatherMs = 80;
/** Without a word for so long, the controller is asked whether it is there. */
const quietMs = 10_000;

interface Login {
  readonly token: string | undefined;
  readonly epoch: string;
  readonly onRefused: (reason: string) => void;
}

export class EventStream {
  readonly link = signal<LinkState>({ kind: "connecting" });
  /** How often the log could not be gone on with: whatever was shown before is shown anew. */
  readonly restarts = signal(0);
  /** How far the log has been followed. */
  readonly followed = signal(0);

  private readonly listeners = new Set<StreamListener>();
  private login: Login | undefined;
  private socket: { close(): void } | undefined;
  private seen: Position | undefined;
  private gathered: StreamEvent[] = [];
  private pauseMs = firstPauseMs;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private heardMs = 0;

  constructor(private readonly deps: EventStreamDeps) {}

  listen(listener: StreamListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(as: Login): void {
    this.stop();
    this.login = as;
    this.link.value = { kind: "connecting" };
    void this.connect();
  }

  stop(): void {
    clearTimeout(this.retry);
    this.login = undefined;
    this.seen = undefined;
    this.gathered = [];
    this.drop();
  }

  /** Something else noticed that the controller does not answer. */
  suspect(): void {
    if (this.login && this.link.peek().kind === "live") this.lose();
  }

  /** Does not wait for the pause to end. */
  retryNow(): void {
    if (!this.login || this.link.peek().kind !== "lost") return;
    clearTimeout(this.retry);
    void this.connect();
  }

  /** A connection can be dead without either end knowing; a request that fails says so to `suspect`. */
  checkSilence(): void {
    const nowMs = this.deps.nowMs();
    if (this.link.peek().kind !== "live" || nowMs - this.heardMs < quietMs) return;
    this.heardMs = nowMs;
    this.deps.get("/livez").catch(() => {});
  }

  private async connect(): Promise<void> {
    const as = this.login;
    if (!as) return;
    const from = this.seen ?? (await this.present());
    if (this.login !== as) return;
    if (!from) return this.lose();
    if (!this.seen) this.followed.value = from.revision;
    this.seen = from;
    this.drop();
    const protocols = [cloudEventsProtocol, ...(as.token === undefined ? [] : [`${bearerProtocol}${as.token}`])];
    const opened = this.deps.open(`${eventsPath}?since=${cursorOf(as.epoch, from)}`, protocols, {
      onOpen: () => this.onOpen(),
      onMessage: (text) => {
        this.heardMs = this.deps.nowMs();
        this.take(JSON.parse(text) as StreamEvent | BookmarkCloudEvent);
      },
      onClose: (code, reason) => {
        if (this.socket !== opened) return;
        if (code === eventCloseCodes.revoked) return as.onRefused(`The controller refuses this token now: ${reason}`);
        if (code === eventCloseCodes.compacted || code === eventCloseCodes.unknownPosition) {
          return void this.startOver(as);
        }
        this.lose();
      },
    });
    this.socket = opened;
  }

  /** The end of the log; undefined: the controller does not answer. */
  private async present(): Promise<Position | undefined> {
    try {
      return whollyAt((await this.deps.get<OverviewView>("/v1/overview")).revision);
    } catch {
      return undefined;
    }
  }

  private onOpen(): void {
    this.heardMs = this.deps.nowMs();
    this.pauseMs = firstPauseMs;
    const resumed = this.link.peek().kind === "lost";
    this.link.value = { kind: "live" };
    for (const listener of this.listeners) {
      listener.onLive?.();
      if (resumed) listener.onResumed?.();
    }
  }

  /** The log does not reach back to where this page stood, or is another: what is shown may have nothing to do with it. */
  private async startOver(as: Login): Promise<void> {
    this.drop();
    try {
      const { epoch } = await this.deps.get<IdentityView>("/v1/identity");
      if (this.login !== as) return;
      this.restarts.value += 1;
      this.start({ ...as, epoch });
    } catch {
      this.lose();
    }
  }

  private take(event: StreamEvent | BookmarkCloudEvent): void {
    if (isBookmark(event)) {
      this.seen = whollyAt(event.revision);
      this.followed.value = this.seen.revision;
      return;
    }
    if (isChange(event)) {
      if (!this.seen || !isNew(this.seen, event)) return;
      this.seen = { revision: event.revision, index: event.index };
    }
    this.gathered.push(event);
    if (this.gathered.length === 1) setTimeout(() => this.deliver(), gatherMs);
  }

  private deliver(): void {
    const events = this.gathered;
    this.gathered = [];
    if (events.length === 0) return;
    if (this.seen) this.followed.value = this.seen.revision;
    for (const listener of [...this.listeners]) listener.onEvents?.(events);
  }

  private lose(): void {
    if (!this.login) return;
    this.drop();
    const before = this.link.peek();
    const nowMs = this.deps.nowMs();
    // Browsers of a whole office must not come back in the same instant.
    const waitMs = this.pauseMs * (0.75 + this.deps.random() / 2);
    const sinceMs = before.kind === "lost" ? before.sinceMs : nowMs;
    this.link.value = { kind: "lost", sinceMs, nextMs: nowMs + waitMs };
    this.pauseMs = Math.min(maxPauseMs, this.pauseMs * 2);
    clearTimeout(this.retry);
    this.retry = setTimeout(() => void this.connect(), waitMs);
  }

  private drop(): void {
    const { socket } = this;
    this.socket = undefined;
    socket?.close();
  }
}
