// Gathers the facts about a path: from the controller, from the agent's memory, and from the kernel, in that order, so that with
// a change in flight memory or kernel may be ahead of the earlier reading, but never behind.
import { defined } from "../../common/defined.ts";
import {
  type BindingKey,
  familyOf,
  type GroupAddress,
  groupMac,
  type IpAddress,
  isMulticast,
  type MacAddress,
  parseGroup,
  type Vni,
  type VtepAddress,
} from "../../schema/address/index.ts";
import { type ConditionKind, conditionText } from "../../schema/agent/index.ts";
import type { HostCondition } from "../findings/condition.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import { isFiltered } from "../kernel/devices/foreign-filters.ts";
import { Links } from "../kernel/devices/links.ts";
import { findPlace } from "../kernel/devices/port-devices.ts";
import { Routes } from "../kernel/devices/routes.ts";
import type { RequestSocket } from "../kernel/sockets/request-socket.ts";
import {
  noTables,
  probeAddresses,
  probeBridgeFilter,
  probeLegacyFilter,
  probeLegacyTables,
  probePort,
  probeTables,
} from "../kernel/tables/path-probe.ts";
import type { HeldFact } from "../tables/held-network.ts";
import { readTracked } from "../watch/connection-tracking.ts";
import type {
  GroupFacts,
  GuestFacts,
  KernelFacts,
  MacPort,
  PathFacts,
  PresentCondition,
  UnderlayProgram,
} from "./facts.ts";
import { readInventory } from "./inventory.ts";
import { describeBroadcast, describeEnd, describeReplica, describeSession, type ReplicaSources } from "./report.ts";
import type { StatusSources } from "./sources.ts";

export type PathSources = Pick<
  StatusSources,
  "host" | "controller" | "readController" | "requests" | "devices" | "held" | "position" | "filterProblems" | "nowMs"
> &
  ReplicaSources & {
    readonly registered: Pick<StatusSources["registered"], "list" | "tunnelEnd">;
    readonly broadcasts: Pick<StatusSources["broadcasts"], "stateOf" | "limitedPorts">;
    readonly groups: Pick<StatusSources["groups"], "portsOf">;
    readonly groupTables: Pick<StatusSources["groupTables"], "hostsOf">;
    readonly networks: Pick<StatusSources["networks"], "conditions">;
    readonly conditions: Pick<StatusSources["conditions"], "list">;
    readonly register: Pick<StatusSources["register"], "list">;
    readonly resolver: Pick<StatusSources["resolver"], "budgets">;
    readonly reporter: Pick<StatusSources["reporter"], "list">;
  };

/** Older findings are stale: guests repeat such frames every few minutes. */
const latelyMs = 5 * 60_000;

export interface PathQuestion {
  readonly network: string;
  readonly from: IpAddress;
  readonly to: IpAddress;
}

/** @throws NetlinkError */
export async function gatherPath(sources: PathSources, question: PathQuestion): Promise<PathFacts> {
  const { network, from, to } = question;
  const inventory = await readInventory(sources.readController, sources.host, network, from, to);
  const told = sources.registered.list().find(({ name }) => name === network);
  const registered = inventory.kind === "read" ? inventory.network : undefined;
  const vni = registered?.vni ?? told?.vni;
  const memory = {
    from: vni && sources.held.find({ kind: "ip", vni, ip: from }),
    to: vni && sources.held.find({ kind: "ip", vni, ip: to }),
  };
  const ends = inventory.kind === "read" && inventory.network ? inventory : undefined;
  const macs = { from: ends?.from?.mac ?? macOf(memory.from), to: ends?.to?.mac ?? macOf(memory.to) };
  return {
    ...question,
    host: sources.host,
    session: describeSession(sources.controller, sources.position(), sources.nowMs()),
    inventory,
    told,
    tunnelEnd: sources.registered.tunnelEnd,
    memory,
    ...(vni === undefined ? {} : gatherReplica(sources, { kind: "ip", vni, ip: to })),
    ...(vni === undefined ? {} : gatherBroadcast(sources, vni)),
    ...(vni !== undefined && isMulticast(to) ? { group: gatherGroup(sources, vni, parseGroup(to)) } : {}),
    kernel: await gatherKernel(sources, vni, macs, familyOf(to), {
      remote: remoteEnd(ends?.to ?? memory.to, sources.host),
      sourcePort: ends?.from?.host === sources.host ? ends.from.guestPort : undefined,
    }),
    tunnelFilters: sources.networks.conditions
      .filter(({ kind }) => kind === "tunnel-filter")
      .map((facts) => {
        const { reason: says, fix = "" } = conditionText(facts);
        return { says, fix };
      }),
    ...defined({
      obstacle: obstacleOf(sources.networks.conditions, network),
      wrongPort: vni === undefined ? undefined : wrongPortOf(sources, vni, macs.from),
    }),
    conditions: presentConditions(sources, vni, network),
    ...(vni === undefined ? {} : { takers: { from: takersOf(sources, vni, from), to: takersOf(sources, vni, to) } }),
    guests: vni === undefined ? {} : gatherGuests(sources, vni, question, macs.from),
  };
}

