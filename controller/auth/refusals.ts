// Refused requests: counted by kind, and logged at a rate that cannot fill a disk.
import type { FastifyBaseLogger } from "fastify";

const linesPerWindow = 10;
const windowMs = 10_000;

export class RefusalLog {
  private windowFromMs = Number.NEGATIVE_INFINITY;
  private lines = 0;
  private untold = 0;

  constructor(
    private readonly log: Pick<FastifyBaseLogger, "warn">,
    private readonly nowMs: () => number,
  ) {}

  add(refused: {
    readonly reason: string;
    readonly address: string;
    readonly who?: string;
    readonly path: string;
  }): void {
    if (this.nowMs() - this.windowFromMs >= windowMs) {
      if (this.untold > 0) this.log.warn({ untold: this.untold }, "more requests were refused than are logged");
      this.windowFromMs = this.nowMs();
      this.lines = 0;
      this.untold = 0;
    }
    if (this.lines >= linesPerWindow) {
      this.untold += 1;
      return;
    }
    this.lines += 1;
    this.log.warn(refused, "turned away");
  }
}
