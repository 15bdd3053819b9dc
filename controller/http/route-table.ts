// Files with several routes list them in a table: one row each, with method, path, access, schema and handler.
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type {
  FastifyBaseLogger,
  FastifySchema,
  HTTPMethods,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
  RouteGenericInterface,
  RouteHandlerMethod,
} from "fastify";
import type { Access } from "../auth/authorize.ts";
import type { Cost } from "../auth/costly-requests.ts";
import type { App } from "./app-types.ts";

/** A handler whose request and answer have the types of the route's schema. */
export type Handler<Schema extends FastifySchema> = RouteHandlerMethod<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  RouteGenericInterface,
  unknown,
  Schema,
  TypeBoxTypeProvider,
  FastifyBaseLogger
>;

export interface Route<Schema extends FastifySchema> {
  readonly method: HTTPMethods;
  readonly url: string;
  readonly access: Access;
  readonly cost?: Cost;
  readonly schema: Schema;
  readonly handler: Handler<Schema>;
}

export function addRoutes<const Schemas extends readonly FastifySchema[]>(
  app: App,
  table: { readonly [Row in keyof Schemas]: Route<Schemas[Row]> },
): void {
  for (const { access, cost, ...route } of table)
    app.route({ ...route, config: { access, ...(cost ? { cost } : {}) } });
}
