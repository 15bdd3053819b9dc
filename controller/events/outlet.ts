// Where a consumer's events go: a WebSocket, or the body of an HTTP answer.
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { every } from "../../common/every.ts";

export interface Outlet {
  /** Calls `taken` when the kernel has it, and never where the connection ends before. One at a time. */
  write(bytes: Buffer, taken: () => void): void;
  /** Informs the consumer of the reason, if it is still connected, and closes. */
  end(code: number, reason: string): void;
  onClosed(closed: () => void): void;
}

/** How long a consumer may take to answer a close. */
const closeTimeoutMs = 2_000;

/**
 * Frames are written to the socket below the WebSocket unchanged: `ws` would encode each again for each consumer.
 * Control frames may come between them, since both are written whole.
 */
export function webSocketOutlet(socket: WebSocket, below: Duplex, pingMs: number): Outlet {
  dropWhenDead(socket, pingMs);
  dropWhenTalkative(socket);
  return {
    write(bytes, taken) {
      if (socket.readyState === socket.OPEN) below.write(bytes, (error) => error || taken());
    },
    end(code, reason) {
      socket.close(code, reason);
      setTimeout(() => socket.terminate(), closeTimeoutMs).unref();
    },
    onClosed: (closed) => void socket.once("close", closed),
  };
}

/** A consumer that does not answer two consecutive pings is considered gone. */
function dropWhenDead(socket: WebSocket, pingMs: number): void {
  let unanswered = 0;
  const timer = every(pingMs, () => {
    if (unanswered >= 2) return socket.terminate();
    unanswered += 1;
    socket.ping();
  });
  socket.on("pong", () => {
    unanswered = 0;
  });
  socket.once("close", () => timer.stop());
}

/** A consumer answers pings, and has nothing else to say. Programs that ping by themselves do so every few seconds. */
const maxFramesHeard = 100;
const heardWindowMs = 10_000;

/** A consumer that sends frames without end is ended: reading them costs the others. */
function dropWhenTalkative(socket: WebSocket): void {
  let heard = 0;
  let sinceMs = performance.now();
  const hear = (): void => {
    if (performance.now() - sinceMs >= heardWindowMs) {
      sinceMs = performance.now();
      heard = 0;
    }
    heard += 1;
    if (heard > maxFramesHeard) socket.terminate();
  };
  for (const kind of ["message", "ping", "pong"]) socket.on(kind, hear);
}

/** The answer's head is out already. */
export function sseOutlet(response: ServerResponse): Outlet {
  return {
    write(bytes, taken) {
      if (!response.writableEnded) response.write(bytes, (error) => error || taken());
    },
    end(code, reason) {
      if (response.writableEnded) return;
      response.end(`event: end\ndata: ${JSON.stringify({ code, reason })}\n\n`);
      setTimeout(() => response.destroy(), closeTimeoutMs).unref();
    },
    onClosed: (closed) => void response.once("close", closed),
  };
}
