import { type Static, Type } from "typebox";
import { type Host, HostInput, HostView, Name, parseHost } from "../../schema/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { type Committer, written } from "../committer.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { App } from "./app-types.ts";
import { actorOf, callerView } from "./caller.ts";
import { bodyProblems, described, listOf, noContent, problems, writeProblems } from "./responses.ts";

const tags = ["hosts"];
const params = Type.Object({ name: Name });

export function hostRoutes(app: App, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  const view = (host: Host, whole: boolean): Static<typeof HostView> => {
    const { connected, lastSeen, appliedRevision, problems } = agents.report(host.name);
    return {
      ...host,
      connected,
      lastSeen: lastSeen?.toISOString() ?? null,
      appliedRevision,
      // They may speak of any network on the host.
      problems: whole ? [...problems] : [],
    };
  };

  app.get(
    "/v1/hosts",
    {
      config: { access: "read" },
      schema: {
        tags,
        summary: "All hosts",
        response: { 200: described("All, by name", listOf("hosts", HostView)), ...problems() },
      },
    },
    (request) => {
      const seen = callerView(request, committer.current);
      return { hosts: seen.listHosts().map((host) => view(host, seen.isWhole)) };
    },
  );

  app.get(
    "/v1/hosts/:name",
    {
      config: { access: "read" },
      schema: {
        tags,
        summary: "One host",
        params,
        response: { 200: described("The host as it stands", HostView), ...problems("not-found") },
      },
    },
    (request) => {
      const { name } = request.params;
      const seen = callerView(request, committer.current);
      const host = seen.findHost(name);
      if (!host) throw new Refusal("not-found", `no host is named "${name}"`);
      return view(host, seen.isWhole);
    },
  );

  app.put(
    "/v1/hosts/:name",
    {
      config: { access: "write-all" },
      schema: {
        tags,
        summary: "Register a host, or change its tunnel end",
        params,
        body: HostInput,
        response: {
          200: described("The host as it stands", HostView),
          201: described("Created", HostView),
          ...problems("address-taken", "mixed-underlay", ...bodyProblems, ...writeProblems),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const { name } = params;
      const outcome = await committer.mutate(actorOf(request), {
        kind: "host.put",
        spec: parseHost(name, body, "operator"),
      });
      const { resource, created } = written(outcome, "host");
      if (created) reply.code(201).header("location", `/v1/hosts/${name}`);
      return view(resource, true);
    },
  );

  app.delete(
    "/v1/hosts/:name",
    {
      config: { access: "write-all" },
      schema: {
        tags,
        summary: "Delete a host without VMs",
        params,
        response: { 204: noContent, ...problems("not-found", "in-use", ...writeProblems) },
      },
    },
    async (request, reply) => {
      await committer.mutate(actorOf(request), { kind: "host.delete", name: request.params.name });
      return reply.code(204).send(null);
    },
  );
}
