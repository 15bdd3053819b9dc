// Answers in OpenAPI: shapes by status, and for each route the problems that it can return.
import { defined } from "../../common/defined.ts";
import { type ProblemType, problemTypes, problemUri } from "../../schema/plain/index.ts";
import { type TSchema, Type } from "../../schema/typebox.ts";

const Fault = Type.Object(
  {
    pointer: Type.String({ description: "JSON Pointer (RFC 6901) to the fault" }),
    detail: Type.String(),
    in: Type.Optional(Type.Enum(["path", "query", "header"], { description: "Absent: the body" })),
    line: Type.Optional(Type.Integer({ description: "Of an import: the line that the pointer is into, from 1" })),
    type: Type.Optional(Type.String({ description: "Of an import: the problem type, unless the form is wrong" })),
  },
  { title: "ProblemFault" },
);

export const Problem = Type.Object(
  {
    type: Type.Enum((Object.keys(problemTypes) as ProblemType[]).map(problemUri), {
      description: "The problem type: stable, for programs",
    }),
    title: Type.String({ description: "The problem type in words: the same for every problem of this type" }),
    status: Type.Integer({ description: "The HTTP status" }),
    detail: Type.String({ description: "What is wrong with this request, and what to do about it" }),
    instance: Type.Optional(Type.String({ description: "Path of the request" })),
    errors: Type.Optional(Type.Array(Fault, { description: "For invalid-input: each fault" })),
  },
  { title: "Problem", description: "RFC 9457 problem details" },
);

/** Every route can answer with these. */
const everywhere: readonly ProblemType[] = [
  "invalid-input",
  "unauthenticated",
  "host-revoked",
  "forbidden",
  "misdirected-request",
  "too-many-requests",
  "internal",
];
/** Every route with a body. */
export const bodyProblems = ["body-too-large", "unsupported-media-type"] as const satisfies ProblemType[];
/** Every route that changes something. */
export const writeProblems = ["unavailable", "storage-full"] as const satisfies ProblemType[];

/** For a route's `response`, beside its answers. The return type keeps them out of the handlers': problems are thrown. */
export function problems(...types: readonly ProblemType[]): object {
  const all = [...everywhere, ...types];
  const statuses = new Set(all.map((type) => problemTypes[type].status));
  const response = (status: number) => problemResponse(all.filter((type) => problemTypes[type].status === status));
  return Object.fromEntries([...statuses].map((status) => [status, response(status)]));
}

function problemResponse(types: readonly ProblemType[]) {
  return {
    description: types.map((type) => `\`${problemUri(type)}\`: ${problemTypes[type].title}`).join("; "),
    content: { "application/problem+json": { schema: Problem } },
  };
}

/** Description of a route's answer. */
export function described<T extends TSchema>(description: string, schema: T, headers?: object): T {
  const answer = { description, ...defined({ headers }), content: { "application/json": { schema } } };
  return answer as unknown as T;
}

const etag = { etag: Type.String({ description: "The resource's revision, for If-Match" }) };
const dryRun = { "dry-run": Type.Optional(Type.String({ description: "true: nothing was changed" })) };

export const entityHeaders = etag;
export const writeHeaders = {
  etag: Type.Optional(Type.String({ description: "The resource's revision, for If-Match; absent in a dry run" })),
  location: Type.Optional(Type.String({ description: "Path of the created resource" })),
  ...dryRun,
  "idempotency-replayed": Type.Optional(
    Type.String({ description: "true: the same request with the same Idempotency-Key was carried out before" }),
  ),
};
export const notModified = {
  type: "null",
  description: "The resource has not changed: an ETag of If-None-Match is current",
  headers: etag,
};
export const noContent = Type.Null({ description: "Deleted" });
export const deletedAnswer = { ...noContent, headers: dryRun };
/** For a query: `?force=true`. */
export function forced(description: string) {
  const force = Type.Union([Type.Literal("true"), Type.Literal("false")], { description });
  return Type.Object({ force: Type.Optional(force) }, { additionalProperties: false });
}
export const switching = Type.Null({ description: "Switching to WebSocket" });

/** `{ "<plural>": [ … ], "next"?: … }`: a list is an object, so that it can grow fields. */
export function listAnswer(plural: string, item: TSchema): TSchema {
  const next = Type.Optional(Type.String({ description: "`cursor` of the next page; absent: this is the last" }));
  const total = Type.Optional(Type.Integer({ description: "Of all pages: with `?total=true`, and with `?sort`" }));
  const link = Type.Optional(Type.String({ description: 'The next page: `<…>; rel="next"`' }));
  return described("One page", Type.Object({ [plural]: Type.Array(item), next, total }), { link });
}
