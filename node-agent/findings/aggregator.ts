// Findings for operators, outside the inventory. They are counted by kind and subject, and released so that a storm of findings
// does not become a storm of reports. Pure; time is injected.
import { defined } from "../../common/defined.ts";
import type { Vni } from "../../schema/address/index.ts";
import {
  type FindingKind,
  maxDetailLength,
  maxFindingsPerFrame,
  maxSubjectLength,
  type ReportedFinding,
} from "../../schema/agent/index.ts";
import { Budget } from "../misses/budget.ts";

/** The first finding of a kind and subject is reported at once, later ones once per interval. */
export const intervalMs = 60_000;
/** Maximum of subjects of one kind in one network that are counted separately; others are counted together. */
export const maxSubjects = 64;
/** Maximum of networks of one kind whose subjects are counted separately. */
const maxGroups = 64;
/** A subject that was quiet for this time may be evicted. */
const quietMs = 10 * 60_000;
/** Budget of reports of this host. Kinds and networks take turns: a noisy guest does not displace reports of others. */
export const reportRate = { perSecond: 1, burst: 128 } as const;

/** A new finding. */
export interface Finding {
  readonly kind: FindingKind;
  /** Absent: it concerns the host. */
  readonly vni?: Vni;
  /** Its subject, such as an address. */
  readonly subject?: string;
  /** Text for operators, from the first finding. */
  readonly detail?: string;
  /** Number of occurrences, default 1. */
  readonly count?: number;
}

interface Span {
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** All findings of one kind and subject; times are of the agent's monotonic clock. */
export interface FindingSummary extends Span {
  readonly kind: FindingKind;
  readonly vni: Vni | undefined;
  readonly subject: string | undefined;
  readonly detail: string | undefined;
}

interface Line extends FindingSummary {
  /** Not yet given out. */
  pending: Span | undefined;
  /** Given out, not confirmed. */
  given: Span | undefined;
  givenMs: number;
  loggedMs: number;
}

export class FindingAggregator {
  /** Number since the start, by kind. */
  readonly totals = new Map<FindingKind, number>();
  /** By kind and network; the most recently reported group is last. */
  private readonly groups = new Map<string, Map<string, Line>>();
  private readonly budget = new Budget(reportRate, 1);

  /** @returns whether it is worth a line in the log: the first of its subject, or the first for `intervalMs` */
  note(finding: Finding, nowMs: number): boolean {
    const { kind, count = 1 } = finding;
    this.totals.set(kind, (this.totals.get(kind) ?? 0) + count);
    const line = this.lineOf(finding, nowMs);
    const span = { count, firstMs: nowMs, lastMs: nowMs };
    Object.assign(line, joined(line, span));
    line.pending = joined(line.pending, span);
    if (nowMs - line.loggedMs < intervalMs) return false;
    line.loggedMs = nowMs;
    return true;
  }

  /** Findings that may be reported now; they count as released until `confirm` or `restore`. */
  take(nowMs: number): ReportedFinding[] {
    const taken: ReportedFinding[] = [];
    const due = this.dueLines(nowMs);
    while (due.length > 0 && taken.length < maxFindingsPerFrame && this.budget.allows("host", nowMs)) {
      const next = due.shift();
      const line = next?.lines.shift();
      if (!next || !line?.pending) continue;
      this.budget.spend("host", nowMs);
      taken.push(reportedOf(line, line.pending, nowMs));
      line.given = line.pending;
      line.pending = undefined;
      line.givenMs = nowMs;
      if (next.lines.length > 0) due.push(next);
      // Behind the others, also at the next look.
      this.groups.delete(next.key);
      this.groups.set(next.key, next.group);
    }
    return taken;
  }

  /** Reportable findings by group; within a group the least recently reported first. */
  private dueLines(nowMs: number): { key: string; group: Map<string, Line>; lines: Line[] }[] {
    return [...this.groups].flatMap(([key, group]) => {
      const lines = [...group.values()].filter(
        ({ pending, given, givenMs }) => pending && !given && nowMs - givenMs >= intervalMs,
      );
      lines.sort((a, b) => (a.givenMs === b.givenMs ? 0 : a.givenMs - b.givenMs));
      return lines.length === 0 ? [] : [{ key, group, lines }];
    });
  }

