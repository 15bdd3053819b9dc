// Sends findings for operators to the controller. `findings/aggregator.ts` decides what is sent when; this file sends it, and
// repeats it if the session ended before it was confirmed.
//
// An empty query after the reports confirms them by its answer: the channel is ordered.
import { every, type Repetition } from "../../common/every.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { type Finding, FindingAggregator, type FindingSummary } from "./aggregator.ts";

/** Interval of the checks for new reports. */
const everyMs = 1_000;

export interface ReporterDependencies {
  readonly uplink: { readonly isLive: boolean; send(frame: AgentFrame): void; nextId(): number };
  /** A finding of which none was noted lately: what it is about may be over in a moment. */
  noted?(): void;
  nowMs(): number;
}

export class Reporter {
  private readonly aggregator = new FindingAggregator();
  /** The query after the reports in flight. */
  private unanswered: number | undefined;
  private readonly timer: Repetition;
  private soon: NodeJS.Immediate | undefined;

  constructor(private readonly deps: ReporterDependencies) {
    this.timer = every(everyMs, () => this.flush(), { inStep: true });
  }

  /** @returns whether it is worth a line in the log: the first of its subject, or the first for a minute */
  note(finding: Finding): boolean {
    const fresh = this.aggregator.note(finding, this.deps.nowMs());
    if (fresh) {
      this.deps.noted?.();
      this.soon ??= setImmediate(() => {
        this.soon = undefined;
        this.flush();
      });
    }
    return fresh;
  }

  /** Sends the reportable findings, if there is a session and no report in flight. */
  flush(): void {
    const { uplink, nowMs } = this.deps;
    if (this.unanswered !== undefined || !uplink.isLive) return;
    const reports = this.aggregator.take(nowMs());
    if (reports.length === 0) return;
    uplink.send({ type: "report", reports });
    this.unanswered = uplink.nextId();
    uplink.send({ type: "resolve", id: this.unanswered, questions: [] });
  }

  /** Query `id` is answered, and so all frames before it have been read. */
  answered(id: number): void {
    if (this.unanswered === undefined || id < this.unanswered) return;
    this.unanswered = undefined;
    this.aggregator.confirm();
  }

  /** The session is over: frames in flight may not have arrived. */
  onClosed(): void {
    this.unanswered = undefined;
    this.aggregator.restore();
  }

  /** Number since the start, by kind. */
  get totals(): FindingAggregator["totals"] {
    return this.aggregator.totals;
  }

  /** Recent findings, most recent first. */
  list(): FindingSummary[] {
    return this.aggregator.list();
  }

  close(): void {
    this.timer.stop();
    clearImmediate(this.soon);
  }
}
