import { TokenInput, TokenView } from "../../schema/index.ts";
import { Type } from "../../schema/typebox.ts";
import type { TokenRegistry } from "../auth/token-registry.ts";
import type { App } from "./app-types.ts";
import { actorOf } from "./caller.ts";
import { bodyProblems, described, forced, noContent, problems, writeProblems } from "./responses.ts";
import { addRoutes, type Handler } from "./route-table.ts";

const tags = ["access"];
const all = "/v1/tokens";

export function tokenRoutes(app: App, { tokens }: { tokens: TokenRegistry }): void {
  const list: Handler<typeof listSchema> = () => ({ tokens: tokens.list() });

  const create: Handler<typeof createSchema> = async (request, reply) => {
    const token = await tokens.create(request.body, actorOf(request));
    reply.code(201).header("location", `${all}/${token.id}`).header("cache-control", "no-store");
    return token;
  };

  const revoke: Handler<typeof revokeSchema> = async (request, reply) => {
    await tokens.revoke(request.params.id, actorOf(request), request.query.force === "true");
    return reply.code(204).send(null);
  };

  addRoutes(app, [
    { method: "GET", url: all, access: "admin", schema: listSchema, handler: list },
    { method: "POST", url: all, access: "admin", schema: createSchema, handler: create },
    { method: "DELETE", url: `${all}/:id`, access: "admin", schema: revokeSchema, handler: revoke },
  ]);
}

const listSchema = {
  tags,
  operationId: "listTokens",
  summary: "All tokens, without their secrets",
  response: { 200: described("All, by age", Type.Object({ tokens: Type.Array(TokenView) })), ...problems() },
};

const createSchema = {
  tags,
  operationId: "createToken",
  summary: "Create a token",
  description: "The answer contains the secret. It is shown only once; the controller stores its hash.",
  body: TokenInput,
  response: { 201: described("Created", TokenView), ...problems(...bodyProblems, ...writeProblems) },
};

const revokeSchema = {
  tags,
  operationId: "revokeToken",
  summary: "Revoke a token: requests with it are refused at once, and its open connections are closed",
  params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
  querystring: forced("Also the last admin token"),
  response: { 204: noContent, ...problems("not-found", "in-use", ...writeProblems) },
};
