// The report of `agent status` as one JSON object: from the agent's parts and a fresh list of links. Times are durations in ms,
// which are meaningful outside this process.
import { defined } from "../../common/defined.ts";
import { toThousandths } from "../../common/round.ts";
import { addressOf, defaultVtepPort, type Vni } from "../../schema/address/index.ts";
import { version } from "../../schema/version.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import { Links } from "../kernel/devices/links.ts";
import { missKey } from "../misses/miss.ts";
import type { FinishedMiss } from "../misses/recent.ts";
import { allowances, type BudgetReport, type MissCounters } from "../misses/resolver.ts";
import type { Timeline } from "../misses/timeline.ts";
import { copiesByMac } from "../tables/broadcast.ts";
import type { HeldFact } from "../tables/held-network.ts";
import type { GuestFinding } from "../tables/local-guests.ts";
import { describeEntries, type EntriesReport, factsByNetwork } from "./entries.ts";
import { type DescribedFinding, describeFindings } from "./findings.ts";
import { maxListedEntries } from "./protocol.ts";
import type { Drops, Position, StatusSources } from "./sources.ts";

type AnnounceCounters = NonNullable<StatusSources["announcer"]>["counters"];

export interface StatusReport {
  readonly host: string;
  readonly version: string;
  readonly pid: number;
  readonly session: SessionReport;
  /** This host's tunnel end, once the controller has sent it. */
  readonly tunnelEnd?: { readonly vtep: string; readonly port: number; readonly device: string | null };
  readonly networks: readonly NetworkReport[];
  /** Newest first, after those without an answer. */
  readonly misses: readonly MissReport[];
  readonly counters: MissCounters & Partial<AnnounceCounters> & { readonly thefts: number; readonly macFloods: number };
  readonly drops: Drops;
  /** The thread that answers misses of networks in memory; absent with `--fast-path off`. */
  readonly fastPath?: FastPathReport;
  /** What keeps the way of questions to the controller warm; absent unless with `--fast-path warm`. */
  readonly questionHeat?: QuestionHeatReport;
  readonly budgets: { readonly left: BudgetReport; readonly allowed: typeof allowances };
  /** Numbers of held addresses of remote VMs, their limit, and those evicted as idle. */
  readonly room: {
    readonly held: number;
    readonly perNetwork: number;
    readonly perHost: number;
    readonly aged: number;
    /** Of whole networks in memory. */
    readonly replicaBytes: number;
    readonly maxReplicaBytes: number;
  };
  /** Operations by the cause of the check. */
  readonly repairs: Readonly<Record<string, number>>;
  /** Problems that an operator should fix. */
  readonly problems: readonly string[];
  /** Findings, most recent first. */
  readonly reports: readonly DescribedFinding[];
  /** Numbers of findings since the start, by kind. */
  readonly reported: Readonly<Record<string, number>>;
  /** Guests that are registered on this host but not seen, or seen but not registered. */
  readonly guests: readonly {
    readonly kind: GuestFinding["kind"];
    readonly network: string | null;
    readonly vni: number;
    readonly mac: string;
    readonly detail: string;
  }[];
}

export interface FastPathReport extends Pick<NonNullable<StatusSources["missThread"]>, "state" | "heat"> {
  /** Why it failed: the main thread answers. */
  readonly reason?: string;
}

export type QuestionHeatReport = Pick<NonNullable<StatusSources["heat"]>, "state" | "runs" | "ms" | "everyMs">;

export interface SessionReport {
  readonly controller: string;
  readonly state: Position["link"]["kind"];
  readonly connectedForMs?: number;
  /** Why there is no session. */
  readonly reason?: string;
  readonly retryInMs?: number;
  /** Refused until an operator acts. */
  readonly refused?: true;
  readonly epoch?: string;
  readonly asOf?: number;
  readonly appliedRevision?: number;
}

export interface DeviceReport {
  readonly name: string;
  readonly state: "up" | "down" | "missing";
  readonly mtu?: number;
}

export interface PortReport extends DeviceReport {
  /** MAC addresses that are pinned to it. */
  readonly pinned: readonly string[];
}

export interface ReplicaReport {
  /** `alone`: without a session, as it was at its end. */
  readonly state: NonNullable<ReturnType<StatusSources["replication"]["stateOf"]>>;
  readonly addresses: number;
  readonly bytes: number;
  /** How long there is no session: the addresses are as of then. Absent: there is one, or none was complete. */
  readonly aloneForMs?: number;
}

export interface BroadcastReport {
  readonly state: NonNullable<ReturnType<StatusSources["broadcasts"]["stateOf"]>>["state"];
  /** Tunnel ends of the network's other hosts, which have a copy of each broadcast if the state is `copied`. */
  readonly destinations: readonly string[];
}

/** Multicast groups, whose frames are copied as broadcasts are. */
export interface GroupsReport {
  /** That guests of this host are in. */
  readonly joined: readonly string[];
  /** MAC addresses of groups with members on other hosts: to each of these a frame is copied. */
  readonly copied: number;
}

