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

/** Fastify's `setValidatorCompiler`. */
export function compileValidator({ schema, httpPart }: { schema: unknown; httpPart?: string | undefined }) {
  const shape = schema as TSchema;
  const check = Compile(shape);
  const place = places[httpPart ?? ""];
  return (input: unknown) => {
    const value = place ? readValues(shape, input) : input;
    if (check.Check(value)) return { value };
    const faults = explainFaults(check, value);
    return { error: new RequestFormError(faults.map((fault) => (place ? { ...fault, in: place } : fault))) };
  };
}

function readValues(schema: TSchema, input: unknown): unknown {
  if (!Type.IsObject(schema) || typeof input !== "object" || input === null) return input;
  const read = ([name, text]: [string, unknown]) => [name, readValue(schema.properties[name], text)];
  return Object.fromEntries(Object.entries(input).map(read));
}

function readValue(property: TSchema | undefined, text: unknown): unknown {
  if (!property || typeof text !== "string") return text;
  if (Type.IsInteger(property) && /^\d{1,15}$/.test(text)) return Number(text);
  if (Type.IsBoolean(property) && (text === "true" || text === "false")) return text === "true";
  return text;
}
