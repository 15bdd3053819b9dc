// The status of an agent for a person at a terminal.
import type { DescribedFinding } from "./findings.ts";
import type { DeviceReport, MissReport, NetworkReport, PortReport, SessionReport, StatusReport } from "./report.ts";
import { duration, table } from "./table.ts";

export interface Shown {
  /** Per network. */
  readonly entries: number;
  readonly misses: number;
}

export function printStatus(report: StatusReport, shown: Shown): string {
  const { counters, drops, budgets, room, tunnelEnd } = report;
  const lines = [
    `agent of host ${report.host}, nearmiss ${report.version}, process ${report.pid}`,
    `controller  ${session(report.session)}`,
    `position    ${position(report.session)}`,
    `tunnel end  ${tunnelEnd ? `${tunnelEnd.vtep}:${tunnelEnd.port} ${on(tunnelEnd.device)}` : "not known before the first session"}`,
    ...problems(report.problems),
    ...guests(report),
    ...(report.networks.length === 0 ? ["", "no network has a VM on this host"] : []),
    ...report.networks.flatMap((network) => ["", ...describeNetwork(network, shown.entries)]),
    "",
    ...misses(report.misses, shown.misses),
    "",
    ...reported(report.reports, shown.misses),
    `misses      ${counters.missed} read: ${counters.asked} asked, ${counters.joined} joined another, ${counters.local} local, ` +
      `${counters.quiet} lately unknown, ${counters.reasserted} from memory, ${counters.overBudget} over budget`,
    `replicas    ${counters.here} answered here, ${counters.unregistered} not registered; ${mebibytes(room.replicaBytes)} of ${mebibytes(room.maxReplicaBytes)} MiB`,
    ...fastPath(report),
    ...questionHeat(report),
    `answers     ${counters.replied === undefined ? "not sent: --announce off" : `${counters.replied} by a reply to the guest alone, ${counters.announced} by an announcement to all`}`,
    `drops       ${drops.misses} misses, ${drops.changes} changes`,
    `budgets     ${budgets.left.host} of ${budgets.allowed.host.burst} questions left${scanning(report)}`,
    `room        ${room.held} of ${room.perHost} addresses, ${room.perNetwork} in a network; ${room.aged} evicted as idle`,
    `repairs     ${repairs(report)}`,
  ];
  return `${lines.join("\n")}\n`;
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(bytes % 2 ** 20 === 0 ? 0 : 1);

function session({ controller, state, connectedForMs, reason, retryInMs }: SessionReport): string {
  if (state === "connected") return `${controller} connected for ${duration(connectedForMs ?? 0)}`;
  const why = reason === undefined ? "" : `: ${reason}`;
  const next = retryInMs === undefined ? "" : `; next try in ${duration(retryInMs)}`;
  return `${controller} ${state === "connecting" ? "connecting" : "no session"}${why}${next}`;
}

function fastPath({ fastPath: thread, counters }: StatusReport): string[] {
  if (!thread) return ["fast path   off: the main thread answers all misses"];
  const { state, reason, heat } = thread;
  const why =
    reason === undefined ? "" : `: ${reason}; the main thread answers all misses until the agent is restarted`;
  const warm =
    heat.everyMs === 0 ? "" : `; kept warm every ${heat.everyMs} ms, ${(heat.ms / heat.runs).toFixed(2)} ms each`;
  return [`fast path   ${state}${why}, ${counters.byThread} answered${state === "answering" ? warm : ""}`];
}

function questionHeat({ questionHeat: heat }: StatusReport): string[] {
  if (!heat) return [];
  const { state, runs, ms, everyMs } = heat;
  const states = {
    off: "not kept warm: no network of this host needs the controller's answers now",
    "warming up": "being warmed up",
    warm: `kept warm every ${everyMs} ms, ${(ms / runs).toFixed(2)} ms each`,
    failed: "not kept warm, see the log",
  };
  return [`questions   ${states[state]}`];
}

function position({ epoch, asOf, appliedRevision }: SessionReport): string {
  if (asOf === undefined) return "no revision received yet";
  return `revision ${asOf}, confirmed ${appliedRevision ?? "none"}, epoch ${epoch ?? "unknown"}`;
}

const on = (device: string | null): string => (device === null ? "on no device of this host" : `on ${device}`);

function problems(list: readonly string[]): string[] {
  return list.length === 0 ? [] : ["", "problems", ...list.map((each) => `  ${each}`)];
}

function guests(report: StatusReport): string[] {
  if (report.guests.length === 0) return [];
  const lines = report.guests.map(({ kind, network, vni, mac, detail }) => {
    const where = network ?? `VNI ${vni}`;
    return kind === "guest-never-seen"
      ? `${where}: ${mac} is registered here and not seen: ${detail}`
      : `${where}: ${mac} is not registered here: ${detail}`;
  });
  return ["", "guests", ...lines.map((line) => `  ${line}`)];
}

function describeNetwork(network: NetworkReport, most: number): string[] {
  const { name, vni, mtu, bridge, vxlan, adopted, ports, held, entries, replica, broadcast, groups } = network;
  const rows = entries
    .slice(0, most)
    .map((entry) => [
      entry.key,
      entry.mac ?? "",
      entry.kind === "remote"
        ? `${entry.vtep}${entry.router ? " router" : ""}`
        : entry.kind === "local"
          ? "here"
          : "not registered",
      String(entry.revision),
      duration(entry.ageMs),
    ]);
  const total = held.remote + held.local + held.unknown;
  const more = total - rows.length;
  return [
    `${name === null ? "network" : `network ${name},`} VNI ${vni}${mtu === undefined ? "" : `, MTU ${mtu}`}: ${held.remote} remote, ${held.local} here, ${held.unknown} unknown`,
    `  ${[bridge, vxlan].map(device).join(", ")}${adopted ? ", adopted" : ""}`,
    ...(replica
      ? [
          `  replica: ${replica.state}${replica.aloneForMs === undefined ? "" : ` for ${duration(replica.aloneForMs)}`}, ${replica.addresses} addresses, ${Math.ceil(replica.bytes / 1_024)} KiB`,
        ]
      : []),
    ...(broadcast ? [`  broadcasts: ${broadcastText(broadcast)}`] : []),
    ...(groups ? [`  groups: ${groupsText(groups)}`] : []),
    `  ports: ${ports.length === 0 ? "none" : ports.map(port).join(", ")}`,
    ...table(
      [
        { title: "KEY" },
        { title: "MAC" },
        { title: "VTEP" },
        { title: "REV", right: true },
        { title: "AGE", right: true },
      ],
      rows,
      "  ",
    ).slice(rows.length === 0 ? 1 : 0),
    ...(more > 0 ? [`  … and ${more} more (--all)`] : []),
  ];
}

const broadcastStates = {
  copied: "copied to",
  pending: "not copied yet, to be copied to",
  unfiltered: "not copied, because the rules for them are not in place; otherwise to",
  "too-many": "not copied, because there are too many hosts:",
} as const;

function broadcastText({ state, destinations }: NonNullable<NetworkReport["broadcast"]>): string {
  const more = destinations.length - 4;
  const some = destinations.slice(0, 4).join(", ");
  return `${broadcastStates[state]} ${destinations.length === 0 ? "no other host" : some}${more > 0 ? ` and ${more} more` : ""}`;
}

function groupsText({ joined, copied }: NonNullable<NetworkReport["groups"]>): string {
  const more = joined.length - 4;
  const some = `${joined.slice(0, 4).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  return `${joined.length === 0 ? "none" : some} joined here, ${copied} copied to other hosts`;
}

function device({ name, state, mtu }: DeviceReport): string {
  return `${name} ${state}${mtu === undefined ? "" : ` (MTU ${mtu})`}`;
}

function port(report: PortReport): string {
  const { pinned } = report;
  return pinned.length === 0 ? device(report) : `${device(report)} pinned to ${pinned.join(" and ")}`;
}

function misses(list: readonly MissReport[], most: number): string[] {
  if (list.length === 0) return ["no misses yet"];
  const step = (ms: number | undefined): string => (ms === undefined ? "-" : ms.toFixed(1));
  const rows = list
    .slice(0, most)
    .map(({ agoMs, network, vni, kind, key, outcome, mac, vtep, steps }) => [
      duration(agoMs),
      network ?? `VNI ${vni}`,
      kind,
      key,
      step(steps.askedMs),
      step(steps.answeredMs),
      step(steps.programmedMs),
      step(steps.announcedMs),
      vtep ? `${mac} at ${vtep}` : outcome === "answered" ? "" : outcome,
    ]);
  const right = true as const;
  const columns = ["ASKED", "ANSWERED", "PROGRAMMED", "ANNOUNCED"].map((title) => ({ title, right }));
  return [
    "last misses, and ms from the kernel's message to each step",
    ...table(
      [
        { title: "AGO", right },
        { title: "NETWORK" },
        { title: "MISS" },
        { title: "KEY" },
        ...columns,
        { title: "OUTCOME" },
      ],
      rows,
      "  ",
    ),
    ...(list.length > rows.length ? [`  … and ${list.length - rows.length} more (--all)`] : []),
  ];
}

/** With an empty line after it, if there are any. */
function reported(list: readonly DescribedFinding[], most: number): string[] {
  if (list.length === 0) return [];
  const rows = list
    .slice(0, most)
    .map(({ lastAgoMs, firstAgoMs, network, vni, kind, subject, count }) => [
      duration(lastAgoMs),
      duration(firstAgoMs),
      vni === undefined ? "" : (network ?? `VNI ${vni}`),
      kind,
      subject ?? "",
      String(count),
    ]);
  const right = true as const;
  const more = list.length - rows.length;
  return [
    "reported to the controller",
    ...table(
      [
        { title: "LAST", right },
        { title: "FIRST", right },
        { title: "NETWORK" },
        { title: "WHAT" },
        { title: "SUBJECT" },
        { title: "COUNT", right },
      ],
      rows,
      "  ",
    ),
    ...(more > 0 ? [`  … and ${more} more (--all)`] : []),
    "",
  ];
}

/** Guests that have used up more than half of their budget. */
function scanning({ budgets }: StatusReport): string {
  const half = budgets.allowed.guest.burst / 2;
  const guests = budgets.left.guests.filter(({ left }) => left < half);
  return guests.map(({ name, left }) => `; guest ${name.split(" ")[1]} in VNI ${name.split(" ")[0]}: ${left}`).join("");
}

function repairs({ repairs, counters }: StatusReport): string {
  const list = Object.entries(repairs).map(([cause, operations]) => `${operations} by ${cause}`);
  if (counters.thefts > 0) list.push(`${counters.thefts} stolen bridge entries restored`);
  if (counters.macFloods > 0) list.push(`${counters.macFloods} floods of source MAC addresses`);
  return list.length === 0 ? "none" : list.join(", ");
}
