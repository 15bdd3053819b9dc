// Label selectors, written as in Kubernetes: `tier=web,env!=test,team,!retired`. All terms must hold.
import { findLabelKeyFault, findLabelValueFault } from "../../schema/index.ts";

export type Selector = readonly Term[];

interface Term {
  readonly key: string;
  /** `present` and `absent` ask for the key alone. A resource without the key fits `differs`. */
  readonly kind: "present" | "absent" | "equals" | "differs";
  readonly value: string;
}

/** What is wrong with a selector, in words for the person who wrote it. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

/** @throws SelectorError */
export function parseSelector(text: string): Selector {
  return text.split(",").map(parseTerm);
}

function parseTerm(text: string): Term {
  const [, not = "", key = "", operator, value = ""] = /^(!?)([^!=]*)(?:(!=|==?)(.*))?$/.exec(text.trim()) ?? [];
  const trimmed = { key: key.trim(), value: value.trim() };
  const fault = findLabelKeyFault(trimmed.key) ?? findLabelValueFault(trimmed.value);
  if (fault) throw new SelectorError(`in "${text}": ${fault}`);
  if (not && operator) throw new SelectorError(`"${text}": write key!=value`);
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
