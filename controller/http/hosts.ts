import { type Static, Type } from "typebox";
import { type Host, HostInput, HostView, Name, parseHost } from "../../schema/index.ts";
import type { AgentChannel } from "../agents/agent-channel.ts";
import { type Committer, written } from "../committer.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { App } from "./app-types.ts";
import { bodyProblems, described, listOf, noContent, problems, writeProblems } from "./responses.ts";

const tags = ["hosts"];
const params = Type.Object({ name: Name });

export function hostRoutes(app: App, { committer, agents }: { committer: Committer; agents: AgentChannel }): void {
  const view = (host: Host): Static<typeof HostView> => {
    const { connected, lastSeen, appliedRevision, problems } = agents.report(host.name);
    return {
      ...host,
      connected,
      lastSeen: lastSeen?.toISOString() ?? null,
      appliedRevision,
      problems: [...problems],
    };
  };

  app.get(
    "/v1/hosts",
    {
      schema: {
        tags,
        summary: "All hosts",
        response: { 200: described("All, by name", listOf("hosts", HostView)), ...problems() },
      },
    },
    () => ({ hosts: committer.current.listHosts().map(view) }),
  );

  app.get(
    "/v1/hosts/:name",
    {
      schema: {
        tags,
        summary: "One host",
        params,
        response: { 200: described("The host as it stands", HostView), ...problems("not-found") },
      },
    },
    ({ params: { name } }) => {
      const host = committer.current.findHost(name);
      if (!host) throw new Refusal("not-found", `no host is named "${name}"`);
      return view(host);
    },
  );

  app.put(
    "/v1/hosts/:name",
    {
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
    async ({ params: { name }, body }, reply) => {
      const outcome = await committer.mutate({ kind: "host.put", spec: parseHost(name, body, "operator") });
      const { resource, created } = written(outcome, "host");
      if (created) reply.code(201).header("location", `/v1/hosts/${name}`);
      return view(resource);
    },
  );

  app.delete(
    "/v1/hosts/:name",
    {
      schema: {
        tags,
        summary: "Delete a host without VMs",
        params,
        response: { 204: noContent, ...problems("not-found", "in-use", ...writeProblems) },
      },
    },
    async ({ params: { name } }, reply) => {
      await committer.mutate({ kind: "host.delete", name });
      return reply.code(204).send(null);
    },
  );
}
