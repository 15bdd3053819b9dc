// State for people: the caller's identity, counts, issues, rates. Programs use /metrics.
import { rateRanges } from "../../schema/plain/index.ts";
import {
  type ConditionView,
  IdentityView,
  maxConcerns,
  Name,
  OverviewView,
  RatesView,
} from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import { version } from "../../schema/version.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { expiryOf, nameOf, placementOf, scopeOf } from "../auth/identity.ts";
import { useOf } from "../inventory/quota.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { OwnConditions } from "../observe/own-conditions.ts";
import type { Rates } from "../observe/rates.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView, identityOf } from "./caller.ts";
import { presentConditions } from "./present-conditions.ts";
import { described, problems } from "./responses.ts";
import { addRoutes, type Handler } from "./route-table.ts";

export interface ObserveDeps {
  readonly committer: Committer;
  readonly agents: AgentChannel;
  readonly own: Pick<OwnConditions, "list">;
  readonly rates: Rates;
  readonly epoch: string;
  readonly now: () => Date;
}

const tags = ["observe"];

export function observeRoutes(app: App, { committer, agents, own, rates, epoch, now }: ObserveDeps): void {
  const startedAt = now();
  const startedMs = startedAt.getTime();

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
    const conditions = await presentConditions({ committer, agents, own, startedAt }, look);
    const seen = look();
    const hosts = seen.hosts().map(({ name }) => ({ name, connected: agents.isConnected(name) }));
    const withProblems = new Set(conditions.flatMap(({ kind, host }) => (kind === "host-away" ? [] : (host ?? []))));
    const listed = conditions.slice(0, maxConcerns);
    return {
      revision: committer.revision,
      networks: seen.networks().length,
      hosts: hosts.length,
      hostsConnected: hosts.filter(({ connected }) => connected).length,
      hostsDown: seen.hosts().filter(({ down }) => down).length,
      hostsWithProblems: withProblems.size,
      vms: seen.countVms(),
      version,
      epoch,
      uptimeSeconds: Math.max(0, Math.floor((now().getTime() - startedMs) / 1_000)),
      ready: committer.stoppedBecause === undefined,
      agentVersions: seen.isWhole ? versionsOf(agents, hosts) : [],
      conditions: listed,
      concerns: listed.flatMap((each) => concernOf(each) ?? []),
      concernCount: conditions.length,
    };
  };

  const getRates: Handler<typeof ratesSchema> = (request) => {
    const { host, range } = request.query;
    if (host !== undefined && range !== undefined && range !== rateRanges[0]) {
      throw new Refusal(
        "invalid-input",
        `range: "${range}" is for all hosts together, use "${rateRanges[0]}" with host`,
      );
    }
    const { endedAgoMs, ...series } = host === undefined ? rates.read(range ?? rateRanges[0]) : rates.readHost(host);
    const until = new Date(now().getTime() - endedAgoMs).toISOString();
    // Clients of version 0.1 name no range and know no gaps here.
    if (range === undefined) return { until, ...series, known: filled(series.known), unknown: filled(series.unknown) };
    return { until, ...series };
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
  summary: "Recent questions and answers",
  querystring: Type.Object(
    {
      host: Type.Optional({ ...Name, description: "Only of this host, in longer steps, and of 15 minutes" }),
      range: Type.Optional(
        Type.Enum([...rateRanges], {
          description:
            "How far back: 15m in steps of 5 s, 2h of 30 s, 24h of 5 min. Default: 15m, with 0 instead of null in `known` and `unknown`",
        }),
      ),
    },
    { additionalProperties: false },
  ),
  response: { 200: described("By step", RatesView), ...problems() },
};

const filled = (values: readonly (number | null)[]) => values.map((value) => value ?? 0);

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

/** As version 0.1 has it. */
function concernOf({ kind, host, network, reason, fix }: ConditionView): OverviewView["concerns"][number] | undefined {
  if (host === undefined) return undefined;
  const detail = `${network === undefined ? "" : `network ${network}: `}${reason}`;
  if (kind === "host-away") return { kind, host, detail };
  return { kind: "host-problem", host, detail: fix === undefined ? detail : `${detail}; ${fix}` };
}
