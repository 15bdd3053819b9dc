// Gathers the facts about a path: from the controller, from the agent's memory, and from the kernel, in that order, so that with
// a change in flight memory or kernel may be ahead of the earlier reading, but never behind.
import { defined } from "../../common/defined.ts";
import { type BindingKey, familyOf, type IpAddress, type MacAddress, type Vni } from "../../schema/address/index.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import { bridgeName, vxlanName } from "../kernel/devices/device-names.ts";
import { Links } from "../kernel/devices/links.ts";
import type { RequestSocket } from "../kernel/sockets/request-socket.ts";
import { noTables, probeAddresses, probeBridgeFilter, probePort, probeTables } from "../kernel/tables/path-probe.ts";
import type { HeldFact } from "../tables/held-network.ts";
import type { FilterProblem } from "../watch/host-filter.ts";
import type { GuestFacts, KernelFacts, MacPort, PathFacts } from "./facts.ts";
import { readInventory } from "./inventory.ts";
import { describeReplica, describeSession, type ReplicaSources } from "./report.ts";
import type { StatusSources } from "./sources.ts";

export type PathSources = Pick<
  StatusSources,
  "host" | "controller" | "readController" | "requests" | "devices" | "held" | "position" | "filterProblems" | "nowMs"
> &
  ReplicaSources & {
    readonly registered: Pick<StatusSources["registered"], "list" | "tunnelEnd">;
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
  const inventory = await readInventory(sources.readController, network, from, to);
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
    kernel: await gatherKernel(sources, vni, macs, familyOf(to), sources.filterProblems()),
    guests: vni === undefined ? {} : gatherGuests(sources, vni, question, macs.from),
  };
}

function gatherReplica(sources: PathSources, key: BindingKey): Pick<PathFacts, "replica"> {
  const { replica } = describeReplica(sources, key.vni);
  return replica ? { replica: { ...replica, to: sources.replicas.find(key)?.binding ?? undefined } } : {};
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

async function gatherKernel(
  { requests, devices, registered }: PathSources,
  vni: Vni | undefined,
  macs: { readonly from: MacAddress | undefined; readonly to: MacAddress | undefined },
  family: 4 | 6,
  filterProblems: readonly FilterProblem[],
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
  return {
    underlay,
    bridge,
    vxlan,
    rivals: present.filter((link) => isRival(link, vxlan, vni)).map(({ name }) => name),
    vxlanAddresses: vxlan ? await probeAddresses(requests, vxlan.ifindex) : [],
    ports: present.filter((link) => bridge && link.master === bridge.ifindex && link.ifindex !== vxlan?.ifindex),
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
    filterProblems,
    adopted: vni !== undefined && devices.adoptedFor(vni) !== undefined,
  };
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
