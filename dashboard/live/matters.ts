// What needs attention, and what lately did and is mended: what the controller sees of its hosts now, and what agents have
// reported. The rules are ADR 123. Pure.
import type { OverviewView } from "../../schema/observe.ts";
import type { OperationalKind } from "../../schema/operational.ts";
import { happening } from "./describe.ts";
import type { HappeningEvent } from "./events.ts";
import type { Question } from "./questions.ts";

export interface Matter {
  readonly key: string;
  readonly tone: "bad" | "wait";
  readonly host: string;
  /** Goes on behind the host's name. */
  readonly title: string;
  readonly detail: string;
  /** Of the last time, RFC 3339; absent: it holds now. */
  readonly last?: string;
  /** How it came to an end; absent: it has not, as far as events tell. */
  readonly end?: "repaired" | "over" | "mended";
  /** What of it the inventory can say that it is mended. */
  readonly question?: Question;
}

/** An agent repeats once a minute what goes on; what is older than the curves beside it is of no interest here. */
const latelyMs = 15 * 60_000;
/** Two reports may have been late. */
const quietMs = 150_000;

interface Rule {
  readonly title: string;
  /** Somebody has lost something, or lies. */
  readonly isBad?: true;
  /** `quiet`: it is told once a minute as long as it goes on. `repaired`: when it is told it is mended. Absent: nothing tells. */
  readonly ends?: "quiet" | "repaired" | Question["kind"];
  /** It holds until it is mended, and who sees the host's problems has it from there. */
  readonly isProblem?: true;
}

/** Absent: nothing to do about it. */
const rules: Partial<Record<OperationalKind, Rule>> = {
  scan: { title: "guests ask for too many unknown addresses", ends: "quiet" },
  theft: { title: "a guest sent with the MAC of a VM elsewhere", isBad: true, ends: "quiet" },
  "drift-repaired": { title: "entries were changed by somebody else", ends: "repaired" },
  overrun: { title: "the kernel dropped messages for the agent", ends: "repaired" },
  "table-full": { title: "the kernel has no room for entries", isBad: true, ends: "quiet" },
  "room-short": { title: "the agent holds as many addresses as it may", ends: "quiet" },
  "unregistered-guest": { title: "a guest sends and is not registered here", ends: "registered-here" },
  "guest-never-seen": { title: "a registered guest is not heard", ends: "not-registered-here" },
  "address-conflict": { title: "a guest uses an address of another", isBad: true, ends: "registered-otherwise" },
  spoofed: { title: "a guest sent what is not registered for it", isBad: true, ends: "quiet" },
  "mac-flood": { title: "a guest sent from very many MAC addresses", isBad: true, ends: "quiet" },
  stranger: { title: "tunnelled frames came from a stranger", isBad: true, ends: "quiet" },
  "move-unconfirmed": { title: "a move is not confirmed by all", ends: "followed" },
  "network-not-ready": { title: "a network cannot be set up", isProblem: true },
  "vtep-missing": { title: "its VTEP address is on no interface", isProblem: true },
  "mtu-too-large": { title: "full packets do not fit the underlay", isProblem: true },
  "second-device": { title: "another vxlan device takes a network's frames", isProblem: true },
  "host-filter": { title: "the host's filter drops what passes the bridges", isProblem: true },
};

const concernTitles = { "host-away": "is away", "host-problem": "reports a problem" } as const;

interface Group {
  readonly newest: HappeningEvent;
  readonly rule: Rule;
  readonly count: number;
  readonly reports: number;
}

/** What is worse first, then what came last. */
export function mattersOf(
  concerns: OverviewView["concerns"],
  happenings: readonly HappeningEvent[],
  { nowMs, seesProblems }: { readonly nowMs: number; readonly seesProblems: boolean },
): Matter[] {
  const present = concerns.map(
    ({ kind, host, detail }): Matter => ({
      key: `${kind} ${host} ${detail}`,
      tone: kind === "host-away" ? "bad" : "wait",
      host,
      title: concernTitles[kind],
      detail,
    }),
  );
  const away = new Set(concerns.flatMap(({ kind, host }) => (kind === "host-away" ? [host] : [])));
  const groups = new Map<string, Group>();
  for (const event of happenings.toReversed()) {
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
  const reported = [...groups].map(([key, group]): Matter => {
    const { newest, rule, count } = group;
    const end = endOf(group, nowMs, away.has(newest.data.host));
    const question = questionOf(group);
    return {
      key,
      tone: rule.isBad ? "bad" : "wait",
      host: newest.data.host,
      title: rule.title,
      detail: happening({ ...newest, data: { ...newest.data, count } }),
      last: newest.time,
      ...(end === undefined ? {} : { end }),
      ...(question === undefined ? {} : { question }),
    };
  });
  const isBad = ({ tone }: Matter) => Number(tone === "bad");
  return [present, reported].flatMap((matters) => matters.sort((a, b) => isBad(b) - isBad(a)));
}

/** As far as reports alone tell. From a host that is away none comes. */
function endOf({ newest, rule, reports }: Group, nowMs: number, isAway: boolean): Matter["end"] {
  const isQuiet = !isAway && nowMs - Date.parse(newest.time) > quietMs;
  // What was repaired, and again a minute later, goes on.
  if (rule.ends === "repaired") return reports === 1 || isQuiet ? "repaired" : undefined;
  return rule.ends === "quiet" && isQuiet ? "over" : undefined;
}

function questionOf({ newest, rule }: Group): Question | undefined {
  const { host, network, subject, detail = "" } = newest.data;
  const { ends } = rule;
  if (ends === undefined || ends === "quiet" || ends === "repaired" || subject === undefined) return undefined;
  // An address means something within a network only.
  if (network === undefined && ends !== "followed") return undefined;
  return { kind: ends, host, network: network ?? "", subject, detail };
}

function kindOf({ type }: HappeningEvent): OperationalKind {
  return type.slice("nearmiss.operational.".length) as OperationalKind;
}
