// What is known of the other host of a path: whether its agent has a session, and its conditions, as the controller has them. Pure.
import { type Check, note, ok, wrong } from "./check.ts";
import type { PathFacts } from "./facts.ts";
import type { FarCondition, Registered } from "./inventory.ts";

/** Kinds that stop frames between the two guests, where they are of this path. Others may, and are notes. */
const stopping: ReadonlySet<string> = new Set([
  "vtep-missing",
  "vtep-unrouted",
  "tunnel-filter",
  "tracking-full",
  "host-filter",
  "network-not-ready",
  "mtu-too-large",
  "second-device",
  "foreign-address",
  "misses-hidden",
  "port-blocked",
  "guest-never-seen",
  "wrong-port",
]);

export function checkFarEnd(facts: PathFacts): Check[] {
  const { inventory } = facts;
  if (inventory.kind !== "read" || !inventory.network || !inventory.to) return [];
  const { to, far = [] } = inventory;
  return [...checkSession(to, far), ...far.flatMap((each) => checkCondition(facts, to, each))];
}

function checkSession({ host, hostConnected }: Registered, far: readonly FarCondition[]): Check[] {
  if (far.some(({ kind }) => kind === "host-away") || hostConnected === false)
    return [
      note(
        "far end",
        `the agent of host ${host} has no session: its cached addresses keep working, but it learns no new ones, which the way back may need`,
        `on host ${host}, see whether the agent runs (nearmiss agent status), and whether the host is reached at all: packets of other hosts may be lost, too`,
      ),
    ];
  return hostConnected ? [ok("far end", `the agent of host ${host} has a session`)] : [];
}

function checkCondition(facts: PathFacts, end: Registered, condition: FarCondition): Check[] {
  const { kind, reason, subject, isUnknown } = condition;
  if (kind === "host-away" || (kind === "vtep-unrouted" && subject !== ourEnd(facts))) return [];
  const place = placeOf(condition, end, facts.to);
  if (place === "elsewhere") return [];
  // Where names are left out, the title is there, which goes on after the name of what it is about.
  const about = subject === end.mac ? `on host ${end.host}: VM ${end.vm} ` : `host ${end.host} `;
  const says = `${/^(is|has|uses) /.test(reason) ? about : `on host ${end.host}: `}${reason}`;
  const { network, from, to } = facts;
  const fix = condition.fix
    ? `on host ${end.host}: ${condition.fix}`
    : `see it on host ${end.host}: nearmiss explain --network ${network} ${to} ${from}`;
  return [
    stopping.has(kind) && place === "path" && !isUnknown ? wrong("far end", says, fix) : note("far end", says, fix),
  ];
}

const ourEnd = ({ tunnelEnd }: PathFacts): string | undefined => tunnelEnd && (tunnelEnd.registered ?? tunnelEnd.vtep);

/** `elsewhere`: it is of another guest. `near`: perhaps. */
function placeOf(
  { kind, reason, subject }: FarCondition,
  { mac, guestPort }: Registered,
  ip: string,
): "path" | "near" | "elsewhere" {
  switch (kind) {
    case "guest-never-seen":
    case "wrong-port":
    case "mac-conflict":
      if (subject !== mac) return "elsewhere";
      // A guest that has sent nothing yet may be about to.
      return reason.includes("has sent no traffic") ? "near" : "path";
    case "address-conflict":
      return subject === ip ? "path" : "elsewhere";
    case "unregistered-guest":
    case "address-unregistered":
      return "elsewhere";
    case "port-blocked":
      return guestPort !== undefined && subject === guestPort ? "path" : "near";
    default:
      return "path";
  }
}
