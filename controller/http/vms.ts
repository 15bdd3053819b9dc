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
import type { InventoryView } from "../auth/view.ts";
import { sortedNames } from "../inventory/names.ts";
import { type Candidate, fitsVm } from "../inventory/search.ts";
import type { SortKey } from "../inventory/sorted-page.ts";
import type { Committer } from "../write/committer.ts";
import type { App } from "./app-types.ts";
import { actorOf } from "./caller.ts";
import { conditionsField, conditionsOfVm } from "./condition-views.ts";
import type { SortKeyOf } from "./lists.ts";
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
      list: (seen, query, name) =>
        query.condition === undefined ? seen.vmsFrom(query, name) : withConditions(agents, seen, query.condition, name),
      fits: (seen, vm, query) =>
        fitsVm(vm, query) && (query.condition === undefined || hasCondition(agents, seen, vm, query.condition)),
      count: (seen) => seen.countVms(),
      sortKey: (seen, vm, key) => sortKeyOf(agents, seen, vm, key as SortKeyOf<"vm">),
      view: (vm, seen) => ({
        ...vm,
        hostConnected: agents.isConnected(vm.host),
        ...conditionsField(conditionsOfVm(agents, seen, vm.name, vm.host)),
      }),
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

/** In order, from a name on: those that hosts have reported such a condition of, whether the caller may see it or not. */
function* withConditions(
  agents: AgentChannel,
  seen: InventoryView,
  kind: string,
  from: string,
): Generator<Candidate<Vm>> {
  for (const name of sortedNames(agents.conditions.present.vms(kind)).from(from)) yield [name, seen.findVm(name)];
}

function hasCondition(agents: AgentChannel, seen: InventoryView, { name, host }: Vm, kind: string): boolean {
  return conditionsOfVm(agents, seen, name, host).some((each) => kind === "any" || each.kind === kind);
}

function sortKeyOf(agents: AgentChannel, seen: InventoryView, vm: Vm, key: SortKeyOf<"vm">): SortKey {
  if (key === "conditions") return conditionsOfVm(agents, seen, vm.name, vm.host).length;
  if (key === "network") return vm.interfaces[0]?.network ?? "";
  return vm[key];
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
