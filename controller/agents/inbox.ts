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
    if (this.waiting.length >= maxWaitingFrames) this.socket.pause();
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

  private async work(): Promise<void> {
    this.isWorking = true;
    try {
      for (;;) {
        await this.afford();
        if (this.waiting.length === 0) break;
        await this.deps.turns.run(() => this.takeTurn());
      }
    } catch (error) {
      this.deps.failed(error);
    } finally {
      this.isWorking = false;
      this.socket.resume();
    }
  }

  private async takeTurn(): Promise<void> {
    const endMs = performance.now() + turnMs;
    do {
      const next = this.waiting.shift();
      const received = next && this.deps.receive(next);
      if (!next || received) return received;
    } while (performance.now() < endMs && this.deps.pauseMs() === 0);
  }

  private async afford(): Promise<void> {
    for (;;) {
      const ms = this.isClosed ? 0 : this.deps.pauseMs();
      if (ms === 0) return;
      this.deps.paused(ms);
      this.socket.pause();
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
