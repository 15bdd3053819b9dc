// Frames to one agent, in order: buffered while a snapshot or another host goes first, and bounded for agents that read slowly.
import type { WebSocket } from "ws";
import type { SendText } from "./text-writer.ts";

export class Outbox {
  /** Frames to send when the last of `gates` has opened. */
  private readonly held: string[] = [];
  private heldBytes = 0;
  private gates = 0;
  /** Of frames that do not count against the limit, as far as the agent has not read them. */
  private largeBytes = 0;

  /** @param maxBytes that wait for a slow agent, without its snapshot or a large change set */
  constructor(
    private readonly socket: Pick<WebSocket, "bufferedAmount">,
    private readonly sendText: SendText,
    private readonly maxBytes: number,
  ) {}

  /** @returns false, with nothing sent: too much waits already */
  send(frames: readonly string[]): boolean {
    const waiting = this.socket.bufferedAmount + this.heldBytes;
    this.largeBytes = Math.min(this.largeBytes, waiting);
    if (waiting > this.maxBytes + this.largeBytes) return false;
    if (this.gates === 0) for (const frame of frames) this.sendText(frame);
    else {
      this.held.push(...frames);
      this.heldBytes += bytesOf(frames);
    }
    return true;
  }

  /** A set that may be as large as the host's part of the inventory, so it does not count against the limit. */
  sendLarge(frames: readonly string[]): boolean {
    const sent = this.send(frames);
    this.largeBytes += bytesOf(frames);
    return sent;
  }

  /** Buffers all frames from now on, until `open` was called as often. */
  hold(): void {
    this.gates += 1;
  }

  open(): void {
    this.gates -= 1;
    if (this.gates > 0) return;
    this.heldBytes = 0;
    for (const frame of this.held.splice(0)) this.sendText(frame);
  }

  /** The session is over. */
  clear(): void {
    this.held.length = 0;
  }
}

function bytesOf(frames: readonly string[]): number {
  return frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
}
