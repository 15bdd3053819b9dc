// Issues that need attention, and those that were resolved recently: the state that the controller sees of its hosts, and
// reports of agents. The rules are in ADR 123. Pure.
import { defined } from "../../common/defined.ts";
import type { OperationalCloudEvent, OperationalKind } from "../../schema/events/index.ts";
import type { OverviewView } from "../../schema/rest/index.ts";
import { operationalText } from "./describe.ts";

import type { Question } from "./questions.ts";

export interface Issue {
  readonly key: string;
  readonly tone: "bad" | "wait";
  readonly host: string;
  /** Continues after the host's name. */
  readonly title: string;
  readonly detail: string;
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
  /** Lasts until it is fixed, and is already listed among the host's problems. */
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
  "vtep-missing": { title: "its VTEP address is on no interface", isProblem: true },
  "mtu-too-large": { title: "the MTU is too large for the underlay", isProblem: true },
  "second-device": { title: "another vxlan device receives a network's frames", isProblem: true },
  "host-filter": { title: "the host's packet filter drops bridged traffic", isProblem: true },
};

const conditionTitles = { "host-away": "is disconnected", "host-problem": "reports a problem" } as const;

interface Group {
  readonly newest: OperationalCloudEvent;
  readonly rule: Rule;
  readonly count: number;
  readonly reports: number;
}

/** The most severe first, then the newest. */
export function issuesOf(
  concerns: OverviewView["concerns"],
  operationalEvents: readonly OperationalCloudEvent[],
  { nowMs, seesProblems }: { readonly nowMs: number; readonly seesProblems: boolean },
): Issue[] {
  const present = concerns.map(
    ({ kind, host, detail }): Issue => ({
      key: `${kind} ${host} ${detail}`,
      tone: kind === "host-away" ? "bad" : "wait",
      host,
      title: conditionTitles[kind],
      detail,
    }),
  );
  const away = new Set(concerns.flatMap(({ kind, host }) => (kind === "host-away" ? [host] : [])));
  const groups = new Map<string, Group>();
  for (const event of operationalEvents.toReversed()) {
    const kind = kindOf(event);
    const rule = rules[kind];
    if (!rule || (rule.isProblem && seesProblems) || nowMs - Date.parse(event.time) > latelyMs) continue;
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
