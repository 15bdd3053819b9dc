// When a whole fleet comes back at once, its TLS handshakes must not keep the event loop from everything else: each costs the
// better part of a millisecond, and a thousand may be ready at the same moment.
import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { peerOf } from "../peer.ts";

export interface HandshakeLimits {
  /** Handshakes that are under way at one time. */
  readonly underWay: number;
  /** One that takes longer goes on, and makes room for another: who stays silent holds up nobody for longer than this. */
  readonly patienceMs: number;
}

/** Half a hundred may end in one turn of the event loop: some tens of milliseconds. */
const defaultLimits: HandshakeLimits = { underWay: 48, patienceMs: 200 };

/**
 * Begins handshakes in the order in which the connections came, few at a time. What the peer of one that waits has sent, waits
 * with it.
 * @param server that nobody else listens to for connections yet
 */
export function paceHandshakes(server: Server, { underWay, patienceMs }: HandshakeLimits = defaultLimits): void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  const waiting = new Set<Socket>();
  /** What gives a place back, by peer. */
  const places = new Map<string, () => void>();

  const begin = (socket: Socket): void => {
    const peer = peerOf(socket);
    const leave = (): void => {
      clearTimeout(timer);
      if (places.delete(peer)) beginMore();
    };
    const timer = setTimeout(leave, patienceMs);
    places.set(peer, leave);
    socket.once("close", leave);
    for (const listener of listeners) listener.call(server, socket);
  };
  const beginMore = (): void => {
    for (const socket of waiting) {
      if (places.size >= underWay) return;
      waiting.delete(socket);
      begin(socket);
    }
  };

  server.on("secureConnection", (socket: TLSSocket) => places.get(peerOf(socket))?.());
  server.on("connection", (socket: Socket) => {
    waiting.add(socket);
    socket.once("close", () => waiting.delete(socket));
    // Until TLS listens for it: a peer that has gone again is no matter.
    socket.on("error", () => {});
    beginMore();
  });
}
