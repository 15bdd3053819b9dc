import { TokenInput, TokenView } from "../../schema/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { TokenRegistry } from "../auth/token-registry.ts";
import type { App } from "./app-types.ts";
import { actorOf } from "./caller.ts";
import { bodyProblems, described, forced, noContent, problems, writeProblems } from "./responses.ts";

const tags = ["access"];

export function tokenRoutes(app: App, { tokens }: { tokens: TokenRegistry }): void {
  app.get(
    "/v1/tokens",
    {
      config: { access: "admin" },
      schema: {
        tags,
        operationId: "listTokens",
        summary: "All tokens, without their secrets",
        response: { 200: described("All, by age", Type.Object({ tokens: Type.Array(TokenView) })), ...problems() },
      },
    },
    () => ({ tokens: tokens.list() }),
  );

  app.post(
    "/v1/tokens",
    {
      config: { access: "admin" },
      schema: {
        tags,
        operationId: "createToken",
        summary: "Create a token",
        description: "The answer contains the secret. It is shown only once; the controller stores its hash.",
        body: TokenInput,
        response: { 201: described("Created", TokenView), ...problems(...bodyProblems, ...writeProblems) },
      },
    },
    async (request, reply) => {
      const token = await tokens.create(request.body, actorOf(request));
      reply.code(201).header("location", `/v1/tokens/${token.id}`).header("cache-control", "no-store");
      return token;
    },
  );

  app.delete(
    "/v1/tokens/:id",
    {
      config: { access: "admin" },
      schema: {
        tags,
        operationId: "revokeToken",
        summary: "Revoke a token: requests with it are refused at once, and its open connections are closed",
        params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
        querystring: forced("Also the last admin token"),
        response: { 204: noContent, ...problems("not-found", "in-use", ...writeProblems) },
      },
    },
    async (request, reply) => {
      await tokens.revoke(request.params.id, actorOf(request), request.query.force === "true");
      return reply.code(204).send(null);
    },
  );
}