export interface NetworkReport extends EntriesReport {
  /** null if only an earlier run of the agent knew it. */
  readonly name: string | null;
  readonly vni: number;
  /** Absent if the controller has not sent the network in this run. */
  readonly mtu?: number;
  readonly revision?: number;
  readonly bridge: DeviceReport;
  readonly vxlan: DeviceReport;
  /** The vxlan device is an adopted one. */
  readonly adopted: boolean;
  /** The network as a whole in memory; absent: it is on demand. */
  readonly replica?: ReplicaReport;
  /** Absent: broadcasts of its guests stay on this host. */
  readonly broadcast?: BroadcastReport;
  /** With `broadcast`. */
  readonly groups?: GroupsReport;
  /** The guests', without the tunnel's own. */
  readonly ports: readonly PortReport[];
}

export interface MissReport {
  readonly kind: Timeline["miss"]["kind"];
  readonly network: string | null;
  readonly vni: number;
  readonly key: string;
  readonly outcome: FinishedMiss["outcome"] | "waiting";
  readonly mac?: string;
  readonly vtep?: string;
  readonly agoMs: number;
  /** Time of each step since the kernel's message was read. */
  readonly steps: Partial<Record<"askedMs" | "answeredMs" | "programmedMs" | "announcedMs", number>>;
}

/** A guest that is ignored has no queries left. */
function budgetsLeft({ resolver, announcer }: StatusSources, nowMs: number): BudgetReport {
  const left = resolver.budgets(nowMs);
  const none = (announcer?.scanners() ?? []).map(({ vni, guest }) => ({ name: `${vni} ${guest}`, left: 0 }));
  const names = new Set(none.map(({ name }) => name));
  return { ...left, guests: [...none, ...left.guests.filter(({ name }) => !names.has(name))].slice(0, 16) };
}

/** @throws NetlinkError */
export async function reportStatus(sources: StatusSources, maxEntries: number): Promise<StatusReport> {
  const links = new Links(sources.requests);
  const local = sources.registered.tunnelEnd;
  const underlay = local && (await links.findByAddress(local.vtep));
  const present = await links.list();
  const facts = await factsByNetwork(sources.held);
  const nowMs = sources.nowMs();
  const { registered, networks, resolver, announcer } = sources;
  const nameOf = (vni: Vni): string | null => registered.nameOf(vni) ?? null;
  const waiting = resolver
    .waiting()
    .map((each): MissReport => describeMiss({ ...each, outcome: "waiting" }, nameOf, nowMs));
  return {
    host: sources.host,
    version,
    pid: process.pid,
    session: describeSession(sources.controller, sources.position(), nowMs),
    ...(local ? { tunnelEnd: { vtep: local.vtep, port: local.vtepPort, device: underlay?.name ?? null } } : {}),
    networks: describeNetworks(sources, present, facts, maxEntries),
    misses: [
      ...waiting.slice(-64).reverse(),
      ...sources.recent.list().map((miss) => describeMiss(miss, nameOf, nowMs)),
    ],
    counters: {
      ...resolver.counters,
      ...announcer?.counters,
      thefts: sources.thefts(),
      macFloods: sources.macFloods(),
    },
    drops: sources.drops(),
    ...defined({ fastPath: describeFastPath(sources.missThread), questionHeat: describeHeat(sources.heat) }),
    budgets: { left: budgetsLeft(sources, nowMs), allowed: allowances },
    room: {
      held: sources.held.size,
      ...sources.held.caps,
      aged: sources.aged(),
      replicaBytes: sources.replicas.bytes,
      maxReplicaBytes: sources.replicas.maxBytes,
    },
    repairs: Object.fromEntries(networks.repairs),
    problems: sources.conditions.list.map(({ says }) => says),
    reports: describeFindings(sources.reporter, nameOf, nowMs),
    reported: Object.fromEntries(sources.reporter.totals),
    guests: sources.guestFindings().map((finding) => ({ ...finding, network: nameOf(finding.vni) })),
  };
}

function describeFastPath(thread: StatusSources["missThread"]): FastPathReport | undefined {
  return thread && { state: thread.state, heat: thread.heat, ...defined({ reason: thread.reason }) };
}

function describeHeat(heat: StatusSources["heat"]): QuestionHeatReport | undefined {
  return heat && { state: heat.state, runs: heat.runs, ms: heat.ms, everyMs: heat.everyMs };
}

export function describeSession(
  controller: URL,
  { link, epoch, asOf, applied }: Position,
  nowMs: number,
): SessionReport {
  return {
    controller: controller.href,
    state: link.kind,
    ...(link.kind === "connected" ? { connectedForMs: whole(nowMs - link.sinceMs) } : {}),
    ...(link.kind !== "connected" && link.reason !== undefined ? { reason: link.reason } : {}),
    ...(link.kind === "waiting" ? { retryInMs: whole(Math.max(0, link.retryAtMs - nowMs)) } : {}),
    ...(link.kind === "waiting" && link.isRefused ? { refused: true } : {}),
    ...defined({ epoch, asOf, appliedRevision: applied }),
  };
}

