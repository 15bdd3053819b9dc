// Requests against the TypeBox schemas of their routes. Bodies are taken as they are: nothing is coerced, defaulted or
// dropped. Paths and queries arrive as text, so numbers are read from them.
import type { ProblemFault } from "../../schema/plain/index.ts";
import { explainFaults } from "../../schema/rest/index.ts";
import { Compile, type TSchema, Type } from "../../schema/typebox.ts";

/** All that is wrong with a request by its form. */
export class RequestFormError extends Error {
  override readonly name = "RequestFormError";
  constructor(readonly faults: readonly ProblemFault[]) {
    super(faults.map((fault) => `${fault.pointer || fault.in || "body"} ${fault.detail}`).join("; "));
  }
}

/** What of a request is text, by Fastify's name for it. */
const places: Readonly<Record<string, ProblemFault["in"]>> = {
  params: "path",
  querystring: "query",
  headers: "header",
};

/** Fastify's `setValidatorCompiler`. A validator returns true where Fastify may leave the input as it is. */
export function compileValidator({ schema, httpPart }: { schema: unknown; httpPart?: string | undefined }) {
  const shape = schema as TSchema;
  const check = Compile(shape);
  const place = places[httpPart ?? ""];
  const readers = place ? readersOf(shape) : [];
  return (input: unknown) => {
    const value = readValues(readers, input);
    if (check.Check(value)) return value === input || { value };
    const faults = explainFaults(check, value);
    return { error: new RequestFormError(faults.map((fault) => (place ? { ...fault, in: place } : fault))) };
  };
}

type Reader = readonly [name: string, read: (text: string) => unknown];

/** Of the properties that are no text. */
function readersOf(schema: TSchema): Reader[] {
  if (!Type.IsObject(schema)) return [];
  return Object.entries(schema.properties).flatMap(([name, property]): Reader[] => {
    if (Type.IsInteger(property)) return [[name, (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text)]];
    if (Type.IsBoolean(property))
      return [[name, (text) => (text === "true" || text === "false" ? text === "true" : text)]];
    return [];
  });
}

/** A copy with values in place of text, or the input itself where there are none. */
function readValues(readers: readonly Reader[], input: unknown): unknown {
  if (typeof input !== "object" || input === null) return input;
  let values: Record<string, unknown> | undefined;
  for (const [name, read] of readers) {
    const text = (input as Record<string, unknown>)[name];
    if (typeof text !== "string") continue;
    values ??= { ...input };
    values[name] = read(text);
  }
  return values ?? input;
}
