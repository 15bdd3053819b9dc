import { type Static, Type } from "typebox";
import { Name, type Network, NetworkInput, NetworkView, parseNetwork } from "../../schema/index.ts";
import { type Committer, written } from "../committer.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { App } from "./app-types.ts";
import { actorOf, callerView } from "./caller.ts";
import { bodyProblems, described, listOf, noContent, problems, writeProblems } from "./responses.ts";

const tags = ["networks"];
const params = Type.Object({ name: Name });

export function networkRoutes(app: App, { committer }: { committer: Committer }): void {
  app.get(
    "/v1/networks",
    {
      config: { access: "read" },
      schema: {
        tags,
        summary: "All networks",
        response: { 200: described("All, by name", listOf("networks", NetworkView)), ...problems() },
      },
    },
    (request) => ({ networks: callerView(request, committer.current).listNetworks().map(view) }),
  );

  app.get(
    "/v1/networks/:name",
    {
      config: { access: "read" },
      schema: {
        tags,
        summary: "One network",
        params,
        response: { 200: described("The network as it stands", NetworkView), ...problems("not-found") },
      },
    },
    (request) => {
      const { name } = request.params;
      const network = callerView(request, committer.current).findNetwork(name);
      if (!network) throw new Refusal("not-found", `no network is named "${name}"`);
      return view(network);
    },
  );

  app.put(
    "/v1/networks/:name",
    {
      config: { access: "write" },
      schema: {
        tags,
        summary: "Create or replace a network",
        params,
        body: NetworkInput,
        response: {
          200: described("The network as it stands", NetworkView),
          201: described("Created", NetworkView),
          ...problems("address-taken", "in-use", "immutable", ...bodyProblems, ...writeProblems),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const { name } = params;
      const outcome = await committer.mutate(actorOf(request), { kind: "network.put", spec: parseNetwork(name, body) });
      const { resource, created } = written(outcome, "network");
      if (created) reply.code(201).header("location", `/v1/networks/${name}`);
      return view(resource);
    },
  );

  app.delete(
    "/v1/networks/:name",
    {
      config: { access: "write" },
      schema: {
        tags,
        summary: "Delete a network without interfaces",
        params,
        response: { 204: noContent, ...problems("not-found", "in-use", ...writeProblems) },
      },
    },
    async (request, reply) => {
      await committer.mutate(actorOf(request), { kind: "network.delete", name: request.params.name });
      return reply.code(204).send(null);
    },
  );
}

function view({ subnets, ...network }: Network): Static<typeof NetworkView> {
  return { ...network, subnets: [...subnets] };
}
