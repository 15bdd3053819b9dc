// The event stream: one WebSocket, opened again and again from where it ended, so that nothing is missed or seen twice.
import { signal } from "@preact/signals";
import { bearerProtocol, cloudEventsProtocol, eventCloseCodes, eventsPath } from "../../schema/event-door.ts";
import type { BookmarkCloudEvent } from "../../schema/event-stream.ts";
import type { IdentityView, OverviewView } from "../../schema/observe.ts";
import { get } from "../api.ts";
import { isBookmark, isChange, type StreamEvent } from "./events.ts";
import { cursorOf, isNew, type Position, whollyAt } from "./position.ts";

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Since when, and when the next attempt is made: wall clock, ms. */
  | { readonly kind: "lost"; readonly sinceMs: number; readonly nextMs: number };

export interface StreamListener {
  /** Events since the last call, in order; collected for a moment, so that a burst is one redraw. */
  readonly onEvents?: (events: readonly StreamEvent[]) => void;
  /** The connection is open, for the first time or again: live events arrive from now on. */
  readonly onLive?: () => void;
  /** The connection was lost and is open again, or the log had to be started anew: all shown data may be stale. */
  readonly onResumed?: () => void;
}

export const link = signal<LinkState>({ kind: "connecting" });
/** How often the log could not be continued: earlier data is loaded again. */
export const restarts = signal(0);
/** The position up to which the log was read. */
export const followed = signal(0);

const firstPauseMs = 250;
const maxPauseMs = 8_000;
const gatherMs = 80;
/** After so long without a message, the page checks that the controller is reachable. */
const quietMs = 10_000;

interface Login {
  readonly token: string | undefined;
  readonly epoch: string;
  readonly onRefused: (reason: string) => void;
}

const listeners = new Set<StreamListener>();
let login: Login | undefined;
let socket: WebSocket | undefined;
let seen: Position | undefined;
let gathered: StreamEvent[] = [];
let pauseMs = firstPauseMs;
let retry: ReturnType<typeof setTimeout> | undefined;
let heardMs = 0;

export function listenToStream(listener: StreamListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function startStream(as: Login): void {
  stopStream();
  login = as;
  link.value = { kind: "connecting" };
  void connect();
}

export function stopStream(): void {
  clearTimeout(retry);
  login = undefined;
  seen = undefined;
  gathered = [];
  drop();
}

/** Something else noticed that the controller does not answer. */
export function streamIsSuspect(): void {
  if (login && link.peek().kind === "live") lost();
}

/** Does not wait for the pause to end. */
export function retryNow(): void {
  if (!login || link.peek().kind !== "lost") return;
  clearTimeout(retry);
  void connect();
}

addEventListener("online", retryNow);
addEventListener("offline", streamIsSuspect);
setInterval(() => {
  if (link.peek().kind !== "live" || Date.now() - heardMs < quietMs) return;
  heardMs = Date.now();
  // A connection can be dead without either end noticing; a failed request reports it to `streamIsSuspect`.
  get("/livez").catch(() => {});
}, 1_000);

async function connect(): Promise<void> {
  const as = login;
  if (!as) return;
  try {
    if (!seen) {
      const { revision } = await get<OverviewView>("/v1/overview");
      seen = whollyAt(revision);
      followed.value = revision;
    }
  } catch {
    return lost();
  }
  if (login !== as) return;
  drop();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const protocols = [cloudEventsProtocol, ...(as.token === undefined ? [] : [`${bearerProtocol}${as.token}`])];
  const opened = new WebSocket(
    `${scheme}://${location.host}${eventsPath}?since=${cursorOf(as.epoch, seen)}`,
    protocols,
  );
  socket = opened;
  opened.onopen = () => {
    heardMs = Date.now();
    pauseMs = firstPauseMs;
    const resumed = link.peek().kind === "lost";
    link.value = { kind: "live" };
    for (const listener of listeners) {
      listener.onLive?.();
      if (resumed) listener.onResumed?.();
    }
  };
  opened.onmessage = ({ data }) => {
    heardMs = Date.now();
    take(JSON.parse(String(data)) as StreamEvent | BookmarkCloudEvent);
  };
  opened.onclose = ({ code, reason }) => {
    if (socket !== opened) return;
    if (code === eventCloseCodes.revoked) return as.onRefused(`The controller refuses this token now: ${reason}`);
    if (code === eventCloseCodes.compacted || code === eventCloseCodes.unknownPosition) return void startOver(as);
    lost();
  };
}

/** The log no longer contains this page's position, or is another one: the shown data may be unrelated to it. */
async function startOver(as: Login): Promise<void> {
  drop();
  try {
    const { epoch } = await get<IdentityView>("/v1/identity");
    if (login !== as) return;
    restarts.value += 1;
    startStream({ ...as, epoch });
  } catch {
    lost();
  }
}

function take(event: StreamEvent | BookmarkCloudEvent): void {
  if (isBookmark(event)) {
    seen = whollyAt(event.revision);
    followed.value = seen.revision;
    return;
  }
  if (isChange(event)) {
    if (!seen) return;
    if (!isNew(seen, event)) return;
    seen = { revision: event.revision, index: event.index };
  }
  gathered.push(event);
  if (gathered.length === 1) setTimeout(deliver, gatherMs);
}

function deliver(): void {
  const events = gathered;
  gathered = [];
  if (events.length === 0) return;
  if (seen) followed.value = seen.revision;
  for (const listener of [...listeners]) listener.onEvents?.(events);
}

function lost(): void {
  if (!login) return;
  drop();
  const before = link.peek();
  const now = Date.now();
  // Avoids that all browsers of an office reconnect at the same moment.
  const wait = pauseMs * (0.75 + Math.random() / 2);
  link.value = { kind: "lost", sinceMs: before.kind === "lost" ? before.sinceMs : now, nextMs: now + wait };
  pauseMs = Math.min(maxPauseMs, pauseMs * 2);
  clearTimeout(retry);
  retry = setTimeout(() => void connect(), wait);
}

function drop(): void {
  const old = socket;
  socket = undefined;
  old?.close();
}
