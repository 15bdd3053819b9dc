// One consumer of the event stream: replay, then live, within bounds.
import type { WebSocket } from "ws";
import {
  eventCloseCodes,
  type LoggedEvent,
  type NetworkScope,
  type Revision,
  toCloudEvent,
} from "../../schema/index.ts";
import { narrowChange } from "../inventory/scope.ts";
import type { Store } from "../store/store.ts";
import { catchUp } from "./catch-up.ts";
import type { EventHub } from "./hub.ts";

export interface StreamLimits {
  readonly pingMs: number;
  /** Bytes waiting for a consumer that does not read. */
  readonly maxBufferedBytes: number;
  readonly pageSize: number;
}

export interface StreamDeps {
  readonly hub: EventHub;
  readonly store: Pick<Store, "readEvents" | "epoch">;
  readonly limits: StreamLimits;
  /** The log could not be read for a consumer that had been live; it has been told. */
  readonly onError: (error: unknown) => void;
}

/** How long a consumer may take to answer a close. */
const closeTimeoutMs = 2_000;

/**
 * Sends every event behind `since`, or only what comes from now on without it, until either side closes: those that can
 * be seen from within `scope`.
 * @throws what the store throws
 */
export async function streamEvents(
  socket: WebSocket,
  { since, scope }: { readonly since: Revision | undefined; readonly scope: NetworkScope },
  deps: StreamDeps,
): Promise<void> {
  const { hub, store, limits } = deps;
  const close = (code: number, reason: string) => {
    socket.close(code, reason);
    setTimeout(() => socket.terminate(), closeTimeoutMs).unref();
  };
  dropWhenDead(socket, limits.pingMs);
  if (since !== undefined && since > hub.revision) {
    return close(eventCloseCodes.sinceBeyondLog, `since ${since} is beyond the log, at ${hub.revision}`);
  }
  let unsubscribe = () => {};
  socket.once("close", () => unsubscribe());
  const goLive = () => {
    if (socket.readyState !== socket.OPEN) return;
    unsubscribe = hub.subscribe(scope, {
      events: (messages) => {
        if (socket.readyState !== socket.OPEN) return;
        if (socket.bufferedAmount > limits.maxBufferedBytes) {
          return close(eventCloseCodes.tooSlow, "read faster, or connect again with since");
        }
        for (const message of messages) socket.send(message);
      },
      behind: (from) => void replay(from).catch(deps.onError),
    });
  };
  const replay = async (from: Revision): Promise<void> => {
    const source = { store, published: () => hub.revision, pageSize: limits.pageSize };
    const send = (page: readonly LoggedEvent[]) =>
      sendAndFlush(
        socket,
        page.flatMap((event) => {
          const change = narrowChange(scope, event.change);
          return change ? JSON.stringify(toCloudEvent({ ...event, change }, store.epoch)) : [];
        }),
      );
    try {
      await catchUp(source, from, send, goLive);
    } catch (error) {
      if (error instanceof ConsumerGoneError) return;
      close(eventCloseCodes.failed, "the controller failed to read the log");
      throw error;
    }
  };
  if (since === undefined) goLive();
  else await replay(since);
}

class ConsumerGoneError extends Error {}

/** Resolves when the page is with the kernel, so that a replay never piles up in memory. */
function sendAndFlush(socket: WebSocket, messages: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null) => {
      if (error || socket.readyState !== socket.OPEN) reject(new ConsumerGoneError());
      else resolve();
    };
    if (messages.length === 0) return done();
    messages.forEach((message, i) => {
      socket.send(message, i === messages.length - 1 ? done : undefined);
    });
  });
}

/** A consumer that does not answer two pings in a row is gone. */
function dropWhenDead(socket: WebSocket, pingMs: number): void {
  let unanswered = 0;
  const timer = setInterval(() => {
    if (unanswered >= 2) return socket.terminate();
    unanswered += 1;
    socket.ping();
  }, pingMs);
  socket.on("pong", () => {
    unanswered = 0;
  });
  socket.once("close", () => clearInterval(timer));
}
