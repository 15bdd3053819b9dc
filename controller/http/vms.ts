import { type Static, Type } from "typebox";
import {
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

  const write = async (mutation: Mutation, { wait, timeoutMs }: WaitQuery) => {
    const { resource, created } = written(await committer.mutate(mutation), "vm");
    if (wait === undefined) return { created, body: view(resource) };
    return { created, body: { ...(await readiness(agents, resource, timeoutMs ?? 10_000)), ...view(resource) } };
  };

  app.get(
    "/v1/vms",
    {
      schema: {
        tags,
        summary: "All VMs",
        response: { 200: described("All, by name", listOf("vms", VmView)), ...problems() },
      },
    },
    () => ({ vms: committer.current.listVms().map(view) }),
  );

  app.get(
    "/v1/vms/:name",
    {
      schema: {
        tags,
        summary: "One VM",
        params,
        response: { 200: described("The VM as it stands", VmView), ...problems("not-found") },
      },
    },
    ({ params: { name } }) => {
      const vm = committer.current.findVm(name);
      if (!vm) throw new Refusal("not-found", `no VM is named "${name}"`);
      return view(vm);
    },
  );

  app.post(
    "/v1/vms",
    {
      schema: {
        tags,
        summary: "Register a VM",
        querystring: waitQuery,
        body: VmInput,
        response: { 201: described("Created", VmView), ...problems("name-taken", ...vmProblems) },
      },
    },
    async ({ body, query }, reply) => {
      const vm = await write({ kind: "vm.create", spec: parseVm(body.name, body) }, query);
      reply.code(201).header("location", `/v1/vms/${body.name}`);
      return vm.body;
    },
  );

  app.put(
    "/v1/vms/:name",
    {
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
    async ({ params: { name }, body, query }, reply) => {
      const vm = await write({ kind: "vm.put", spec: parseVm(name, body) }, query);
      if (vm.created) reply.code(201).header("location", `/v1/vms/${name}`);
      return vm.body;
    },
  );

  app.patch(
    "/v1/vms/:name",
    {
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
    async ({ params: { name }, body, query }) => {
      const vm = await write({ kind: "vm.patch", name, ...parseVmPatch(name, body) }, query);
      return vm.body;
    },
  );

  app.delete(
    "/v1/vms/:name",
    {
      schema: {
        tags,
        summary: "Delete a VM",
        params,
        response: { 204: noContent, ...problems("not-found", ...writeProblems) },
      },
    },
    async ({ params: { name } }, reply) => {
      await committer.mutate({ kind: "vm.delete", name });
      return reply.code(204).send(null);
    },
  );
}

/** Never an error: the change is done, and only its arrival at the host is in question. */
async function readiness(
  agents: AgentChannel,
  vm: Vm,
  timeoutMs: number,
): Promise<Pick<Static<typeof VmView>, "ready" | "notReady">> {
  if (await agents.waitApplied(vm.host, vm.revision, timeoutMs)) return { ready: true };
  const { connected, problems } = agents.report(vm.host);
  const reason = connected
    ? `host "${vm.host}" has not confirmed revision ${vm.revision} within ${timeoutMs} ms`
    : `host "${vm.host}" has no agent connected`;
  return { ready: false, notReady: [reason, ...problems].join("; ") };
}
