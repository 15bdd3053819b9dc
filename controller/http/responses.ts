// What OpenAPI says of answers: shapes by status, and for each route the problems that it can answer with.
import { type TSchema, Type } from "typebox";
import { type ProblemType, problemTypes, problemUri } from "../../schema/index.ts";

const Fault = Type.Object(
  {
    pointer: Type.String({ description: "JSON Pointer (RFC 6901) to what is wrong" }),
    detail: Type.String(),
    in: Type.Optional(Type.Union([Type.Literal("path"), Type.Literal("query")], { description: "Absent: the body" })),
    line: Type.Optional(Type.Integer({ description: "Of an import: the line that the pointer is into, from 1" })),
    type: Type.Optional(Type.String({ description: "Of an import: the kind of problem, where it is not the form" })),
  },
  { title: "ProblemFault" },
);

export const Problem = Type.Object(
  {
    type: Type.Enum((Object.keys(problemTypes) as ProblemType[]).map(problemUri), {
      description: "What kind of problem it is: stable, for programs",
    }),
    title: Type.String({ description: "The kind in words: the same for every problem of its type" }),
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

/** What a route's answer is, in words. */
export function described<T extends TSchema>(description: string, schema: T): T {
  return { description, content: { "application/json": { schema } } } as unknown as T;
}

export const noContent = Type.Null({ description: "Deleted" });
export const switching = Type.Null({ description: "Switching to WebSocket" });

/** `{ "<plural>": [ … ] }`: a list is an object, so that it can grow fields. */
export const listOf = <K extends string, T extends TSchema>(plural: K, item: T) =>
  Type.Object({ [plural]: Type.Array(item) } as Record<K, Type.TArray<T>>);
