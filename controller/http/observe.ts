// State for people: the caller's identity, counts, issues, rates. Programs use /metrics.
import { type Host, IdentityView, maxConcerns, Name, OverviewView, RatesView } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import { version } from "../../schema/version.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { expiryOf, nameOf, placementOf, scopeOf } from "../auth/identity.ts";
import type { InventoryView } from "../auth/view.ts";
import { useOf } from "../inventory/quota.ts";
import type { Rates } from "../observe/rates.ts";
import { countByHost } from "../observe/vm-counts.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView, identityOf } from "./caller.ts";
import { described, problems } from "./responses.ts";
import { addRoutes, type Handler } from "./route-table.ts";

export interface ObserveDeps {
  readonly committer: Committer;
  readonly agents: AgentChannel;
  readonly rates: Rates;
  readonly epoch: string;
  readonly now: () => Date;
}

const tags = ["observe"];

export function observeRoutes(app: App, { committer, agents, rates, epoch, now }: ObserveDeps): void {
  const startedMs = now().getTime();

  const getIdentity: Handler<typeof identitySchema> = (request) => {
    const identity = identityOf(request);
    const scope = scopeOf(identity);
    const networks = scope === "all" ? null : [...scope].sort();
    const { hosts, quota = null } = placementOf(identity);
    const used = useOf(committer.current, scope) ?? null;
    const placed = { hosts: hosts ? [...hosts].sort() : null, quota, used };
    const expires = expiryOf(identity);
    return { name: nameOf(identity), role: identity.kind, expires, networks, ...placed, version, epoch };
  };

  const getOverview: Handler<typeof overviewSchema> = async (request) => {
    const look = () => callerView(request, committer.current);
    const isAway = ({ name }: Host) => !agents.isConnected(name);
    const vms = look().hosts().some(isAway) ? await countByHost(look) : new Map<string, number>();
    const seen = look();
    const hosts = seen.hosts().map(({ name }) => ({ name, status: agents.statusOf(name) }));
    const concerns = hosts.flatMap(({ name, status }) => concernsOf(seen, name, status, vms.get(name) ?? 0));
    return {
      revision: committer.revision,
      networks: seen.networks().length,
      hosts: hosts.length,
      hostsConnected: hosts.filter(({ status }) => status.connected).length,
      hostsDown: seen.hosts().filter(({ down }) => down).length,
      // They may speak of any network on the host.
      hostsWithProblems: seen.isWhole ? hosts.filter(({ status }) => status.problems.length > 0).length : 0,
      vms: seen.countVms(),
      version,
      epoch,
      uptimeSeconds: Math.max(0, Math.floor((now().getTime() - startedMs) / 1_000)),
      ready: committer.stoppedBecause === undefined,
      agentVersions: seen.isWhole ? versionsOf(agents, hosts) : [],
      concerns: concerns.slice(0, maxConcerns),
      concernCount: concerns.length,
    };
  };

  const getRates: Handler<typeof ratesSchema> = (request) => {
    const series = rates.read(request.query.host);
    const { stepMs } = series;
    return { until: new Date(Math.floor(now().getTime() / stepMs) * stepMs).toISOString(), ...series };
  };

  addRoutes(app, [
    { method: "GET", url: "/v1/identity", access: "read", schema: identitySchema, handler: getIdentity },
    { method: "GET", url: "/v1/overview", access: "watch", cost: "look", schema: overviewSchema, handler: getOverview },
    { method: "GET", url: "/v1/rates", access: "read-all", cost: "look", schema: ratesSchema, handler: getRates },
  ]);
}

const identitySchema = {
  tags,
  operationId: "getIdentity",
  summary: "The caller's identity and what it may see",
  response: { 200: described("The caller", IdentityView), ...problems() },
};

const overviewSchema = {
  tags,
  operationId: "getOverview",
  summary: "Counts of resources, and what needs attention",
  response: { 200: described("The current state", OverviewView), ...problems() },
};

const ratesSchema = {
  tags,
  operationId: "getRates",
  summary: "Questions and answers of the last 15 minutes",
  querystring: Type.Object(
    { host: Type.Optional({ ...Name, description: "Only of this host, in longer steps" }) },
    { additionalProperties: false },
  ),
  response: { 200: described("By step", RatesView), ...problems() },
};

/** Of connected agents, ascending by version. */
function versionsOf(agents: AgentChannel, hosts: readonly { readonly name: string }[]) {
  const counts = new Map<string, number>();
  for (const { name } of hosts) {
    const agent = agents.versionOf(name);
    if (agent !== undefined) counts.set(agent, (counts.get(agent) ?? 0) + 1);
  }
  const entries = [...counts].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  return entries.map(([each, count]) => ({ version: each, hosts: count }));
}

function concernsOf(seen: InventoryView, host: string, status: ReturnType<AgentChannel["statusOf"]>, vms: number) {
  const concern = <K extends "host-away" | "host-problem">(kind: K, detail: string) => ({ kind, host, detail });
  const away: ReturnType<typeof concern>[] = [];
  if (!status.connected) {
    const since = status.lastSeen
      ? `last heard ${status.lastSeen.toISOString()}`
      : "not heard since the controller started";
    if (vms > 0)
      away.push(concern("host-away", `no agent is connected: ${since}; ${vms === 1 ? "1 VM" : `${vms} VMs`}`));
  }
  // They may speak of any network on the host.
  const visibleProblems = seen.isWhole ? status.problems : [];
  return [...away, ...visibleProblems.map((problem) => concern("host-problem", problem))];
}