/** Kinds that a check of `explain` is about. */
const checked: ReadonlySet<ConditionKind> = new Set<ConditionKind>([
  "vtep-missing",
  "vtep-unrouted",
  "host-filter",
  "tunnel-filter",
  "tracking-full",
  "network-not-ready",
  "mtu-too-large",
  "second-device",
  "port-blocked",
  "foreign-address",
  "misses-hidden",
  "wrong-port",
  "replica-too-large",
  "address-conflict",
  "broadcast-not-copied",
  "broadcast-storm",
]);

function presentConditions({ conditions }: PathSources, vni: Vni | undefined, network: string): PresentCondition[] {
  return conditions.list
    .filter((each) => !checked.has(each.kind) && (each.vni === undefined || each.vni === vni))
    .map((each) => ({ kind: each.kind, ...conditionText(each, network) }));
}

/** Why the agent has not set the network up. Other conditions of a network have checks of their own. */
function obstacleOf(conditions: readonly HostCondition[], network: string): string | undefined {
  const prefix = `network ${network}: `;
  const found = conditions.find(({ kind, says }) => kind === "network-not-ready" && says.startsWith(prefix));
  return found?.says.slice(prefix.length);
}

function wrongPortOf({ register }: PathSources, vni: Vni, mac: MacAddress | undefined): string | undefined {
  const claim = register.list().find((each) => each.vni === vni && each.guest.mac === mac);
  return claim && typeof claim.verdict === "object" ? claim.verdict.wrong : undefined;
}

function gatherReplica(sources: PathSources, key: BindingKey): Pick<PathFacts, "replica"> {
  const { replica } = describeReplica(sources, key.vni);
  return replica ? { replica: { ...replica, to: sources.replicas.find(key)?.binding ?? undefined } } : {};
}

const takersOf = ({ held }: PathSources, vni: Vni, ip: IpAddress): MacAddress[] =>
  held.locals(vni).flatMap(({ mac, allowed = [] }) => (allowed.includes(ip) ? [mac] : []));

function gatherBroadcast(sources: PathSources, vni: Vni): Pick<PathFacts, "broadcast"> {
  const { broadcast } = describeBroadcast(sources, vni);
  return broadcast ? { broadcast: { ...broadcast, limited: sources.broadcasts.limitedPorts(vni) } } : {};
}

function gatherGroup({ broadcasts, groups, groupTables }: PathSources, vni: Vni, group: GroupAddress): GroupFacts {
  const entries = [...(broadcasts.stateOf(vni)?.groups.entries.values() ?? [])];
  return {
    group,
    ports: groups.portsOf(vni, group),
    hosts: groupTables.hostsOf(vni, group),
    destinations: entries.filter(({ mac }) => mac === groupMac(group)).map(describeEnd),
  };
}

function gatherGuests(
  { resolver, reporter, nowMs }: PathSources,
  vni: Vni,
  { from, to }: PathQuestion,
  mac: MacAddress | undefined,
): GuestFacts {
  const claims = reporter
    .list()
    .filter((each) => each.kind === "address-conflict" && each.vni === vni && nowMs() - each.lastMs < latelyMs);
  const claimOf = (ip: IpAddress): string | undefined => claims.find(({ subject }) => subject === ip)?.detail;
  const [claimedFrom, claimedTo] = [claimOf(from), claimOf(to)];
  const { guests, networks, host } = resolver.budgets(nowMs());
  const isEmpty = (left: number | undefined): boolean => left !== undefined && left < 1;
  const exhausted = isEmpty(guests.find(({ name }) => name === `${vni} ${mac}`)?.left)
    ? `the guest ${mac}`
    : isEmpty(networks.find((network) => network.vni === vni)?.left)
      ? "the network on this host"
      : isEmpty(host)
        ? "this host"
        : undefined;
  return {
    ...defined({ claimedFrom, claimedTo, exhausted }),
  };
}

