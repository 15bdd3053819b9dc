// Refused connections of strangers are ended a moment later: who comes again as soon as it is disconnected would otherwise cost an
// accept and a close thousands of times a second.
import type { Endpoint } from "../peer.ts";

/** A TCP socket, beneath TLS if there is any. */
export interface EndableSocket extends Endpoint {
  destroy(): unknown;
  once(event: "close", listener: () => void): unknown;
}

/** A client that tries again by itself waits longer. */
const delayMs = 1_000;

export class RefusedConnections {
  private readonly sockets = new Set<EndableSocket>();

  /** @param max beyond it, connections are ended at once */
  constructor(private readonly max: number) {}

  get size(): number {
    return this.sockets.size;
  }

  /** Takes a connection that is not read any more. */
  end(socket: EndableSocket): void {
    if (this.sockets.size >= this.max) {
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    const timer = setTimeout(() => socket.destroy(), delayMs);
    socket.once("close", () => {
      clearTimeout(timer);
      this.sockets.delete(socket);
    });
  }

  endOldest(): void {
    const [oldest] = this.sockets;
    if (!oldest) return;
    // Its event follows in a later turn.
    this.sockets.delete(oldest);
    oldest.destroy();
  }

  endAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}
