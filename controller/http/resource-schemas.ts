// The schemas of the routes that every kind of resource has: they check requests, and OpenAPI is made from them.
import type { ResourceKind } from "../../schema/events/index.ts";
import { Name } from "../../schema/rest/index.ts";
import { Type } from "../../schema/typebox.ts";
import { changeHeaders, dryRunQuery, postHeaders, putHeaders, readHeaders } from "./conditions.ts";
import { listQueries } from "./lists.ts";
import type { ResourceType } from "./resource-type.ts";
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

const params = Type.Object({ name: Name });
const closed = { additionalProperties: false };

export type ResourceSchemas = ReturnType<typeof resourceSchemas>;

export function resourceSchemas<K extends ResourceKind, Input, Patch>(type: ResourceType<K, Input, Patch>) {
  const { kind, plural, noun, shapes, writeOptions } = type;
  const tags = [plural];
  const writeQuery = Type.Object({ ...dryRunQuery, ...writeOptions?.query }, closed);
  const refusals = [...type.problems, ...writeProblems] as const;

  return {
    list: {
      tags,
      operationId: `list${title(plural)}`,
      summary: `${title(noun)}s in order of their names, in pages`,
      querystring: listQueries[kind],
      response: { 200: listAnswer(plural, shapes.view), ...problems("not-found", "unavailable") },
    },
    get: {
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
    create: {
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
    put: {
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
    patch: {
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
    delete: {
      tags,
      operationId: `delete${title(kind)}`,
      summary: `Delete a ${noun}`,
      params,
      querystring: Type.Object({ ...dryRunQuery, ...shapes.deleteQuery }, closed),
      headers: changeHeaders,
      response: {
        204: deletedAnswer,
        ...problems("not-found", "precondition-failed", "in-use", ...writeProblems),
      },
    },
  };
}

function title(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}
