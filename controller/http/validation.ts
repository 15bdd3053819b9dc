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

/** Fastify's `setValidatorCompiler`. */
export function compileValidator({ schema, httpPart }: { schema: unknown; httpPart?: string | undefined }) {
  const shape = schema as TSchema;
  const check = Compile(shape);
  const place = httpPart === "params" ? "path" : httpPart === "querystring" ? "query" : undefined;
  return (input: unknown) => {
    const value = place ? readNumbers(shape, input) : input;
    if (check.Check(value)) return { value };
    const faults = explainFaults(check, value);
    return { error: new RequestFormError(faults.map((fault) => (place ? { ...fault, in: place } : fault))) };
  };
}

/** What is wrong with a value that `check` has refused. */
export function explainFaults(check: Pick<ReturnType<typeof Compile>, "Errors">, value: unknown): ProblemFault[] {
  return check.Errors(value).flatMap(explain).slice(0, maxFaults);
}

function readNumbers(schema: TSchema, input: unknown): unknown {
  if (!Type.IsObject(schema) || typeof input !== "object" || input === null) return input;
  const read = ([name, text]: [string, unknown]) => {
    const property = schema.properties[name];
    const numeric = property && Type.IsInteger(property) && typeof text === "string" && /^\d{1,15}$/.test(text);
    return [name, numeric ? Number(text) : text];
  };
  return Object.fromEntries(Object.entries(input).map(read));
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
