// When a whole fleet comes back at once, its TLS handshakes must not keep the event loop from everything else: each costs the
// better part of a millisecond, and a thousand may be ready at the same moment.
import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { Allowances } from "../../common/allowances.ts";
import type { Rate } from "../../common/token-bucket.ts";
import { type Endpoint, peerOf, sourceOf } from "../peer.ts";

export interface HandshakeLimits {
  /** Handshakes that are in progress at one time. */
  readonly underWay: number;
  /** Those that begin in one turn of the event loop; default any number. */
  readonly perTurn?: number;
  /** Those of one source (`sourceOf`), so that one which never ends its handshakes leaves places to others; default all. */
  readonly perSource?: number;
  /** Handshakes that one source may begin in a second, and at once; default any number. What exceeds it waits. */
  readonly rate?: Rate;
  /** One that takes longer continues, and makes room for another: a silent peer delays others by at most this. */
  readonly patienceMs: number;
}

const defaultLimits: HandshakeLimits = {
  underWay: 48,
  // Each takes some milliseconds of the turn in which its first message is read, and everything else waits for the turn's end.
  perTurn: 1,
  perSource: 12,
  // A quarter of a core at most. 10,000 agents behind one address are back within two minutes.
  rate: { perSecond: 100, burst: 100 },
  patienceMs: 200,
};

export interface Handshakes {
  /** Whether the handshake on this TCP socket has not begun yet. */
  isWaiting(socket: object): boolean;
  /** The handshake on this TCP socket is not to begin. @returns false if it has */
  abandon(socket: Endpoint): boolean;
  /** The source has to wait as if it had begun so many more. */
  charge(source: string, handshakes: number): void;
}

/** Without TLS there are none. */
export const noHandshakes: Handshakes = { isWaiting: () => false, abandon: () => false, charge: () => {} };

/** Sources of which an allowance is kept. */
const maxSources = 4_096;

/**
 * Starts a few handshakes at a time: those of one source (`sourceOf`) in order of arrival, several sources in turns, so that
 * a source with thousands of connections delays only itself. Data that a waiting peer has sent waits too.
 * @param server without other listeners for connections so far
 */
export function paceHandshakes(
  server: Server,
  {
    underWay,
    perTurn = Number.POSITIVE_INFINITY,
    perSource = underWay,
    rate,
    patienceMs,
  }: HandshakeLimits = defaultLimits,
): Handshakes {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  const waiting = new Map<string, Set<Socket>>();
  const stages = new WeakMap<object, "waiting" | "begun" | "abandoned">();
  /** Callbacks that release a place, by peer. */
  const places = new Map<string, () => void>();
  /** Places that each source has. */
  const taken = new Map<string, number>();
  const allowances = rate && new Allowances(rate, maxSources);
  let retry: NodeJS.Timeout | undefined;
  let begunInTurn = 0;

  const leave = (socket: Endpoint, source: string): void => {
    const sockets = waiting.get(source);
    const endpoints: Set<Endpoint> | undefined = sockets;
    if (!sockets || !endpoints?.delete(socket)) return;
    waiting.delete(source);
    // Behind the other sources.
    if (sockets.size > 0) waiting.set(source, sockets);
  };
  const begin = (socket: Socket, source: string): void => {
    stages.set(socket, "begun");
    const peer = peerOf(socket);
    const leavePlace = (): void => {
      clearTimeout(timer);
      if (!places.delete(peer)) return;
      const left = (taken.get(source) ?? 1) - 1;
      if (left > 0) taken.set(source, left);
      else taken.delete(source);
      beginMore();
    };
    taken.set(source, (taken.get(source) ?? 0) + 1);
    if (begunInTurn === 0) setImmediate(nextTurn);
    begunInTurn += 1;
    const timer = setTimeout(leavePlace, patienceMs);
    places.set(peer, leavePlace);
    socket.once("close", leavePlace);
    for (const listener of listeners) listener.call(server, socket);
  };
  const retryAfter = (ms: number): void => {
    if (retry) return;
    retry = setTimeout(() => {
      retry = undefined;
      beginMore();
    }, Math.ceil(ms)).unref();
  };
  const nextTurn = (): void => {
    begunInTurn = 0;
    beginMore();
  };
  const beginMore = (): void => {
    while (places.size < underWay && begunInTurn < perTurn) {
      const free = [...waiting].filter(([source]) => (taken.get(source) ?? 0) < perSource);
      const nowMs = performance.now();
      const waitMs = (source: string) => allowances?.waitMs(source, nowMs) ?? 0;
      const next = free.find(([source]) => waitMs(source) === 0);
      if (!next) {
        if (free.length > 0) retryAfter(Math.min(...free.map(([source]) => waitMs(source))));
        return;
      }
      const [source, sockets] = next;
      const [socket] = sockets;
      if (!socket) return;
      leave(socket, source);
      allowances?.spend(source, 1, nowMs);
      begin(socket, source);
    }
  };

  server.on("secureConnection", (socket: TLSSocket) => places.get(peerOf(socket))?.());
  server.on("connection", (socket: Socket) => {
    // Until TLS handles errors: one of a peer that has disconnected again is ignored.
    socket.on("error", () => {});
    // There were too many of its source.
    if (socket.destroyed || stages.get(socket) === "abandoned") return;
    const source = sourceOf(socket);
    waiting.set(source, (waiting.get(source) ?? new Set()).add(socket));
    stages.set(socket, "waiting");
    socket.once("close", () => leave(socket, source));
    beginMore();
  });
  return {
    isWaiting: (socket) => stages.get(socket) === "waiting",
    abandon: (socket) => {
      if (stages.get(socket) === "begun") return false;
      stages.set(socket, "abandoned");
      leave(socket, sourceOf(socket));
      return true;
    },
    charge: (source, handshakes) => allowances?.spend(source, handshakes, performance.now()),
  };
}
