// Label selectors, written as in Kubernetes: `tier=web,env!=test,team,!retired`. All terms must hold.
import { findLabelKeyFault, findLabelValueFault } from "./names.ts";

export type Selector = readonly Term[];

interface Term {
  readonly key: string;
  /** `present` and `absent` check the key alone. A resource without the key matches `differs`. */
  readonly kind: "present" | "absent" | "equals" | "differs";
  readonly value: string;
}

/** The fault of a selector, in words for its author. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

export const maxSelectorLength = 4_096;

const forms = "key=value, key!=value, key or !key";

/** @throws SelectorError */
export function parseSelector(text: string): Selector {
  return text.split(",").map(parseTerm);
}

function parseTerm(text: string): Term {
  const term = text.trim();
  if (term === "") throw new SelectorError(`a term is empty: write ${forms} between commas`);
  const [, not = "", key = "", operator, value = ""] = /^(!?)([^!=]*)(?:(!=|==?)(.*))?$/.exec(term) ?? [];
  const trimmed = { key: key.trim(), value: value.trim() };
  if (trimmed.key === "") throw new SelectorError(`"${term}" has no key: write ${forms}`);
  const fault = findLabelKeyFault(trimmed.key) ?? findLabelValueFault(trimmed.value);
  if (fault) throw new SelectorError(`in "${term}": ${fault}`);
  if (not && operator) throw new SelectorError(`"${term}": write key!=value`);
  if (!operator) return { ...trimmed, kind: not ? "absent" : "present" };
  return { ...trimmed, kind: operator === "!=" ? "differs" : "equals" };
}

export function fitsSelector(labels: Readonly<Record<string, string>>, selector: Selector): boolean {
  return selector.every(({ key, kind, value }) => {
    const present = Object.hasOwn(labels, key);
    if (kind === "present") return present;
    if (kind === "absent") return !present;
    return (present && labels[key] === value) === (kind === "equals");
  });
}
