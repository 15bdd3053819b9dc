import { type Static, Type } from "typebox";
import { Name, type Network, NetworkInput, NetworkView, parseNetwork } from "../../schema/index.ts";
import { type Committer, written } from "../committer.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { App } from "./app-types.ts";
import { bodyProblems, described, listOf, noContent, problems, writeProblems } from "./responses.ts";

const tags = ["networks"];
const params = Type.Object({ name: Name });

export function networkRoutes(app: App, { committer }: { committer: Committer }): void {
  app.get(
    "/v1/networks",
    {
      schema: {
        tags,
        summary: "All networks",
        response: { 200: described("All, by name", listOf("networks", NetworkView)), ...problems() },
      },
    },
    () => ({ networks: committer.current.listNetworks().map(view) }),
  );

  app.get(
    "/v1/networks/:name",
    {
      schema: {
        tags,
        summary: "One network",
        params,
        response: { 200: described("The network as it stands", NetworkView), ...problems("not-found") },
      },
    },
    ({ params: { name } }) => {
      const network = committer.current.findNetwork(name);
      if (!network) throw new Refusal("not-found", `no network is named "${name}"`);
      return view(network);
    },
  );

  app.put(
    "/v1/networks/:name",
    {
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
    async ({ params: { name }, body }, reply) => {
      const outcome = await committer.mutate({ kind: "network.put", spec: parseNetwork(name, body) });
      const { resource, created } = written(outcome, "network");
      if (created) reply.code(201).header("location", `/v1/networks/${name}`);
      return view(resource);
    },
  );

  app.delete(
    "/v1/networks/:name",
    {
      schema: {
        tags,
        summary: "Delete a network without interfaces",
        params,
        response: { 204: noContent, ...problems("not-found", "in-use", ...writeProblems) },
      },
    },
    async ({ params: { name } }, reply) => {
      await committer.mutate({ kind: "network.delete", name });
      return reply.code(204).send(null);
    },
  );
}

function view({ subnets, ...network }: Network): Static<typeof NetworkView> {
  return { ...network, subnets: [...subnets] };
}