  /** The released findings have arrived. */
  confirm(): void {
    for (const line of this.lines()) line.given = undefined;
  }

  /** The released findings may not have arrived: they are released again at once, with those since. */
  restore(): void {
    for (const line of this.lines()) {
      if (!line.given) continue;
      line.pending = line.pending ? joined(line.given, line.pending) : line.given;
      line.given = undefined;
      line.givenMs = Number.NEGATIVE_INFINITY;
    }
  }

  /** Most recent first. */
  list(): FindingSummary[] {
    return [...this.lines()].sort((a, b) => b.lastMs - a.lastMs);
  }

  private *lines(): Iterable<Line> {
    for (const lines of this.groups.values()) yield* lines.values();
  }

  private lineOf({ kind, vni, subject, detail }: Finding, nowMs: number): Line {
    const lines = this.groupOf(kind, vni);
    const name = subject?.slice(0, maxSubjectLength);
    const key = `${vni} ${name}`;
    const known = lines.get(key);
    if (known) return known;
    if (lines.size >= maxSubjects && !dropQuietest(lines, nowMs)) return this.restOf(lines, kind, nowMs);
    return addTo(lines, key, { kind, vni, subject: name, detail: detail?.slice(0, maxDetailLength) }, nowMs);
  }

  /** Beyond `maxGroups` networks share one. */
  private groupOf(kind: FindingKind, vni: Vni | undefined): Map<string, Line> {
    const known = this.groups.get(`${kind} ${vni}`);
    if (known) return known;
    const isCrowded = [...this.groups.keys()].filter((key) => key.startsWith(`${kind} `)).length >= maxGroups;
    const key = isCrowded ? `${kind} others` : `${kind} ${vni}`;
    const group = this.groups.get(key) ?? new Map<string, Line>();
    this.groups.set(key, group);
    return group;
  }

  /** The one line beyond `maxSubjects`. */
  private restOf(lines: Map<string, Line>, kind: FindingKind, nowMs: number): Line {
    const detail = `more than ${maxSubjects} subjects: the rest together`;
    return lines.get(rest) ?? addTo(lines, rest, { kind, vni: undefined, subject: undefined, detail }, nowMs);
  }
}

/** No other line has this key: those carry a space. */
const rest = "rest";

function addTo(
  lines: Map<string, Line>,
  key: string,
  what: Pick<FindingSummary, "kind" | "vni" | "subject" | "detail">,
  nowMs: number,
): Line {
  const never = Number.NEGATIVE_INFINITY;
  const times = { firstMs: nowMs, lastMs: nowMs, givenMs: never, loggedMs: never };
  const line: Line = { ...what, ...times, count: 0, pending: undefined, given: undefined };
  lines.set(key, line);
  return line;
}

/** Evicts a quiet subject whose findings have all been reported. @returns whether there is room */
function dropQuietest(lines: Map<string, Line>, nowMs: number): boolean {
  const told = [...lines].filter(([key, { pending, given }]) => key !== rest && !pending && !given);
  const [quietest] = told.sort(([, a], [, b]) => a.lastMs - b.lastMs);
  if (!quietest || nowMs - quietest[1].lastMs < quietMs) return false;
  return lines.delete(quietest[0]);
}

function joined(earlier: Span | undefined, later: Span): Span {
  if (!earlier || earlier.count === 0) return later;
  return { count: earlier.count + later.count, firstMs: earlier.firstMs, lastMs: later.lastMs };
}

function reportedOf({ kind, vni, subject, detail }: FindingSummary, span: Span, nowMs: number): ReportedFinding {
  return {
    kind,
    ...defined({ vni, subject, detail }),
    count: span.count,
    firstAgoMs: Math.round(nowMs - span.firstMs),
    lastAgoMs: Math.round(nowMs - span.lastMs),
  };
}