const macOf = (fact: HeldFact | undefined): MacAddress | undefined => (fact?.kind === "absent" ? undefined : fact?.mac);

/** Of a VM on another host. */
function remoteEnd(where: { readonly vtep: VtepAddress; readonly host?: string } | HeldFact | undefined, host: string) {
  if (!where || !("vtep" in where)) return undefined;
  return "host" in where && where.host === host ? undefined : where.vtep;
}

async function gatherKernel(
  { requests, devices, registered, filterProblems }: PathSources,
  vni: Vni | undefined,
  macs: { readonly from: MacAddress | undefined; readonly to: MacAddress | undefined },
  family: 4 | 6,
  { remote, sourcePort }: { readonly remote: VtepAddress | undefined; readonly sourcePort: string | undefined },
): Promise<KernelFacts> {
  const links = new Links(requests);
  const local = registered.tunnelEnd;
  const underlay = local && (await links.findByAddress(local.vtep));
  const present = await links.list();
  const device = vni && devices.deviceOf(vni);
  const named = (name: string | undefined): Link | undefined => present.find((link) => link.name === name);
  const numbered = (ifindex: number | undefined): Link | undefined => present.find((link) => link.ifindex === ifindex);
  const vxlan = numbered(device?.ifindex) ?? (vni && named(vxlanName(vni)));
  const bridge = numbered(device?.bridgeIfindex) ?? (vni && named(bridgeName(vni)));
  const portOf = (mac: MacAddress | undefined): Promise<MacPort | undefined> =>
    findPort(requests, present, bridge, vxlan, mac);
  const routes = new Routes(requests);
  const mayAsk = local && remote !== undefined && (await routes.canAsk(local));
  const route = mayAsk ? (await routes.find([remote], local)).get(remote) : undefined;
  const ports = present.filter((link) => bridge && link.master === bridge.ifindex && link.ifindex !== vxlan?.ifindex);
  const isStray = sourcePort !== undefined && !ports.some(({ name }) => name === sourcePort);
  const ways = new Set([underlay?.name, ...(route?.kind === "found" ? route.hops.map((hop) => hop.device) : [])]);
  return {
    underlay,
    ...defined({ route, tracked: readTracked() }),
    bridge,
    vxlan,
    rivals: present.filter((link) => isRival(link, vxlan, vni)).map(({ name }) => name),
    vxlanAddresses: vxlan ? await probeAddresses(requests, vxlan.ifindex) : [],
    ports,
    ...(isStray ? { strayPort: { name: sourcePort, place: findPlace(sourcePort) } } : {}),
    tables: vxlan?.vxlan
      ? await probeTables(requests, {
          ifindex: vxlan.ifindex,
          bridgeIfindex: bridge?.ifindex ?? 0,
          vni: vxlan.vxlan.vni,
          vtepPort: vxlan.vxlan.port,
        })
      : noTables,
    portOfFrom: await portOf(macs.from),
    portOfTo: await portOf(macs.to),
    bridgeFilter: probeBridgeFilter(family),
    legacyFilter: probeLegacyFilter(family),
    legacyTables: local ? probeLegacyTables(familyOf(local.vtep)) : [],
    underlayPrograms: await findPrograms(
      requests,
      present.filter(({ name }) => ways.has(name)),
    ),
    filterProblems: filterProblems(),
    adopted: vni !== undefined && devices.adoptedFor(vni) !== undefined,
  };
}

async function findPrograms(requests: RequestSocket, links: readonly Link[]): Promise<UnderlayProgram[]> {
  const found: UnderlayProgram[] = [];
  for (const { name: device, ifindex, xdp } of links) {
    if (xdp) found.push({ device, kind: "xdp" });
    if (await isFiltered(requests, { ifindex })) found.push({ device, kind: "filter" });
  }
  return found;
}

/** Two devices of one VNI compete for its frames: the kernel delivers to the one that it finds first. */
function isRival(link: Link, vxlan: Link | undefined, vni: Vni | undefined): boolean {
  return link.vxlan !== undefined && link.vxlan.vni === vni && link.ifindex !== vxlan?.ifindex;
}

async function findPort(
  requests: RequestSocket,
  links: readonly Link[],
  bridge: Link | undefined,
  vxlan: Link | undefined,
  mac: MacAddress | undefined,
): Promise<MacPort | undefined> {
  if (!bridge || !mac) return undefined;
  const ifindex = await probePort(requests, bridge.ifindex, mac);
  const port = links.find((link) => link.ifindex === ifindex);
  return port && { mac, port: port.name, isTunnel: port.ifindex === vxlan?.ifindex };
}
