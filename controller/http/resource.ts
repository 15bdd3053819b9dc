// The routes that every kind of resource has: list, read, create, put, patch, delete. What differs between kinds is in
// `networks.ts`, `hosts.ts`, `vms.ts`.
import type { FastifyReply, FastifyRequest } from "fastify";
import { inSlices } from "../../common/cooperative.ts";
import { Name, type ProblemType, type ResourceKind, type ResourceOf } from "../../schema/index.ts";
import { type TProperties, type TSchema, Type } from "../../schema/typebox.ts";
import type { Access } from "../auth/authorize.ts";
import type { InventoryView } from "../auth/view.ts";
import type { Mutation } from "../inventory/decide.ts";
import { type Listing, pageOf } from "../inventory/page.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Candidate } from "../inventory/search.ts";
import type { Committer } from "../write/committer.ts";
import { written } from "../write/orders.ts";
import type { App } from "./app-types.ts";
import { callerView } from "./caller.ts";
import {
  changeHeaders,
  dryRunQuery,
  etagOf,
  isKnown,
  noteOutcome,
  postHeaders,
  putHeaders,
  readHeaders,
} from "./conditions.ts";
import { answerPage, type ListQuery, listQueries, pageRequestOf, readListQuery, type WrittenQuery } from "./lists.ts";
import {
  bodyProblems,
  deletedAnswer,
  described,
  entityHeaders,
  listAnswer,
  notModified,
  problems,
  writeHeaders,
  writeProblems,
} from "./responses.ts";
import { submit } from "./submit.ts";

export interface ResourceRoutes<K extends ResourceKind, Input, Patch> {
  readonly kind: K;
  /** In paths and lists. */
  readonly plural: string;
  /** In sentences. */
  readonly noun: string;
  readonly access: { readonly read: Access; readonly write: Access };
  readonly shapes: {
    readonly input: TSchema;
    readonly putInput: TSchema;
    readonly patch: TSchema;
    readonly view: TSchema;
  };
  /** Problems of creating or changing one, in addition to those of every write. */
  readonly problems: readonly ProblemType[];
  readonly create: (name: string, input: Input) => Mutation;
  readonly put: (name: string, input: Input) => Mutation;
  readonly patch: (name: string, patch: Patch) => Mutation;
  readonly remove: (name: string, query: object) => Mutation;
  /** Options of a deletion in addition to a dry run. */
  readonly removeQuery?: TProperties;
  readonly find: (seen: InventoryView, name: string) => ResourceOf[K] | undefined;
  /** In order, from a name on: all that fit, and maybe others. */
  readonly list: (seen: InventoryView, query: ListQuery, name: string) => Iterable<Candidate<ResourceOf[K]>>;
  readonly fits: (seen: InventoryView, resource: ResourceOf[K], query: ListQuery) => boolean;
  readonly view: (resource: ResourceOf[K], seen: InventoryView) => object;
  /** Further options of a write, which add to its answer. */
  readonly more?: {
    readonly query: TProperties;
    readonly answer: (request: FastifyRequest, resource: ResourceOf[K]) => Promise<object>;
  };
}

const params = Type.Object({ name: Name });
const closed = { additionalProperties: false };

