// Tells the controller what an operator should know of and that is no inventory. What is told when is
// `reports/report-book.ts`; this file sends it, and again after a session that ended before it had surely arrived.
//
// A question without content behind the reports tells by its answer that they have been read: the channel is ordered.
import type { AgentFrame } from "../../schema/index.ts";
import { type Finding, type Noted, ReportBook } from "./report-book.ts";

/** Between two looks for what may be told now. */
const everyMs = 1_000;

export interface ReporterDependencies {
  /** There is a session, and frames can be sent. */
  isLive(): boolean;
  send(frame: AgentFrame): void;
  /** Of questions, counting up. */
  nextId(): number;
  nowMs(): number;
}

export class Reporter {
  private readonly book = new ReportBook();
  /** The question behind the reports that are on their way. */
  private unanswered: number | undefined;
  private readonly timer: NodeJS.Timeout;
  private soon: NodeJS.Immediate | undefined;

  constructor(private readonly deps: ReporterDependencies) {
    this.timer = setInterval(() => this.flush(), everyMs).unref();
  }

  /** @returns whether it is worth a line in the log: the first of its subject, or the first for a minute */
  note(finding: Finding): boolean {
    const fresh = this.book.note(finding, this.deps.nowMs());
    if (fresh) {
      this.soon ??= setImmediate(() => {
        this.soon = undefined;
        this.flush();
      });
    }
    return fresh;
  }

  /** Tells what may be told now, where there is a session and nothing on its way. */
  flush(): void {
    const { isLive, send, nextId, nowMs } = this.deps;
    if (this.unanswered !== undefined || !isLive()) return;
    const reports = this.book.take(nowMs());
    if (reports.length === 0) return;
    send({ type: "report", reports });
    this.unanswered = nextId();
    send({ type: "resolve", id: this.unanswered, questions: [] });
  }

  /** Question `id` is answered, and so all before it has been read. */
  answered(id: number): void {
    if (this.unanswered === undefined || id < this.unanswered) return;
    this.unanswered = undefined;
    this.book.confirm();
  }

  /** The session is over: what was on its way may not have arrived. */
  onClosed(): void {
    this.unanswered = undefined;
    this.book.restore();
  }

  /** By kind, how often since the start. */
  get totals(): ReportBook["totals"] {
    return this.book.totals;
  }

  /** What happened lately, the last first. */
  list(): Noted[] {
    return this.book.list();
  }

  close(): void {
    clearInterval(this.timer);
    clearImmediate(this.soon);
  }
}
