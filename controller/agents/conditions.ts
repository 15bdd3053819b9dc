// The present conditions of a host: what its agent reported, as far as the inventory does not allow it, and what the controller sees itself.
// Changes become operational events, log lines and counts.
import type { FastifyBaseLogger } from "fastify";
import { every, type Repetition } from "../../common/every.ts";
import {
  allConditionKinds,
  type ConditionFacts,
  type ConditionKind,
  conditionKey,
  conditionText,
  type EventfulConditionKind,
} from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import type { OperationalEvents } from "../events/operational-events.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { Metrics } from "../metrics.ts";
import type { HostConditions } from "./host-conditions.ts";
import { judgeCondition } from "./judge-condition.ts";

/** What ends by time, or because of the inventory, is noticed within this time. */
const everyMs = 1_000;

/** One condition as it is now. */
export interface Condition extends ConditionFacts<EventfulConditionKind> {
  readonly host: string;
  readonly network?: Network;
  /** Name of the VM. */
  readonly vm?: string;
  readonly since: Date;
  /** The host has no session since then, so it is not known whether this is still so. */
  readonly unknownSince?: Date;
}

/** Without `since`: since it was seen first. */
export type SeenCondition = ConditionFacts<EventfulConditionKind> & {
  readonly since?: Date;
  readonly network?: Network;
  readonly vm?: string;
};

export interface ConditionsDeps {
  readonly reported: HostConditions;
  readonly current: () => Inventory;
  /** What the controller sees of the host by itself. */
  readonly seen: (host: string) => readonly SeenCondition[];
  /** Undefined while the host has a session; null: never since the start. */
  readonly awaySince: (host: string) => Date | null | undefined;
  /** Whether another event of the host may be published: a host decides how often its conditions change. */
  readonly admits: (host: string) => boolean;
  readonly operational: OperationalEvents;
  readonly metrics: Metrics;
  readonly log: FastifyBaseLogger;
  readonly now: () => Date;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class Conditions {
  /** Of each host that has any, by key, as at the last update. */
  private readonly known = new Map<string, ReadonlyMap<string, Condition>>();
  private readonly timer: Repetition;

  constructor(private readonly deps: ConditionsDeps) {
    this.timer = every(everyMs, () => this.sweep());
  }

  /** The present ones of a host. */
  of(host: string): Condition[] {
    const { reported, current, awaySince, nowMs, seen } = this.deps;
    const own = seen(host).map((facts): Condition => {
      const since = facts.since ?? this.known.get(host)?.get(conditionKey(facts))?.since ?? this.deps.now();
      return { ...facts, host, since };
    });
    const away = awaySince(host);
    const unknown = away === undefined ? {} : { unknownSince: away ?? this.deps.now() };
    const kept = reported.list(host, nowMs()).flatMap((each): Condition[] => {
      const judged = judgeCondition(current(), host, each);
      return judged ? [{ ...judged, host, since: each.since, ...unknown }] : [];
    });
    const all = [...own, ...kept];
    return all.length < 2 ? all : [...new Map(all.map((each) => [conditionKey(each), each])).values()];
  }

  /** Of all hosts in a network, as at the last update. */
  inNetwork(name: string): Condition[] {
    return [...this.known.values()].flatMap((each) =>
      [...each.values()].filter(({ network }) => network?.name === name),
    );
  }

  /** Names of VMs with a condition of the kind, or with `any`, as at the last update. */
  vms(kind: string): ReadonlySet<string> {
    const conditions = [...this.known.values()].flatMap((each) => [...each.values()]);
    return new Set(conditions.flatMap((each) => (kind === "any" || each.kind === kind ? (each.vm ?? []) : [])));
  }

  /** Number of conditions by kind: those that are so, and those of disconnected hosts. */
  counts(): ReadonlyMap<ConditionKind, { readonly true: number; readonly unknown: number }> {
    const counts = new Map<ConditionKind, { true: number; unknown: number }>();
    for (const host of this.known.keys()) {
      for (const { kind, unknownSince } of this.of(host)) {
        const count = counts.get(kind) ?? { true: 0, unknown: 0 };
        count[unknownSince ? "unknown" : "true"] += 1;
        counts.set(kind, count);
      }
    }
    return counts;
  }

  /** Something about the host changed. */
  update(host: string): void {
    const before = this.known.get(host);
    const after = new Map(this.of(host).map((each) => [conditionKey(each), each]));
    if (after.size === 0 && !before) return;
    for (const [key, condition] of after) if (!before?.has(key)) this.publish(condition, "began");
    for (const [key, condition] of before ?? []) if (!after.has(key)) this.publish(condition, "ended");
    if (after.size === 0) this.known.delete(host);
    else this.known.set(host, after);
  }

  /** The host is deleted. */
  forget(host: string): void {
    this.known.delete(host);
  }

  stop(): void {
    this.timer.stop();
  }

  private sweep(): void {
    for (const host of [...this.known.keys()]) this.update(host);
    for (const host of this.deps.reported.hosts()) if (!this.known.has(host)) this.update(host);
  }

  private publish(condition: Condition, change: "began" | "ended"): void {
    const { operational, metrics, log, admits, now } = this.deps;
    const { host, kind, network, vm, since, values } = condition;
    const { reason, fix } = conditionText(condition, network?.name);
    const { subject } = allConditionKinds[kind];
    const said = subject === undefined ? undefined : values[subject];
    const fields = {
      host,
      ...(network ? { network: network.name, networkUid: network.uid, vni: network.vni } : {}),
      ...(vm === undefined ? {} : { vm }),
      ...(said === undefined ? {} : { subject: said }),
    };
    const event = change === "began" ? kind : "condition-ended";
    metrics.operational(host, event, 1);
    if (!admits(host)) return;
    const at = now().toISOString();
    log[change === "began" ? "warn" : "info"](
      { ...fields, condition: kind, reason, fix, since },
      `condition ${change}`,
    );
    operational.publish({
      kind: event,
      ...fields,
      condition: kind,
      detail: fix === undefined || change === "ended" ? reason : `${reason}; ${fix}`,
      count: 1,
      first: change === "began" ? since.toISOString() : at,
      last: at,
    });
  }
}