export function resourceRoutes<K extends ResourceKind, Input, Patch>(
  app: App,
  committer: Committer,
  routes: ResourceRoutes<K, Input, Patch>,
): void {
  const { kind, plural, noun, access, shapes, more } = routes;
  const tags = [plural];
  const path = `/v1/${plural}`;
  const one = `${path}/:name`;
  const writeQuery = Type.Object({ ...dryRunQuery, ...more?.query }, closed);
  const refusals = [...routes.problems, ...writeProblems] as const;
  const seenBy = (request: FastifyRequest) => callerView(request, committer.current);

  const write = async (request: FastifyRequest, reply: FastifyReply, mutation: Mutation): Promise<object> => {
    const outcome = await submit(committer, request, mutation);
    const { resource, created } = written(outcome, kind);
    noteOutcome(reply, outcome);
    if (!outcome.dryRun) reply.header("etag", etagOf(resource.revision));
    if (created) reply.code(201).header("location", `${path}/${resource.name}`);
    return {
      ...(outcome.dryRun ? { dryRun: true } : await more?.answer(request, resource)),
      ...routes.view(resource, seenBy(request)),
    };
  };

  app.get(
    path,
    {
      config: { access: access.read, cost: "look" },
      schema: {
        tags,
        operationId: `list${title(plural)}`,
        summary: `${title(noun)}s in order of their names, in pages`,
        querystring: listQueries[kind],
        response: { 200: listAnswer(plural, shapes.view), ...problems() },
      },
    },
    async (request, reply) => {
      const query = readListQuery(request.query as WrittenQuery);
      let seen = seenBy(request);
      const listing: Listing<ResourceOf[K]> = {
        from: (name) => {
          seen = seenBy(request);
          return routes.list(seen, query, name);
        },
        fits: (resource) => routes.fits(seen, resource, query),
      };
      // A search without an index goes through all resources in slices, so that other requests are answered in between.
      const page = await inSlices(pageOf(listing, pageRequestOf(query)));
      return answerPage(request, reply, plural, page, (resource) => routes.view(resource, seen));
    },
  );

  app.get(
    one,
    {
      config: { access: access.read },
      schema: {
        tags,
        operationId: `get${title(kind)}`,
        summary: `One ${noun}`,
        params,
        headers: readHeaders,
        response: {
          200: described(`The ${noun} as it stands`, shapes.view, entityHeaders),
          304: notModified,
          ...problems("not-found"),
        },
      },
    },
    (request, reply) => {
      const { name } = request.params;
      const seen = seenBy(request);
      const resource = routes.find(seen, name);
      if (!resource) throw new Refusal("not-found", `no ${noun} is named "${name}"`);
      reply.header("etag", etagOf(resource.revision));
      if (isKnown(request, resource.revision)) return reply.code(304).send();
      return routes.view(resource, seen);
    },
  );

  app.post(
    path,
    {
      config: { access: access.write },
      schema: {
        tags,
        operationId: `create${title(kind)}`,
        summary: `Create a ${noun}`,
        querystring: writeQuery,
        headers: postHeaders,
        body: shapes.input,
        response: {
          201: described("Created", shapes.view, writeHeaders),
          ...problems("name-taken", "idempotency-key-reused", ...bodyProblems, ...refusals),
        },
      },
    },
    async (request, reply) => {
      const body = request.body as Input & { readonly name: string };
      return write(request, reply, routes.create(body.name, body));
    },
  );

  app.put(
    one,
    {
      config: { access: access.write },
      schema: {
        tags,
        operationId: `put${title(kind)}`,
        summary: `Create or replace a ${noun}`,
        params,
        querystring: writeQuery,
        headers: putHeaders,
        body: shapes.putInput,
        response: {
          200: described(`The ${noun} as it stands`, shapes.view, writeHeaders),
          201: described("Created", shapes.view, writeHeaders),
          ...problems("name-taken", "precondition-failed", ...bodyProblems, ...refusals),
        },
      },
    },
    async (request, reply) => write(request, reply, routes.put(request.params.name, request.body as Input)),
  );

  app.patch(
    one,
    {
      config: { access: access.write },
      schema: {
        tags,
        operationId: `patch${title(kind)}`,
        summary: `Change a ${noun} (JSON Merge Patch, RFC 7396)`,
        consumes: ["application/merge-patch+json", "application/json"],
        params,
        querystring: writeQuery,
        headers: changeHeaders,
        body: shapes.patch,
        response: {
          200: described(`The ${noun} as it stands`, shapes.view, writeHeaders),
          ...problems("not-found", "precondition-failed", ...bodyProblems, ...refusals),
        },
      },
    },
    async (request, reply) => write(request, reply, routes.patch(request.params.name, request.body as Patch)),
  );

  app.delete(
    one,
    {
      config: { access: access.write },
      schema: {
        tags,
        operationId: `delete${title(kind)}`,
        summary: `Delete a ${noun}`,
        params,
        querystring: Type.Object({ ...dryRunQuery, ...routes.removeQuery }, closed),
        headers: changeHeaders,
        response: {
          204: deletedAnswer,
          ...problems("not-found", "precondition-failed", "in-use", ...writeProblems),
        },
      },
    },
    async (request, reply) => {
      noteOutcome(reply, await submit(committer, request, routes.remove(request.params.name, request.query)));
      return reply.code(204).send(null);
    },
  );
}

function title(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}
