// What needs attention: what the controller sees of its hosts now, and what agents have reported lately. Pure.
import type { OverviewView } from "../../schema/observe.ts";
import type { OperationalKind } from "../../schema/operational.ts";
import { happening } from "./describe.ts";
import type { HappeningEvent } from "./events.ts";

export interface Matter {
  readonly key: string;
  readonly tone: "bad" | "wait";
  readonly host: string;
  /** Goes on behind the host's name. */
  readonly title: string;
  readonly detail: string;
  /** Of the last time, RFC 3339; absent: it holds now. */
  readonly last?: string;
}

/** An agent repeats once a minute what goes on; what is older than the curves beside it is over. */
const latelyMs = 15 * 60_000;

/** Absent: nothing to do about it, or it holds still and the host's problems say so. */
const titles: Partial<Record<OperationalKind, string>> = {
  scan: "guests ask for too many unknown addresses",
  theft: "a guest sent with the MAC of a VM elsewhere",
  "drift-repaired": "entries were changed by somebody else and repaired",
  overrun: "the kernel dropped messages for the agent",
  "table-full": "the kernel has no room for entries",
  "room-short": "the agent holds as many addresses as it may",
  "unregistered-guest": "a guest sends and is not registered here",
  "guest-never-seen": "a registered guest is not heard",
  "address-conflict": "a guest uses an address of another",
  spoofed: "a guest sent what is not registered for it",
  stranger: "tunnelled frames came from a stranger",
  "move-unconfirmed": "a move is not confirmed by all",
};
/** They hold until they are mended. Who sees the host's problems has them from there. */
const standing: Partial<Record<OperationalKind, string>> = {
  "network-not-ready": "a network cannot be set up",
  "vtep-missing": "its VTEP address is on no interface",
  "mtu-too-large": "full packets do not fit the underlay",
  "second-device": "another vxlan device takes a network's frames",
  "host-filter": "the host's filter drops what passes the bridges",
};
/** Somebody has lost something, or lies. */
const bad: ReadonlySet<OperationalKind> = new Set(["theft", "table-full", "address-conflict", "spoofed", "stranger"]);

const concernTitles = { "host-away": "is away", "host-problem": "reports a problem" } as const;

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
  const known = seesProblems ? titles : { ...titles, ...standing };
  const groups = new Map<string, { readonly newest: HappeningEvent; readonly title: string; readonly count: number }>();
  for (const event of happenings.toReversed()) {
    const kind = kindOf(event);
    const title = known[kind];
    if (title === undefined || nowMs - Date.parse(event.time) > latelyMs) continue;
    const { host, network = "", subject = "", count } = event.data;
    const key = `${kind} ${host} ${network} ${subject}`;
    const before = groups.get(key);
    groups.set(key, { newest: before?.newest ?? event, title, count: count + (before?.count ?? 0) });
  }
  const reported = [...groups].map(
    ([key, { newest, title, count }]): Matter => ({
      key,
      tone: bad.has(kindOf(newest)) ? "bad" : "wait",
      host: newest.data.host,
      title,
      detail: happening({ ...newest, data: { ...newest.data, count } }),
      last: newest.time,
    }),
  );
  return [...present, ...reported];
}

function kindOf({ type }: HappeningEvent): OperationalKind {
  return type.slice("nearmiss.operational.".length) as OperationalKind;
}