/** Networks with a VM on this host, and those with devices of an earlier run. */
function describeNetworks(
  sources: StatusSources,
  links: readonly Link[],
  facts: ReadonlyMap<Vni, readonly HeldFact[]>,
  maxEntries: number,
): NetworkReport[] {
  const { registered, devices } = sources;
  const known = new Map(registered.list().map((network) => [network.vni, network]));
  let room = maxListedEntries;
  return [...new Set([...known.keys(), ...devices.vnis()])]
    .sort((a, b) => a - b)
    .map((vni) => {
      const network = known.get(vni);
      const device = devices.deviceOf(vni);
      const vxlan = links.find((link) => (device ? link.ifindex === device.ifindex : link.name === vxlanName(vni)));
      const bridge = links.find((link) =>
        device ? link.ifindex === device.bridgeIfindex : link.name === bridgeName(vni),
      );
      const ports = links.filter((link) => link.master === bridge?.ifindex && bridge && link !== vxlan);
      const entries = describeEntries(facts.get(vni) ?? [], Math.min(maxEntries, room), sources.nowMs());
      room -= entries.entries.length;
      return {
        name: network?.name ?? null,
        vni,
        ...(network ? { mtu: network.mtu, revision: network.revision } : {}),
        ...describeReplica(sources, vni),
        ...describeBroadcast(sources, vni),
        ...describeGroups(sources, vni),
        bridge: describeDevice(bridgeName(vni), bridge),
        vxlan: describeDevice(vxlanName(vni), vxlan),
        adopted: devices.adoptedFor(vni) !== undefined,
        ports: ports.map((port) => ({
          ...describeDevice(port.name, port),
          pinned: sources.ports.pinnedTo(vni).get(port.ifindex) ?? [],
        })),
        ...entries,
      };
    });
}

/** What is read of networks in memory. */
export interface ReplicaSources {
  readonly replicas: Pick<StatusSources["replicas"], "size" | "bytesOf" | "find">;
  readonly replication: Pick<StatusSources["replication"], "stateOf" | "aloneForMsOf">;
}

export function describeReplica(
  { replicas, replication }: ReplicaSources,
  vni: Vni,
): { readonly replica?: ReplicaReport } {
  const state = replication.stateOf(vni);
  if (!state) return {};
  const aloneForMs = replication.aloneForMsOf(vni);
  return {
    replica: {
      state,
      addresses: replicas.size(vni),
      bytes: replicas.bytesOf(vni),
      ...(aloneForMs === undefined ? {} : { aloneForMs: whole(aloneForMs) }),
    },
  };
}

export function describeBroadcast(
  { broadcasts }: { readonly broadcasts: Pick<StatusSources["broadcasts"], "stateOf"> },
  vni: Vni,
): { readonly broadcast?: BroadcastReport } {
  const found = broadcasts.stateOf(vni);
  if (!found) return {};
  return { broadcast: { state: found.state, destinations: [...found.entries.values()].map(describeEnd) } };
}

function describeGroups(
  { broadcasts, groups }: Pick<StatusSources, "broadcasts" | "groups">,
  vni: Vni,
): { readonly groups?: GroupsReport } {
  const found = broadcasts.stateOf(vni);
  if (!found) return {};
  return { groups: { joined: groups.groupsOf(vni), copied: copiesByMac(found.groups.entries).size } };
}

export const describeEnd = ({ vtep, vtepPort }: { readonly vtep: string; readonly vtepPort: number }): string =>
  vtepPort === defaultVtepPort ? vtep : `${vtep} port ${vtepPort}`;

function describeDevice(name: string, link: Link | undefined): DeviceReport {
  if (!link) return { name, state: "missing" };
  return { name: link.name, state: link.up ? "up" : "down", mtu: link.mtu };
}

type AnyMiss = Omit<FinishedMiss, "outcome"> & { readonly outcome: MissReport["outcome"] };

export function describeMiss(miss: AnyMiss, nameOf: (vni: Vni) => string | null, nowMs: number): MissReport {
  const key = missKey(miss.miss);
  const steps: MissReport["steps"] = {};
  for (const step of ["askedMs", "answeredMs", "programmedMs", "announcedMs"] as const) {
    const atMs = miss[step];
    if (atMs !== undefined) steps[step] = toThousandths(atMs - miss.missedMs);
  }
  return {
    kind: miss.miss.kind,
    network: nameOf(key.vni),
    vni: key.vni,
    key: addressOf(key),
    outcome: miss.outcome,
    ...defined({ mac: miss.mac, vtep: miss.vtep }),
    agoMs: whole(nowMs - miss.missedMs),
    steps,
  };
}

const whole = (ms: number): number => Math.round(ms);
