// Requests against the TypeBox schemas of their routes. Bodies are taken as they are: nothing is coerced, defaulted or
// dropped. Paths and queries arrive as text, so numbers are read from them.
import { type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { ProblemFault } from "../../schema/index.ts";

/** All that is wrong with a request by its form. */
export class RequestFormError extends Error {
  override readonly name = "RequestFormError";
  constructor(readonly faults: readonly ProblemFault[]) {
    super(faults.map((fault) => `${fault.pointer || fault.in || "body"} ${fault.detail}`).join("; "));
  }
}

type SchemaError = ReturnType<ReturnType<typeof Compile>["Errors"]>[number];

/** Enough to mend a body by; a bound for what one request can make us say. */
const maxFaults = 32;

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

/** What is wrong with a value that `check` has refused. */
export function explainFaults(check: Pick<ReturnType<typeof Compile>, "Errors">, value: unknown): ProblemFault[] {
  return withoutOtherBranches(check.Errors(value)).flatMap(explain).slice(0, maxFaults);
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

/**
 * Where a value may have one of several forms, only what is wrong with the form that it has: an object is not told that
 * it is no array.
 */
function withoutOtherBranches(errors: readonly SchemaError[]): SchemaError[] {
  const choices = errors.filter(({ keyword }) => keyword === "anyOf");
  const otherBranches = choices.flatMap(({ schemaPath, instancePath }) =>
    errors.flatMap((error) => {
      const isForm = error.keyword === "type" && error.instancePath === instancePath;
      const [, branch] =
        isForm && error.schemaPath.startsWith(`${schemaPath}/anyOf/`)
          ? (/^(\d+)/.exec(error.schemaPath.slice(`${schemaPath}/anyOf/`.length)) ?? [])
          : [];
      return branch === undefined ? [] : [`${schemaPath}/anyOf/${branch}`];
    }),
  );
  const left = errors.filter(
    ({ keyword, schemaPath }) => keyword !== "anyOf" && !otherBranches.some((branch) => schemaPath.startsWith(branch)),
  );
  return left.length > 0 ? left : [...errors];
}

function explain(error: SchemaError): ProblemFault[] {
  const { instancePath: pointer } = error;
  switch (error.keyword) {
    case "boolean": // `additionalProperties: false`, said of the field itself
      return [{ pointer, detail: "is not a known field" }];
    case "additionalProperties":
      return [];
    case "required":
      return error.params.requiredProperties.map((name) => ({ pointer: `${pointer}/${name}`, detail: "is required" }));
    case "const":
      return [{ pointer, detail: `must be ${JSON.stringify(error.params.allowedValue)}` }];
    default:
      return [{ pointer, detail: error.message }];
  }
}
