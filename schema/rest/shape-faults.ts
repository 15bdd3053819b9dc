// Faults in the form of a value, in words for its author.
import { namePattern, type ProblemFault } from "../plain/index.ts";
import type { Compile } from "../typebox.ts";

type SchemaError = ReturnType<ReturnType<typeof Compile>["Errors"]>[number];

/** Enough to correct a body; bounds the size of the answer to one request. */
const maxFaults = 32;

/** The faults of a value that `check` has refused. */
export function explainFaults(check: Pick<ReturnType<typeof Compile>, "Errors">, value: unknown): ProblemFault[] {
  return explainAll(check.Errors(value)).slice(0, maxFaults);
}

/** A branch of an `anyOf` that is skipped for one value. */
interface Dropped {
  readonly schemaPath: string;
  readonly instancePath: string;
}

/**
 * If a value may have one of several forms, only the faults of the form that it has are reported: for an object, not
 * that it is not an array. If it has none of the forms, all are reported.
 */
function explainAll(errors: readonly SchemaError[]): ProblemFault[] {
  const dropped: Dropped[] = [];
  const formless: (ProblemFault & Dropped)[] = [];
  for (const { keyword, schemaPath, instancePath } of errors) {
    if (keyword !== "anyOf") continue;
    const branches = `${schemaPath}/anyOf/`;
    const within = errors.filter((error) => isWithin(error, { schemaPath: branches, instancePath }));
    const forms = within.filter(
      (error) => error.keyword === "type" && /^\d+$/.test(error.schemaPath.slice(branches.length)),
    );
    const count = new Set(within.map((error) => error.schemaPath.slice(branches.length).split("/")[0])).size;
    dropped.push(...forms.map((form) => ({ schemaPath: form.schemaPath, instancePath })));
    if (forms.length < count) continue;
    const detail = `must be ${forms.map(({ message }) => message.replace(/^must be /, "")).join(" or ")}`;
    formless.push({ pointer: instancePath, detail, schemaPath, instancePath });
  }
  const isLookedAt = (error: Dropped) => !dropped.some((branch) => isWithin(error, branch));
  return [
    ...errors.filter((error) => error.keyword !== "anyOf" && isLookedAt(error)).flatMap(explain),
    ...formless.filter(isLookedAt).map(({ pointer, detail }) => ({ pointer, detail })),
  ];
}

function isWithin(error: Dropped, { schemaPath, instancePath }: Dropped): boolean {
  return error.schemaPath.startsWith(schemaPath) && error.instancePath.startsWith(instancePath);
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
    case "enum":
      return [
        {
          pointer,
          detail: `must be one of ${error.params.allowedValues.map((each) => JSON.stringify(each)).join(", ")}`,
        },
      ];
    case "pattern":
      if (error.params.pattern !== namePattern) return [{ pointer, detail: error.message }];
      return [{ pointer, detail: 'must be 1 … 63 letters, digits, ".", "_" or "-", and neither . nor ..' }];
    default:
      return [{ pointer, detail: error.message }];
  }
}
