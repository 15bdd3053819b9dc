// A task that is asked for more often than it should run: it runs at once, and then not again before the pause is over.

export class Paced {
  private lastMs = Number.NEGATIVE_INFINITY;
  private isScheduled = false;
  private isStopped = false;

  /** @param pauseMs between two runs. @param later runs its callback after so many ms */
  constructor(
    private readonly pauseMs: number,
    private readonly task: () => void,
    private readonly clock: { nowMs(): number; later(ms: number, callback: () => void): void },
  ) {}

  /** The task runs now, or once after the pause. */
  ask(): void {
    if (this.isScheduled || this.isStopped) return;
    const waitMs = this.lastMs + this.pauseMs - this.clock.nowMs();
    if (waitMs <= 0) {
      this.run();
      return;
    }
    this.isScheduled = true;
    this.clock.later(waitMs, () => {
      this.isScheduled = false;
      if (!this.isStopped) this.run();
    });
  }

  stop(): void {
    this.isStopped = true;
  }

  private run(): void {
    this.lastMs = this.clock.nowMs();
    this.task();
  }
}
