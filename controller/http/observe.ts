// State for people: the caller's identity, counts, issues, rates. Programs use /metrics.
import { type Host, IdentityView, maxConcerns, Name, OverviewView, RatesView, version } from "../../schema/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { nameOf, placementOf, scopeOf } from "../auth/identity.ts";
import type { InventoryView } from "../auth/view.ts";
import { useOf } from "../inventory/quota.ts";
import type { Rates } from "../observe/rates.ts";
import { countByHost } from "../observe/vm-counts.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView, identityOf } from "./caller.ts";
import { described, problems } from "./responses.ts";

export interface ObserveDeps {
  readonly committer: Committer;
  readonly agents: AgentChannel;
  readonly rates: Rates;
  readonly epoch: string;
  readonly now: () => Date;
}

const tags = ["observe"];

export function observeRoutes(app: App, { committer, agents, rates, epoch, now }: ObserveDeps): void {
  app.get(
    "/v1/identity",
    {
      config: { access: "watch" },
      schema: {
        tags,
        operationId: "getIdentity",
        summary: "The caller's identity and what it may see",
        response: { 200: described("The caller", IdentityView), ...problems() },
      },
    },
    (request) => {
      const identity = identityOf(request);
      if (identity.kind === "host") throw new Error("hosts do not come this far");
      const scope = scopeOf(identity);
      const networks = scope === "all" ? null : [...scope].sort();
      const { hosts, quota = null } = placementOf(identity);
      const used = useOf(committer.current, scope) ?? null;
      const placed = { hosts: hosts ? [...hosts].sort() : null, quota, used };
      return { name: nameOf(identity), role: identity.kind, networks, ...placed, version, epoch };
    },
  );

  app.get(
    "/v1/overview",
    {
      config: { access: "watch", cost: "look" },
      schema: {
        tags,
        operationId: "getOverview",
        summary: "Counts of resources, and issues that need attention",
        response: { 200: described("The current state", OverviewView), ...problems() },
      },
    },
    async (request) => {
      const look = () => callerView(request, committer.current);
      const isAway = ({ name }: Host) => !agents.isConnected(name);
      const vms = look().hosts().some(isAway) ? await countByHost(look) : new Map<string, number>();
      const seen = look();
      const hosts = seen.hosts().map(({ name }) => ({ name, report: agents.report(name) }));
      const concerns = hosts.flatMap(({ name, report }) => concernsOf(seen, name, report, vms.get(name) ?? 0));
      return {
        revision: committer.revision,
        networks: seen.networks().length,
        hosts: hosts.length,
        hostsConnected: hosts.filter(({ report }) => report.connected).length,
        vms: seen.countVms(),
        concerns: concerns.slice(0, maxConcerns),
        concernCount: concerns.length,
      };
    },
  );

  app.get(
    "/v1/rates",
    {
      config: { access: "read-all", cost: "look" },
      schema: {
        tags,
        operationId: "getRates",
        summary: "Questions and answers of the last 15 minutes",
        querystring: Type.Object(
          { host: Type.Optional({ ...Name, description: "Only of this host, in longer steps" }) },
          { additionalProperties: false },
        ),
        response: { 200: described("By step", RatesView), ...problems() },
      },
    },
    (request) => {
      const series = rates.read(request.query.host);
      const { stepMs } = series;
      return { until: new Date(Math.floor(now().getTime() / stepMs) * stepMs).toISOString(), ...series };
    },
  );
}

function concernsOf(seen: InventoryView, host: string, report: ReturnType<AgentChannel["report"]>, vms: number) {
  const concern = <K extends "host-away" | "host-problem">(kind: K, detail: string) => ({ kind, host, detail });
  const away: ReturnType<typeof concern>[] = [];
  if (!report.connected) {
    const since = report.lastSeen
      ? `last heard ${report.lastSeen.toISOString()}`
      : "not heard since the controller started";
    if (vms > 0)
      away.push(concern("host-away", `no agent is connected: ${since}; ${vms === 1 ? "1 VM" : `${vms} VMs`}`));
  }
  // They may name any network on the host.
  const problemsTold = seen.isWhole ? report.problems : [];
  return [...away, ...problemsTold.map((problem) => concern("host-problem", problem))];
}
