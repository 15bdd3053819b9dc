// The tunnels in use, and the holders of one VM. Both are derived from the interest of hosts.
import { addressOf } from "../../schema/address/index.ts";
import { maxUsageDelayMs } from "../../schema/agent/index.ts";
import { effectiveKnowledge } from "../../schema/plain/index.ts";
import { HoldersView, Name, type Network, TopologyView, type Vm } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import type { InventoryView } from "../auth/view.ts";
import { keysOf } from "../inventory/bindings.ts";
import { Refusal } from "../inventory/refusal.ts";
import { TunnelSurvey } from "../observe/topology.ts";
import { countByHost } from "../observe/vm-counts.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView } from "./caller.ts";
import { described, problems } from "./responses.ts";

const tags = ["observe"];

export interface TopologyDeps {
  readonly committer: Committer;
  readonly agents: AgentChannel;
  readonly now: () => Date;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export function topologyRoutes(app: App, { committer, agents, now, nowMs }: TopologyDeps): void {
  const survey = new TunnelSurvey({ state: () => committer.current, interest: agents.interests, nowMs });

  app.get(
    "/v1/topology",
    {
      config: { access: "watch", cost: "look" },
      schema: {
        tags,
        operationId: "getTopology",
        summary: "Hosts, and the tunnels between them that are in use",
        querystring: Type.Object(
          { network: Type.Optional({ ...Name, description: "Only of this network" }) },
          { additionalProperties: false },
        ),
        response: { 200: described("At most a second old", TopologyView), ...problems("not-found") },
      },
    },
    async (request) => {
      const { network } = request.query;
      const look = () => callerView(request, committer.current);
      const seen = look();
      const networks = network === undefined ? seen.networks() : [seen.findNetwork(network)];
      const towards = new Map<string, Map<string, number>>();
      let asOfMs = now().getTime();
      for (const each of networks) {
        if (!each) throw new Refusal("not-found", `no network is named "${network}"`);
        const { atMs, tunnels } = survey.in(each);
        asOfMs = Math.min(asOfMs, now().getTime() - (nowMs() - atMs) - usageDelayMs(each));
        for (const [from, peers] of await tunnels) addTo(towards, from, peers);
      }
      const vms = await countByHost(look, network);
      const { revision } = committer;
      const view = look();
      const hosts = view
        .hosts()
        .filter(({ name }) => network === undefined || view.isNetworkOn(network, name))
        .map(({ name }) => ({ name, connected: agents.isConnected(name), vms: vms.get(name) ?? 0 }));
      const places = new Map(hosts.map(({ name }, i) => [name, i]));
      const tunnels = [...towards].flatMap(([from, peers]) =>
        [...peers].flatMap(([to, macs]) => {
          const [a, b] = [places.get(from), places.get(to)];
          return a === undefined || b === undefined ? [] : [[a, b, macs]];
        }),
      );
      return { revision, asOf: new Date(asOfMs).toISOString(), hosts, tunnels };
    },
  );

  app.get(
    "/v1/vms/:name/holders",
    {
      config: { access: "watch", cost: "look" },
      schema: {
        tags,
        operationId: "getVmHolders",
        summary: "Hosts that know a VM's addresses, and the revision that each has applied",
        params: Type.Object({ name: Name }),
        response: { 200: described("As it stands", HoldersView), ...problems("not-found") },
      },
    },
    (request) => {
      const { name } = request.params;
      const seen = callerView(request, committer.current);
      const vm = seen.findVm(name);
      if (!vm) throw new Refusal("not-found", `no VM is named "${name}"`);
      return { revision: vm.revision, holders: holdersOf(seen, agents, vm, now()) };
    },
  );
}

function addTo(sums: Map<string, Map<string, number>>, from: string, peers: ReadonlyMap<string, number>): void {
  const sum = sums.get(from) ?? new Map<string, number>();
  sums.set(from, sum);
  for (const [to, macs] of peers) sum.set(to, (sum.get(to) ?? 0) + macs);
}

/** How late agents report what their kernels use of the network, ms: questions on demand say it at once. */
function usageDelayMs(network: Network): number {
  return effectiveKnowledge(network) === "on-demand" ? 0 : maxUsageDelayMs;
}

function holdersOf(seen: InventoryView, agents: AgentChannel, vm: Vm, now: Date) {
  const told = new Map<string, string[]>([[vm.host, []]]);
  let delayMs = 0;
  for (const each of vm.interfaces) {
    const network = seen.findNetwork(each.network);
    if (network) delayMs = Math.max(delayMs, usageDelayMs(network));
    for (const key of network ? keysOf(each, network.vni) : []) {
      // The VM's own host always receives all of it.
      for (const host of new Set([vm.host, ...agents.interests.holdersOf(key)])) {
        told.set(host, [...(told.get(host) ?? []), addressOf(key)]);
      }
    }
  }
  const holders = [...told].map(([host, addresses]) => {
    const { connected, appliedRevision, lastSeen } = agents.statusOf(host);
    const knownAt = connected ? new Date(now.getTime() - delayMs) : lastSeen;
    const asOf = knownAt?.toISOString() ?? null;
    const current = appliedRevision !== null && appliedRevision >= vm.revision;
    return { host, local: host === vm.host, connected, appliedRevision, current, addresses, asOf };
  });
  return holders.sort((a, b) => Number(b.local) - Number(a.local) || (a.host < b.host ? -1 : 1));
}
