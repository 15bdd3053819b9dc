// Waits for a peer to read what was sent, so that no more than a window of a snapshot or a base is in its socket.
import type { WebSocket } from "ws";

/** Bytes in the socket that the peer has not read: enough for a fast link, and little for 1,000 slow ones. */
const windowBytes = 256 * 1024;

export class ReadingWaits {
  private readonly ends = new Set<() => void>();

  constructor(
    private readonly socket: WebSocket,
    /** Called once the peer has read nothing for `stalledMs`. */
    private readonly stalled: { readonly ms: number; readonly call: () => void },
  ) {}

  /** Resolves when the peer has read more, or all waits end; undefined: it has little to read. */
  findWait(): Promise<void> | undefined {
    if (this.socket.bufferedAmount <= windowBytes) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(this.stalled.call, this.stalled.ms);
      const end = (): void => {
        this.ends.delete(end);
        clearTimeout(timer);
        resolve();
      };
      this.ends.add(end);
      // An empty ping is written after all waiting frames.
      this.socket.ping(undefined, false, end);
    });
  }

  endAll(): void {
    for (const end of [...this.ends]) end();
  }
}
