// GET /v1/conditions: what is wrong at present.
import { ConditionsView, type ConditionView, type Host, maxListedConditions, Name } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import type { InventoryView } from "../auth/view.ts";
import type { OwnConditions } from "../observe/own-conditions.ts";
import { countByHost } from "../observe/vm-counts.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { callerView, identityOf } from "./caller.ts";
import { allConditionsOfHost, bySeverity, viewOwn } from "./condition-views.ts";
import { conditionsForHost } from "./far-conditions.ts";
import { described, problems } from "./responses.ts";
import { addRoutes, type Handler } from "./route-table.ts";

export interface PresentConditionsDeps {
  readonly committer: Committer;
  readonly agents: AgentChannel;
  readonly own: Pick<OwnConditions, "list">;
  readonly startedAt: Date;
}

/** By kind and status, for metrics. */
export function countConditions(agents: AgentChannel, own: PresentConditionsDeps["own"]) {
  const ofHosts = [...agents.conditions.present.counts()].map(([kind, counts]) => ({ kind, ...counts }));
  return [...ofHosts, ...own.list().map(({ facts }) => ({ kind: facts.kind, true: 1, unknown: 0 }))];
}

/** All that the caller sees, the severe ones first. @param look the inventory as it is seen when it is called */
export async function presentConditions(
  { agents, own, startedAt }: PresentConditionsDeps,
  look: () => InventoryView,
): Promise<ConditionView[]> {
  const isAway = ({ name }: Host) => !agents.isConnected(name);
  const vms = look().hosts().some(isAway) ? await countByHost(look) : new Map<string, number>();
  const seen = look();
  const ofController = seen.isWhole ? own.list().map(({ facts, since }) => viewOwn(facts, since)) : [];
  const ofHosts = seen
    .hosts()
    .flatMap(({ name }) => allConditionsOfHost({ agents, startedAt }, seen, name, vms.get(name) ?? 0));
  return bySeverity([...ofController, ...ofHosts]);
}

export function presentConditionRoutes(app: App, deps: PresentConditionsDeps): void {
  const listConditions: Handler<typeof schema> = async (request) => {
    const { host, network, vm, kind } = request.query;
    const identity = identityOf(request);
    const look = () => callerView(request, deps.committer.current);
    const all =
      identity.kind === "host"
        ? conditionsForHost(deps, { state: deps.committer.current, seen: look() }, identity.name, host)
        : await presentConditions(deps, look);
    const found = all.filter(
      (each) =>
        (host === undefined || each.host === host) &&
        (network === undefined || each.network === network) &&
        (vm === undefined || each.vm === vm) &&
        (kind === undefined || each.kind === kind),
    );
    return { conditions: found.slice(0, maxListedConditions), total: found.length };
  };
  addRoutes(app, [
    { method: "GET", url: "/v1/conditions", access: "read", cost: "look", schema, handler: listConditions },
  ]);
}

const schema = {
  tags: ["observe"],
  operationId: "listConditions",
  summary: "What is wrong at present",
  description:
    "Conditions of hosts, networks and VMs, and of the controller itself: true as long as they are so, with the time since when, the reason and " +
    "what fixes it. A token that is limited to networks sees those of its networks, and which hosts of them are disconnected; a host its own and, with " +
    "`host`, what may stop its VMs' traffic with another host of its networks.",
  querystring: Type.Object(
    {
      host: Type.Optional({ ...Name, description: "Only on this host" }),
      network: Type.Optional({ ...Name, description: "Only in this network" }),
      vm: Type.Optional({ ...Name, description: "Only of this VM" }),
      kind: Type.Optional(Type.String({ maxLength: 64, description: "Only of this kind" })),
    },
    { additionalProperties: false },
  ),
  response: { 200: described("The present conditions", ConditionsView), ...problems() },
};
