// The conditions that hosts report, merged: each with the time since when it is so, also after a restart of its agent.
import {
  type AgentFrame,
  allConditionKinds,
  conditionKey,
  keyOfName,
  maxConditionsPerHost,
  type ReportedCondition,
} from "../../schema/agent/index.ts";

type Frame = Extract<AgentFrame, { type: "conditions" }>;

/** A condition that is seen in what guests send ends when it was not seen for this time: docs/conditions.md has the kinds. */
export const quietMs = 300_000;

export interface KeptCondition extends ReportedCondition {
  readonly since: Date;
}

interface Kept extends KeptCondition {
  /** When the host reported it. Times in ms are monotonic. */
  readonly reportedMs: number;
  /** An earlier run of the agent reported it: forgotten then, if this one does not report it. */
  readonly untilMs: number;
}

interface OfHost {
  conditions: ReadonlyMap<string, Kept>;
  /** Parts of a whole set that is not complete yet. */
  parts: Frame | undefined;
  /** Begin of its last session. */
  begunMs: number;
  /** The host sends conditions, and not only the sentences of version 1. */
  isSpoken: boolean;
  /** Of an agent of version 1. */
  said: ReadonlyMap<string, KeptCondition>;
}

export class HostConditions {
  private readonly byHost = new Map<string, OfHost>();

  /** The agent of the host sent conditions at that time: what it reports as findings of it is not needed. */
  covers(host: string, atMs: number): boolean {
    const known = this.byHost.get(host);
    return known?.isSpoken === true && atMs >= known.begunMs;
  }

  /** A session has begun. */
  begin(host: string, nowMs: number): void {
    const known = this.of(host);
    known.begunMs = nowMs;
    known.parts = undefined;
    known.isSpoken = false;
    known.said = new Map();
  }

  take(host: string, frame: Frame, now: Date, nowMs: number): void {
    const known = this.of(host);
    known.isSpoken = true;
    if (!frame.whole) {
      known.conditions = withChanges(known.conditions, frame, now, nowMs);
      return;
    }
    const { parts } = known;
    const all = parts
      ? {
          ...frame,
          undecided: [...parts.undecided, ...frame.undecided],
          add: [...parts.add, ...frame.add].slice(0, maxConditionsPerHost),
        }
      : frame;
    known.parts = frame.end ? undefined : all;
    if (frame.end) known.conditions = withWhole(known.conditions, all, now, nowMs);
  }

  /** The whole present list of an agent of version 1, with the sentences that are known. */
  takeSaid(host: string, said: readonly ReportedCondition[], now: Date): void {
    const known = this.of(host);
    if (said.length === 0 && known.said.size === 0) return;
    const before = known.said;
    known.said = new Map(
      said.slice(0, maxConditionsPerHost).map((each) => {
        const key = conditionKey(each);
        return [key, { ...each, since: before.get(key)?.since ?? now }];
      }),
    );
  }

  /** What the host reported last, whether it is connected or not. */
  list(host: string, nowMs: number): KeptCondition[] {
    const known = this.byHost.get(host);
    if (!known) return [];
    const kept = [...known.conditions.values()].filter(({ untilMs }) => nowMs < untilMs);
    return [...kept, ...[...known.said].flatMap(([key, each]) => (known.conditions.has(key) ? [] : [each]))];
  }

  /** Hosts that have reported any. */
  hosts(): Iterable<string> {
    return this.byHost.keys();
  }

  /** The host is deleted. */
  forget(host: string): void {
    this.byHost.delete(host);
  }

  private of(host: string): OfHost {
    const known = this.byHost.get(host) ?? {
      conditions: new Map(),
      parts: undefined,
      isSpoken: false,
      begunMs: 0,
      said: new Map(),
    };
    this.byHost.set(host, known);
    return known;
  }
}

/** Differences of what this run has sent. */
function withChanges(before: ReadonlyMap<string, Kept>, frame: Frame, now: Date, nowMs: number): Map<string, Kept> {
  const after = new Map(before);
  for (const name of frame.remove) after.delete(keyOfName(name));
  for (const each of frame.add) {
    if (after.size < maxConditionsPerHost || after.has(conditionKey(each))) keep(after, before, each, now, nowMs);
  }
  return after;
}

/**
 * The present set of a run of the agent. What an earlier run saw in the frames of guests stays until this run could have seen it too, or says
 * that it is over.
 */
function withWhole(before: ReadonlyMap<string, Kept>, frame: Frame, now: Date, nowMs: number): Map<string, Kept> {
  const after = new Map<string, Kept>();
  for (const each of frame.add) keep(after, before, each, now, nowMs);
  const undecided = new Set(frame.undecided.map(keyOfName));
  for (const [key, each] of before) {
    const isEarlier = each.reportedMs < nowMs - frame.watchedMs;
    if (after.has(key) || !isEarlier || after.size >= maxConditionsPerHost) continue;
    const { observed } = allConditionKinds[each.kind];
    const untilMs = nowMs - frame.watchedMs + quietMs;
    if (observed === "quiet" && untilMs > nowMs) after.set(key, { ...each, untilMs: Math.min(each.untilMs, untilMs) });
    if (observed === "heard" && undecided.has(key)) after.set(key, each);
  }
  return after;
}

function keep(
  after: Map<string, Kept>,
  before: ReadonlyMap<string, Kept>,
  { agoMs, ...facts }: Frame["add"][number],
  now: Date,
  nowMs: number,
): void {
  const key = conditionKey(facts);
  const begun = new Date(now.getTime() - agoMs);
  const known = before.get(key)?.since;
  const since = known && known < begun ? known : begun;
  after.set(key, { ...facts, since, reportedMs: nowMs, untilMs: Number.POSITIVE_INFINITY });
}
