// Issues that need attention, and those that were resolved recently: the present conditions, and reports of agents about what is none.
// The rules are in ADR 123 and 240. Pure.
import { defined } from "../../common/defined.ts";
import type { OperationalCloudEvent, OperationalKind } from "../../schema/events/index.ts";
import type { OverviewView } from "../../schema/rest/index.ts";
import { operationalText } from "./describe.ts";

import type { Question } from "./questions.ts";

export interface Issue {
  readonly key: string;
  readonly tone: "bad" | "wait";
  /** Absent: it is the controller's. */
  readonly host?: string;
  readonly network?: string;
  readonly vm?: string;
  /** Of a condition. */
  readonly kind?: string;
  /** Continues after the name of what it is about. */
  readonly title: string;
  readonly detail: string;
  /** What to do. */
  readonly fix?: string;
  /** Since when it is the case, RFC 3339; absent: see `last`. */
  readonly since?: string;
  /** The host is disconnected: it was so before. */
  readonly isUnknown?: true;
  /** Further hosts with the same. */
  readonly others?: readonly string[];
  /** Of the last report, RFC 3339; absent: it is the case now. */
  readonly last?: string;
  /** How it ended; absent: events do not show that it has. */
  readonly end?: "repaired" | "ended" | "resolved";
  /** Asks the inventory whether it is resolved. */
  readonly question?: Question;
}

/** An agent repeats a report every minute while its cause lasts; reports older than the charts beside them are not shown. */
const latelyMs = 15 * 60_000;
/** Two reports may have been late. */
const quietMs = 150_000;

interface Rule {
  readonly title: string;
  /** Traffic is lost, or a guest spoofs. */
  readonly isBad?: true;
  /** `quiet`: reported every minute while it lasts. `repaired`: the report says that it is repaired. Absent: no event shows the end. */
  readonly ends?: "quiet" | "repaired" | Question["kind"];
  /** Lasts until it is fixed, and is listed among the conditions where the caller sees those of hosts. */
  readonly isProblem?: true;
}

/** Absent: needs no attention. */
const rules: Partial<Record<OperationalKind, Rule>> = {
  scan: { title: "guests ask for too many unknown addresses", ends: "quiet" },
  theft: { title: "a guest sent with the MAC of a VM elsewhere", isBad: true, ends: "quiet" },
  "drift-repaired": { title: "another program changed kernel entries", ends: "repaired" },
  overrun: { title: "the kernel dropped messages for the agent", ends: "repaired" },
  "table-full": { title: "the kernel has no room for entries", isBad: true, ends: "quiet" },
  "room-short": { title: "the agent has reached its limit of addresses", ends: "quiet" },
  "unregistered-guest": { title: "an unregistered guest sends traffic", ends: "registered-here" },
  "guest-never-seen": { title: "a registered guest has sent no traffic", ends: "not-registered-here" },
  "address-conflict": { title: "a guest uses another VM's address", isBad: true, ends: "registered-otherwise" },
  spoofed: { title: "a guest used addresses that are not registered for it", isBad: true, ends: "quiet" },
  "mac-flood": { title: "a guest sent from too many MAC addresses", isBad: true, ends: "quiet" },
  stranger: { title: "tunnelled frames came from an unknown address", isBad: true, ends: "quiet" },
  "move-unconfirmed": { title: "a move has not been confirmed by all hosts", ends: "followed" },
  "network-not-ready": { title: "a network cannot be set up", isProblem: true },
  "vtep-missing": { title: "its VTEP address cannot be used", isProblem: true },
  "mtu-too-large": { title: "the MTU is too large for the underlay", isProblem: true },
  "second-device": { title: "another vxlan device receives a network's frames", isProblem: true },
  "host-filter": { title: "the host's packet filter drops bridged traffic", isProblem: true },
};

/** More conditions of one kind are one issue, whose hosts are listed. */
const maxAlike = 3;

interface Group {
  readonly newest: OperationalCloudEvent;
  readonly rule: Rule;
  readonly count: number;
  readonly reports: number;
}

