import {
  NetworkInput,
  type NetworkPatch,
  NetworkPutInput,
  NetworkView,
  parseNetwork,
  NetworkPatch as patchShape,
} from "../../schema/rest/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { conditionsField, conditionsOfNetwork } from "./condition-views.ts";
import type { SortKeyOf } from "./lists.ts";
import { resourceRoutes } from "./resource.ts";

export function networkRoutes(app: App, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  resourceRoutes<"network", NetworkPutInput, NetworkPatch>(app, committer, {
    kind: "network",
    plural: "networks",
    noun: "network",
    access: { read: "read", write: "write" },
    shapes: { input: NetworkInput, putInput: NetworkPutInput, patch: patchShape, view: NetworkView },
    problems: ["address-taken", "in-use", "immutable"],
    mutations: {
      create: (name, input) => ({ kind: "network.create", spec: parseNetwork(name, input) }),
      put: (name, input) => ({ kind: "network.put", spec: parseNetwork(name, input) }),
      patch: (name, patch) => ({ kind: "network.patch", name, patch }),
      delete: (name) => ({ kind: "network.delete", name }),
    },
    reads: {
      find: (seen, name) => seen.findNetwork(name),
      list: (seen, query, name) => seen.networksFrom(query, name),
      fits: (seen, { name }, { host }) => host === undefined || seen.isNetworkOn(name, host),
      count: (seen) => seen.networks().length,
      sortKey: (_seen, { name, vni, revision }, key) => ({ name, vni, revision })[key as SortKeyOf<"network">],
      view: (network, seen) => ({ ...network, ...conditionsField(conditionsOfNetwork(agents, seen, network.name)) }),
    },
  });
}
