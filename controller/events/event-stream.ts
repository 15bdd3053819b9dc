// One consumer of the event stream: replay, then live, within bounds.
import type { WebSocket } from "ws";
import {
  eventCloseCodes,
  type LoggedEvent,
  type NetworkScope,
  type OperationalEvent,
  type Revision,
  toCloudEvent,
} from "../../schema/index.ts";
import { narrowChange } from "../inventory/scope.ts";
import type { Store } from "../store/store.ts";
import { catchUp } from "./catch-up.ts";
import type { EventHub } from "./hub.ts";
import type { OperationalEvents } from "./operational-events.ts";

export interface StreamLimits {
  readonly pingMs: number;
  /** Bytes waiting for a consumer that does not read. */
  readonly maxBufferedBytes: number;
  readonly pageSize: number;
}

export interface StreamDeps {
  readonly hub: EventHub;
  readonly operational: OperationalEvents;
  readonly store: Pick<Store, "readEvents" | "epoch">;
  readonly limits: StreamLimits;
  /** The log could not be read for a consumer that had been live; it has been told. */
  readonly onError: (error: unknown) => void;
}

/** How long a consumer may take to answer a close. */
const closeTimeoutMs = 2_000;

export interface Consumer {
  /** Absent: only what comes from now on. */
  readonly since: Revision | undefined;
  /** Changes outside are left out. */
  readonly scope: NetworkScope;
  /** Whether it may know of this. */
  sees(event: OperationalEvent): boolean;
}

/**
 * Sends every change behind `since`, or only what comes from now on without it, and operational events from now on, until
 * either side closes: those that the consumer may see.
 * @throws what the store throws
 */
export async function streamEvents(socket: WebSocket, consumer: Consumer, deps: StreamDeps): Promise<void> {
  const { hub, operational, store, limits } = deps;
  const { since, scope } = consumer;
  const close = (code: number, reason: string) => {
    socket.close(code, reason);
    setTimeout(() => socket.terminate(), closeTimeoutMs).unref();
  };
  dropWhenDead(socket, limits.pingMs);
  if (since !== undefined && since > hub.revision) {
    return close(eventCloseCodes.sinceBeyondLog, `since ${since} is beyond the log, at ${hub.revision}`);
  }
  let unsubscribe = () => {};
  let endOperational: (() => void) | undefined;
  socket.once("close", () => {
    unsubscribe();
    endOperational?.();
  });
  const send = (messages: readonly string[]) => {
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > limits.maxBufferedBytes) {
      return close(eventCloseCodes.tooSlow, "read faster, or connect again with since");
    }
    for (const message of messages) socket.send(message);
  };
  const goLive = () => {
    if (socket.readyState !== socket.OPEN) return;
    unsubscribe = hub.subscribe(scope, { events: send, behind: (from) => void replay(from).catch(deps.onError) });
    // Stays while the log is replayed once more: these have no place in its order.
    endOperational ??= operational.subscribe((event, message) => {
      if (consumer.sees(event)) send([message]);
    });
  };
  const replay = async (from: Revision): Promise<void> => {
    const source = { store, published: () => hub.revision, pageSize: limits.pageSize };
    const sendPage = (page: readonly LoggedEvent[]) =>
      sendAndFlush(
        socket,
        page.flatMap((event) => {
          const change = narrowChange(scope, event.change);
          return change ? JSON.stringify(toCloudEvent({ ...event, change }, store.epoch)) : [];
        }),
      );
    try {
      await catchUp(source, from, sendPage, goLive);
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
