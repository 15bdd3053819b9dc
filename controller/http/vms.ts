import { type Static, Type } from "typebox";
import {
  type Actor,
  Name,
  type ProblemType,
  parseVm,
  parseVmPatch,
  type Vm,
  VmInput,
  VmPatch,
  VmPutInput,
  VmView,
} from "../../schema/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { type Committer, written } from "../committer.ts";
import type { Mutation } from "../inventory/decide.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { App } from "./app-types.ts";
import { actorOf, callerView } from "./caller.ts";
import { bodyProblems, described, listOf, noContent, problems, writeProblems } from "./responses.ts";

const tags = ["vms"];
const params = Type.Object({ name: Name });
const waitQuery = Type.Object(
  {
    wait: Type.Optional(
      Type.Literal("ready", { description: "Answer when the VM's host has confirmed the bridges that the VM needs" }),
    ),
    timeoutMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 60_000, default: 10_000, description: "How long to wait, ms" }),
    ),
  },
  { additionalProperties: false },
);
type WaitQuery = Static<typeof waitQuery>;

const vmProblems = [
  "name-taken",
  "address-taken",
  "mixed-underlay",
  "unknown-reference",
  "outside-subnets",
  ...bodyProblems,
  ...writeProblems,
] as const satisfies ProblemType[];

export function vmRoutes(app: App, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  const view = (vm: Vm): Static<typeof VmView> => ({
    ...vm,
    interfaces: vm.interfaces.map((each) => ({ ...each, ips: [...each.ips] })),
    hostConnected: agents.isConnected(vm.host),
  });

  const write = async (by: Actor, mutation: Mutation, { wait, timeoutMs }: WaitQuery) => {
    const { resource, created } = written(await committer.mutate(by, mutation), "vm");
    if (wait === undefined) return { created, body: view(resource) };
    const state = await readiness(agents, resource, timeoutMs ?? 10_000, by.scope === "all");
    return { created, body: { ...state, ...view(resource) } };
  };

  app.get(
    "/v1/vms",
    {
      config: { access: "read" },
      schema: {
        tags,
        summary: "All VMs",
        response: { 200: described("All, by name", listOf("vms", VmView)), ...problems() },
      },
    },
    (request) => ({ vms: callerView(request, committer.current).listVms().map(view) }),
  );

  app.get(
    "/v1/vms/:name",
    {
      config: { access: "read" },
      schema: {
        tags,
        summary: "One VM",
        params,
        response: { 200: described("The VM as it stands", VmView), ...problems("not-found") },
      },
    },
    (request) => {
      const { name } = request.params;
      const vm = callerView(request, committer.current).findVm(name);
      if (!vm) throw new Refusal("not-found", `no VM is named "${name}"`);
      return view(vm);
    },
  );

  app.post(
    "/v1/vms",
    {
      config: { access: "write" },
      schema: {
        tags,
        summary: "Register a VM",
        querystring: waitQuery,
        body: VmInput,
        response: { 201: described("Created", VmView), ...problems(...vmProblems) },
      },
    },
    async (request, reply) => {
      const { body, query } = request;
      const vm = await write(actorOf(request), { kind: "vm.create", spec: parseVm(body.name, body) }, query);
      reply.code(201).header("location", `/v1/vms/${body.name}`);
      return vm.body;
    },
  );

  app.put(
    "/v1/vms/:name",
    {
      config: { access: "write" },
      schema: {
        tags,
        summary: "Register or replace a VM",
        params,
        querystring: waitQuery,
        body: VmPutInput,
        response: {
          200: described("The VM as it stands", VmView),
          201: described("Created", VmView),
          ...problems(...vmProblems),
        },
      },
    },
    async (request, reply) => {
      const { params, body, query } = request;
      const { name } = params;
      const vm = await write(actorOf(request), { kind: "vm.put", spec: parseVm(name, body) }, query);
      if (vm.created) reply.code(201).header("location", `/v1/vms/${name}`);
      return vm.body;
    },
  );

  app.patch(
    "/v1/vms/:name",
    {
      config: { access: "write" },
      schema: {
        tags,
        summary: "Change a VM (JSON Merge Patch, RFC 7396); another host moves it with all its interfaces",
        consumes: ["application/merge-patch+json", "application/json"],
        params,
        querystring: waitQuery,
        body: VmPatch,
        response: { 200: described("The VM as it stands", VmView), ...problems("not-found", ...vmProblems) },
      },
    },
    async (request) => {
      const { params, body, query } = request;
      const { name } = params;
      const vm = await write(actorOf(request), { kind: "vm.patch", name, ...parseVmPatch(name, body) }, query);
      return vm.body;
    },
  );

  app.delete(
    "/v1/vms/:name",
    {
      config: { access: "write" },
      schema: {
        tags,
        summary: "Delete a VM",
        params,
        response: { 204: noContent, ...problems("not-found", ...writeProblems) },
      },
    },
    async (request, reply) => {
      await committer.mutate(actorOf(request), { kind: "vm.delete", name: request.params.name });
      return reply.code(204).send(null);
    },
  );
}

/** Never an error: the change is done, and only its arrival at the host is in question. */
async function readiness(
  agents: AgentChannel,
  vm: Vm,
  timeoutMs: number,
  /** May know the host's problems, which may speak of any network. */
  whole: boolean,
): Promise<Pick<Static<typeof VmView>, "ready" | "notReady">> {
  if (await agents.waitApplied(vm.host, vm.revision, timeoutMs)) return { ready: true };
  const { connected, problems } = agents.report(vm.host);
  const reason = connected
    ? `host "${vm.host}" has not confirmed revision ${vm.revision} within ${timeoutMs} ms`
    : `host "${vm.host}" has no agent connected`;
  return { ready: false, notReady: [reason, ...(whole ? problems : [])].join("; ") };
}
