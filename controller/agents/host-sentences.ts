// Reads sentences of hosts: a template with typed values becomes a pattern, and what matches is its values. Nothing else of a sentence is
// kept, so operators never read a text, or run a command, that a host has made up.
import {
  type ConditionValueType,
  conditionValues,
  isConditionValue,
  placeholdersOf,
} from "../../schema/agent/index.ts";
import { earlierPhrases, harmfulAdvice, type Phrases } from "./earlier-phrases.ts";

/** In a network that the host has; a sentence about another says nothing. */
export type IsKnownNetwork = (name: string) => boolean;

/** Parts of a sentence that are read and not shown. Once in a sentence at most, or a crafted text would take its square in time. */
const unshown = "[^\\n]{0,500}";

/** One sentence that hosts send, in the wording of one version. */
export interface Reader {
  readonly pattern: RegExp;
  readonly placeholders: readonly { readonly name: string; readonly type: ConditionValueType }[];
}

export type Values = Readonly<Record<string, string>>;

/** Of the current sentence and of those of earlier agents. @param template with `{any}` where a part is not shown */
export function readersFor(template: string): Reader[] {
  const released = withPhrases(template, harmfulAdvice);
  return [...new Set([template, released, withPhrases(released, earlierPhrases)])].map(readerOf);
}

function withPhrases(text: string, phrases: Phrases): string {
  return phrases.reduce((earlier, [now, before]) => earlier.replaceAll(now, before), text);
}

function readerOf(template: string): Reader {
  const placeholders = placeholdersOf(template.replaceAll("{any}", ""));
  let next = 0;
  const parts = template.split(/(\{\w+(?::\w+)?\})/).map((part, i) => {
    if (i % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    if (part === "{any}") return unshown;
    const { type } = placeholders[next++] ?? { type: "number" };
    return `(${conditionValues[type].pattern})`;
  });
  return { pattern: new RegExp(`^${parts.join("")}$`), placeholders };
}

/** @returns the values by name; undefined if it is another sentence, or a value is not valid */
export function read({ pattern, placeholders }: Reader, text: string, isKnown: IsKnownNetwork): Values | undefined {
  const found = pattern.exec(text)?.slice(1);
  if (!found) return undefined;
  const values: Record<string, string> = {};
  for (const [i, { name, type }] of placeholders.entries()) {
    const value = found[i] ?? "";
    if (!isConditionValue(type, value) || (type === "network" && !isKnown(value))) return undefined;
    if ((values[name] ?? value) !== value) return undefined;
    values[name] = value;
  }
  return values;
}

/** The template with its values. */
export function put(template: string, values: Values): string {
  return template.replace(/\{(\w+)(?::\w+)?\}/g, (_all, name: string) => values[name] ?? "");
}
