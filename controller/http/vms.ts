import {
  parseVm,
  VmPatch as patchShape,
  type Vm,
  VmInput,
  type VmPatch,
  VmPutInput,
  VmView,
} from "../../schema/rest/index.ts";
import { type Static, Type } from "../../schema/typebox.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { fitsVm } from "../inventory/search.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { actorOf } from "./caller.ts";
import { resourceRoutes } from "./resource.ts";

const waitQuery = {
  wait: Type.Optional(
    Type.Literal("ready", { description: "Answer when the VM's host has confirmed the bridges that the VM needs" }),
  ),
  timeoutMs: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 60_000, default: 10_000, description: "How long to wait, ms" }),
  ),
};
interface WaitQuery {
  readonly wait?: "ready";
  readonly timeoutMs?: number;
}

export function vmRoutes(app: App, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  resourceRoutes<"vm", VmPutInput, VmPatch>(app, committer, {
    kind: "vm",
    plural: "vms",
    noun: "VM",
    access: { read: "read", write: "write" },
    shapes: { input: VmInput, putInput: VmPutInput, patch: patchShape, view: VmView },
    problems: [
      "address-taken",
      "addresses-exhausted",
      "host-down",
      "limit-exceeded",
      "mixed-underlay",
      "unknown-reference",
      "outside-subnets",
      "port-conflict",
      "quota-exceeded",
      "in-use",
    ],
    mutations: {
      create: (name, input) => ({ kind: "vm.create", spec: parseVm(name, input) }),
      put: (name, input) => ({ kind: "vm.put", spec: parseVm(name, input) }),
      patch: (name, patch) => ({ kind: "vm.patch", name, patch }),
      delete: (name) => ({ kind: "vm.delete", name }),
    },
    reads: {
      find: (seen, name) => seen.findVm(name),
      list: (seen, query, name) => seen.vmsFrom(query, name),
      fits: (_seen, vm, query) => fitsVm(vm, query),
      view: (vm) => ({ ...vm, hostConnected: agents.isConnected(vm.host) }),
    },
    writeOptions: {
      query: waitQuery,
      answer: async (request, vm) => {
        const { wait, timeoutMs = 10_000 } = request.query as WaitQuery;
        if (wait === undefined) return {};
        return readiness(agents, vm, timeoutMs, actorOf(request).scope === "all");
      },
    },
  });
}

/** Never an error: the change is done, and only its arrival at the host is in question. */
async function readiness(
  agents: AgentChannel,
  vm: Vm,
  timeoutMs: number,
  /** May see the host's problems, which may name any network. */
  whole: boolean,
): Promise<Pick<Static<typeof VmView>, "ready" | "notReady">> {
  if (await agents.waitApplied(vm.host, vm.revision, timeoutMs)) return { ready: true };
  const { connected, problems } = agents.statusOf(vm.host);
  const reason = connected
    ? `host "${vm.host}" has not confirmed revision ${vm.revision} within ${timeoutMs} ms`
    : `host "${vm.host}" has no agent connected`;
  return { ready: false, notReady: [reason, ...(whole ? problems : [])].join("; ") };
}
