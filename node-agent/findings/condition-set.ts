// The conditions of this host over time, and what of them the controller has to be sent. Pure; time is injected.
import {
  type AgentFrame,
  type ConditionName,
  conditionKey,
  conditionName,
  keyOfName,
  maxConditionsPerFrame,
  maxConditionsPerHost,
  type ReportedCondition,
} from "../../schema/agent/index.ts";
import type { HostCondition } from "./condition.ts";

/** A condition that has ended stays for this time, so that one that comes and goes is one condition. */
export const dwellMs = 3_000;

interface Lasting {
  readonly condition: HostCondition;
  readonly sinceMs: number;
  /** Last time at which it was found. */
  readonly foundMs: number;
}

type ConditionsFrame = Extract<AgentFrame, { type: "conditions" }>;
type Sent = ReadonlyMap<string, { readonly text: string; readonly name: ConditionName }>;

export class ConditionSet {
  private lasting = new Map<string, Lasting>();
  /** What the controller has in this session; undefined: nothing was sent yet. */
  private sent: Sent | undefined;
  /** Guests of which this run cannot say yet whether they were seen. */
  private undecided: readonly ConditionName[] = [];

  /** @param startMs of the watching of guests in this run */
  constructor(private readonly startMs: number) {}

  /** The present set. @param undecided conditions of an earlier run that may still be true */
  follow(found: readonly HostCondition[], undecided: readonly ConditionName[], nowMs: number): void {
    const next = new Map<string, Lasting>();
    for (const condition of found.slice(0, maxConditionsPerHost)) {
      const key = conditionKey(condition);
      if (!next.has(key))
        next.set(key, { condition, sinceMs: this.lasting.get(key)?.sinceMs ?? nowMs, foundMs: nowMs });
    }
    for (const [key, each] of this.lasting)
      if (!next.has(key) && nowMs - each.foundMs < dwellMs && next.size < maxConditionsPerHost) next.set(key, each);
    this.lasting = next;
    this.undecided = undecided.slice(0, maxConditionsPerHost);
  }

  /** The session is over. */
  forgetSent(): void {
    this.sent = undefined;
  }

  /** Empty: the controller has the present set. The first of a session are the whole set. */
  takeFrames(nowMs: number): ConditionsFrame[] {
    const watchedMs = Math.max(0, Math.round(nowMs - this.startMs));
    const known = this.sent;
    const now = this.described();
    this.sent = now;
    const added = [...this.lasting].filter(([key]) => known?.get(key)?.text !== now.get(key)?.text);
    const add = added.map(([, { condition, sinceMs }]) => reported(condition, nowMs - sinceMs));
    if (!known) return inParts({ type: "conditions", whole: true, watchedMs, undecided: this.undecided }, add, []);
    const remove = [...known].flatMap(([key, { name }]) => (now.has(key) ? [] : [name]));
    if (add.length === 0 && remove.length === 0) return [];
    return inParts({ type: "conditions", whole: false, watchedMs, undecided: [] }, add, remove);
  }

  /** What the controller should have; a guest that is undecided counts as one, so that its end is sent. */
  private described(): Sent {
    const sent = new Map<string, { readonly text: string; readonly name: ConditionName }>();
    for (const name of this.undecided) sent.set(keyOfName(name), { text: "", name });
    for (const [key, { condition }] of this.lasting) {
      const { reason, values } = condition;
      sent.set(key, { text: JSON.stringify([reason, values]), name: conditionName(condition) });
    }
    return sent;
  }
}

function reported({ kind, reason, vni, values }: ReportedCondition, agoMs: number) {
  return { kind, reason, ...(vni === undefined ? {} : { vni }), values, agoMs: Math.max(0, Math.round(agoMs)) };
}

type Head = Pick<ConditionsFrame, "type" | "whole" | "watchedMs" | "undecided">;

function inParts(head: Head, add: ConditionsFrame["add"], remove: ConditionsFrame["remove"]): ConditionsFrame[] {
  const parts = Math.max(1, Math.ceil(add.length / maxConditionsPerFrame));
  return Array.from({ length: parts }, (_, n) => ({
    ...head,
    undecided: n === 0 ? head.undecided : [],
    add: add.slice(n * maxConditionsPerFrame, (n + 1) * maxConditionsPerFrame),
    remove: n === 0 ? remove : [],
    end: n === parts - 1,
  }));
}
