import {
  type ConditionView,
  type Host,
  HostInput,
  type HostPatch,
  HostPutInput,
  HostView,
  parseHost,
  HostPatch as patchShape,
} from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import type { InventoryView } from "../auth/view.ts";
import type { SortKey } from "../inventory/sorted-page.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { allConditionsOfHost, conditionsField } from "./condition-views.ts";
import type { ListQuery, SortKeyOf } from "./lists.ts";
import { resourceRoutes } from "./resource.ts";

const deleteQuery = {
  force: Type.Optional(
    Type.Boolean({ description: "true: also delete all its VMs; the host must be marked down", default: false }),
  ),
};

export interface HostsDeps {
  readonly committer: Committer;
  readonly agents: AgentChannel;
  readonly startedAt: Date;
}

export function hostRoutes(app: App, { committer, agents, startedAt }: HostsDeps): void {
  const conditionsOf = (seen: InventoryView, host: string): ConditionView[] =>
    allConditionsOfHost({ agents, startedAt }, seen, host, seen.countVmsOn(host));
  resourceRoutes<"host", HostPutInput, HostPatch>(app, committer, {
    kind: "host",
    plural: "hosts",
    noun: "host",
    access: { read: "read", write: "write-all" },
    shapes: { input: HostInput, putInput: HostPutInput, patch: patchShape, view: HostView, deleteQuery },
    problems: ["address-taken", "mixed-underlay"],
    mutations: {
      create: (name, input) => ({ kind: "host.create", spec: parseHost(name, input, "operator") }),
      put: (name, input) => ({ kind: "host.put", spec: parseHost(name, input, "operator") }),
      patch: (name, patch) => ({ kind: "host.patch", name, patch }),
      delete: (name, query) => ({ kind: "host.delete", name, force: (query as { force?: boolean }).force ?? false }),
    },
    reads: {
      find: (seen, name) => seen.findHost(name),
      list: (seen, query, name) => seen.hostsFrom(query, name),
      fits: (seen, host, query) => fitsHost({ agents, conditionsOf }, seen, host, query),
      count: (seen) => seen.hosts().length,
      sortKey: (seen, host, key) => sortKeyOf({ agents, conditionsOf }, seen, host, key as SortKeyOf<"host">),
      view: (host, seen) => {
        const { connected, lastSeen, appliedRevision, problems } = agents.statusOf(host.name);
        // The agent's problems may speak of any network on the host.
        const visible = seen.isWhole ? [...problems] : [];
        const agentVersion = seen.isWhole ? agents.versionOf(host.name) : undefined;
        const known = {
          ...(seen.isWhole ? { vms: seen.countVmsOn(host.name) } : {}),
          ...(agentVersion === undefined ? {} : { agentVersion }),
        };
        const state = { connected, lastSeen: lastSeen?.toISOString() ?? null, appliedRevision, problems: visible };
        return { ...host, ...state, ...known, ...conditionsField(conditionsOf(seen, host.name)) };
      },
    },
  });
}

interface HostReads {
  readonly agents: AgentChannel;
  readonly conditionsOf: (seen: InventoryView, host: string) => readonly ConditionView[];
}

function fitsHost(
  { agents, conditionsOf }: HostReads,
  seen: InventoryView,
  { name, down }: Host,
  query: ListQuery,
): boolean {
  const { network, condition, state } = query;
  if (network !== undefined && !seen.isNetworkOn(network, name)) return false;
  if (state === "down" && !down) return false;
  if (state !== undefined && state !== "down" && (state === "connected") !== agents.isConnected(name)) return false;
  return (
    condition === undefined || conditionsOf(seen, name).some(({ kind }) => condition === "any" || kind === condition)
  );
}

function sortKeyOf(
  { agents, conditionsOf }: HostReads,
  seen: InventoryView,
  host: Host,
  key: SortKeyOf<"host">,
): SortKey {
  const { name } = host;
  switch (key) {
    case "vms":
      return seen.countVmsOn(name);
    case "conditions":
      return conditionsOf(seen, name).length;
    case "agent":
      return host.down ? "down" : agents.isConnected(name) ? "connected" : "disconnected";
    case "agentVersion":
      return seen.isWhole ? (agents.versionOf(name) ?? "") : "";
    case "lastSeen":
      return agents.statusOf(name).lastSeen?.getTime() ?? 0;
    case "appliedRevision":
      return agents.statusOf(name).appliedRevision ?? 0;
    default:
      return host[key];
  }
}
