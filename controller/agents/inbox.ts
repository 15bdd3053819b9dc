// Frames of one agent that wait to be handled: in turns with other hosts, and not faster than the host's allowance permits. The
// socket is not read while many wait or the allowance is exceeded: TCP makes the agent wait, and no frame is lost.
import type { RawData, WebSocket } from "ws";
import type { FairTurns } from "../../common/cooperative.ts";

export interface Message {
  readonly data: RawData;
  readonly isBinary: boolean;
}

interface InboxDeps {
  readonly turns: FairTurns;
  /** How long nothing may be handled; 0: the host is within its allowance. */
  pauseMs(): number;
  /** Nothing is read for so long. */
  paused(ms: number): void;
  /** @returns a promise if the frame takes more than this turn */
  receive(message: Message): Promise<void> | undefined;
  failed(error: unknown): void;
}

/** Maximum number of frames that wait for their turn. */
const maxWaitingFrames = 32;
/**
 * Frames are taken into the same turn for so long, ms: a host with many small ones must not wait for a turn of another host, which may
 * be a large one, before each of them.
 */
const turnMs = 0.5;

export class Inbox {
  private readonly waiting: Message[] = [];
  private isWorking = false;
  private isClosed = false;
  private isSocketPaused = false;
  /** Set while the host is over its allowance. */
  private endPause: (() => void) | undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly deps: InboxDeps,
  ) {}

  get isPaused(): boolean {
    return this.endPause !== undefined;
  }

  add(message: Message): void {
    this.waiting.push(message);
    if (this.waiting.length >= maxWaitingFrames) this.pauseSocket();
    this.wake();
  }

  /** Looks at the allowance, also when no frame has come. */
  wake(): void {
    if (!this.isWorking) void this.work();
  }

  /** Drops the frames that wait. */
  close(): void {
    this.isClosed = true;
    this.waiting.length = 0;
    this.endPause?.();
  }

  /** A frame that can be handled immediately, in one turn, waits for nothing: a promise takes as long as its answer. */
  private async work(): Promise<void> {
    this.isWorking = true;
    const { turns } = this.deps;
    try {
      for (;;) {
        if (this.waitMs() > 0) await this.afford();
        if (this.waiting.length === 0) break;
        const rest = turns.begins() ? this.takeTurn() : turns.run(() => this.takeTurn());
        if (rest) await rest;
      }
    } catch (error) {
      this.deps.failed(error);
    } finally {
      this.isWorking = false;
      if (this.isSocketPaused) this.resumeSocket();
    }
  }

  /** @returns a promise if the last frame takes more than this turn */
  private takeTurn(): Promise<void> | undefined {
    const endMs = performance.now() + turnMs;
    do {
      const next = this.waiting.shift();
      const received = next && this.deps.receive(next);
      if (!next || received) return received;
    } while (this.waiting.length > 0 && performance.now() < endMs && this.deps.pauseMs() === 0);
    return undefined;
  }

  private waitMs(): number {
    return this.isClosed ? 0 : this.deps.pauseMs();
  }

  private pauseSocket(): void {
    this.isSocketPaused = true;
    this.socket.pause();
  }

  private resumeSocket(): void {
    this.isSocketPaused = false;
    this.socket.resume();
  }

  private async afford(): Promise<void> {
    for (;;) {
      const ms = this.waitMs();
      if (ms === 0) return;
      this.deps.paused(ms);
      this.pauseSocket();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.endPause = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.endPause = undefined;
    }
  }
}