/** The most severe first, then the newest. */
export function issuesOf(
  conditions: OverviewView["conditions"],
  operationalEvents: readonly OperationalCloudEvent[],
  { nowMs, seesProblems }: { readonly nowMs: number; readonly seesProblems: boolean },
): Issue[] {
  const present = presentIssues(conditions);
  const away = new Set(conditions.flatMap(({ kind, host }) => (kind === "host-away" && host ? [host] : [])));
  const groups = new Map<string, Group>();
  for (const event of operationalEvents.toReversed()) {
    const kind = kindOf(event);
    const rule = rules[kind];
    // What is listed as a condition is not reported once more.
    if (!rule || event.data.condition !== undefined || (rule.isProblem && seesProblems)) continue;
    if (nowMs - Date.parse(event.time) > latelyMs) continue;
    const { host, network = "", subject = "", count } = event.data;
    const key = `${kind} ${host} ${network} ${subject}`;
    const before = groups.get(key);
    groups.set(key, {
      newest: before?.newest ?? event,
      rule,
      count: count + (before?.count ?? 0),
      reports: 1 + (before?.reports ?? 0),
    });
  }
  const reported = [...groups].map(([key, group]): Issue => {
    const { newest, rule, count } = group;
    const end = endOf(group, nowMs, away.has(newest.data.host));
    const question = questionOf(group);
    return {
      key,
      tone: rule.isBad ? "bad" : "wait",
      host: newest.data.host,
      title: rule.title,
      detail: operationalText({ ...newest, data: { ...newest.data, count } }),
      last: newest.time,
      ...defined({ end, question }),
    };
  });
  const isBad = ({ tone }: Issue) => Number(tone === "bad");
  return [present, reported].flatMap((issues) => issues.sort((a, b) => isBad(b) - isBad(a)));
}

function presentIssues(conditions: OverviewView["conditions"]): Issue[] {
  const byKind = new Map<string, OverviewView["conditions"]>();
  for (const each of conditions) byKind.set(each.kind, [...(byKind.get(each.kind) ?? []), each]);
  return [...byKind.values()].flatMap((alike) => {
    const [first] = alike;
    const hosts = [...new Set(alike.flatMap(({ host = [] }) => host))];
    if (!first || hosts.length <= maxAlike) return alike.map((each) => issueOf(each));
    const issue = issueOf(first);
    const detail = `${hosts[0]}: ${issue.detail}`;
    return [
      {
        ...issue,
        key: `${first.kind} on ${hosts.length}`,
        title: ofSeveral(issue.title),
        detail,
        others: hosts.slice(1),
      },
    ];
  });
}

/** "is disconnected" → "are disconnected", behind several names. */
function ofSeveral(title: string): string {
  const verbs: Readonly<Record<string, string>> = {
    is: "are",
    has: "have",
    its: "their",
    reports: "report",
    keeps: "keep",
  };
  const [first = "", ...rest] = title.split(" ");
  return [verbs[first] ?? first, ...rest].join(" ");
}

function issueOf(condition: OverviewView["conditions"][number]): Issue {
  const { kind, host, network, vm, subject = "", severity, status, since, title, reason, fix } = condition;
  return {
    key: [kind, host, network, subject].join(" "),
    kind,
    tone: severity === "bad" ? "bad" : "wait",
    title,
    detail: reason,
    since,
    ...(status === "unknown" ? { isUnknown: true } : {}),
    ...defined({ host, network, vm, fix }),
  };
}

/** As far as reports show. A disconnected host sends none. */
function endOf({ newest, rule, reports }: Group, nowMs: number, isAway: boolean): Issue["end"] {
  const isQuiet = !isAway && nowMs - Date.parse(newest.time) > quietMs;
  // A repair that is repeated a minute later is not over.
  if (rule.ends === "repaired") return reports === 1 || isQuiet ? "repaired" : undefined;
  return rule.ends === "quiet" && isQuiet ? "ended" : undefined;
}

function questionOf({ newest, rule }: Group): Question | undefined {
  const { host, network, subject, detail = "" } = newest.data;
  const { ends } = rule;
  if (ends === undefined || ends === "quiet" || ends === "repaired" || subject === undefined) return undefined;
  // An address means something within a network only.
  if (network === undefined && ends !== "followed") return undefined;
  return { kind: ends, host, network: network ?? "", subject, detail };
}

function kindOf({ type }: OperationalCloudEvent): OperationalKind {
  return type.slice("nearmiss.operational.".length) as OperationalKind;
}
