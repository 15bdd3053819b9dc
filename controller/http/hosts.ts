import {
  HostInput,
  type HostPatch,
  HostPutInput,
  HostView,
  parseHost,
  HostPatch as patchShape,
} from "../../schema/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { resourceRoutes } from "./resource.ts";

export function hostRoutes(app: App, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  resourceRoutes<"host", HostPutInput, HostPatch>(app, committer, {
    kind: "host",
    plural: "hosts",
    noun: "host",
    access: { read: "read", write: "write-all" },
    shapes: { input: HostInput, putInput: HostPutInput, patch: patchShape, view: HostView },
    problems: ["address-taken", "mixed-underlay"],
    create: (name, input) => ({ kind: "host.create", spec: parseHost(name, input, "operator") }),
    put: (name, input) => ({ kind: "host.put", spec: parseHost(name, input, "operator") }),
    patch: (name, patch) => ({ kind: "host.patch", name, patch }),
    remove: (name, query) => ({ kind: "host.delete", name, force: (query as { force?: boolean }).force ?? false }),
    removeQuery: {
      force: Type.Optional(
        Type.Boolean({ description: "true: also delete all its VMs; the host must be marked down", default: false }),
      ),
    },
    find: (seen, name) => seen.findHost(name),
    list: (seen, query, name) => seen.hostsFrom(query, name),
    fits: (seen, { name }, { network }) => network === undefined || seen.isNetworkOn(network, name),
    view: (host, seen) => {
      const { connected, lastSeen, appliedRevision, problems } = agents.report(host.name);
      // The agent's problems may name any network on the host.
      const told = seen.isWhole ? [...problems] : [];
      return { ...host, connected, lastSeen: lastSeen?.toISOString() ?? null, appliedRevision, problems: told };
    },
  });
}
