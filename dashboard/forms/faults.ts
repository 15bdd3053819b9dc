// Finds the field of a refusal, so that the API's message is shown there. Pure.
import type { ProblemDetails } from "../../schema/plain/index.ts";

export interface Faults {
  /** By the pointer of the field. */
  readonly byField: Readonly<Record<string, readonly string[]>>;
  /** Faults without a field. */
  readonly general: readonly string[];
}

export const noFaults: Faults = { byField: {}, general: [] };

/** @param values of the fields by their JSON Pointer into the body, as text */
export function assignFaults(problem: ProblemDetails, values: Readonly<Record<string, string>>): Faults {
  const byField: Record<string, string[]> = {};
  const general: string[] = [];
  const put = (field: string | undefined, text: string) => {
    if (field === undefined) general.push(text);
    else byField[field] = [...(byField[field] ?? []), text];
  };
  for (const { pointer, detail } of problem.errors ?? []) put(fieldAt(pointer, Object.keys(values)), detail);
  if (problem.errors === undefined || problem.errors.length === 0) put(fieldNamed(problem, values), problem.detail);
  return { byField, general };
}

/** The field that the pointer leads to or into. */
function fieldAt(pointer: string, fields: readonly string[]): string | undefined {
  const fitting = fields.filter((field) => pointer === field || pointer.startsWith(`${field}/`));
  return fitting.sort((a, b) => b.length - a.length)[0];
}

/** Refusals because of other resources name the conflicting value: the field with that value is meant. */
function fieldNamed({ type, detail }: ProblemDetails, values: Readonly<Record<string, string>>): string | undefined {
  if (type.endsWith(":name-taken") && "/name" in values) return "/name";
  const named = Object.entries(values)
    .filter(([field]) => field !== "/name" && !field.endsWith("/name"))
    .flatMap(([field, value]) => value.split(/[\s,]+/).map((word) => ({ field, word, at: lastWord(detail, word) })))
    .filter(({ at }) => at >= 0)
    // An address says more than the name of the network that it is in.
    .sort((a, b) => b.word.length - a.word.length || b.at - a.at);
  return named[0]?.field;
}

/** The last position of `word` as a whole word in `text`; -1 if there is none. */
function lastWord(text: string, word: string): number {
  if (word === "") return -1;
  for (let at = text.lastIndexOf(word); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(word, at - 1)) {
    const around = `${text[at - 1] ?? " "}${text[at + word.length] ?? " "}`;
    if (!/[\w/-]/.test(around)) return at;
  }
  return -1;
}
