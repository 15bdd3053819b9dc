// How tables and details show conditions.
import type { ConditionView } from "../../schema/rest/index.ts";
import { formatAge } from "../durations.ts";
import type { Cell } from "../output.ts";

type Conditions = readonly ConditionView[] | undefined;

/** In a cell, at most. */
const maxKinds = 2;

/** @param conditions absent: none, or of an earlier controller. @param problems of an earlier controller */
export function conditionsCell(conditions: Conditions, problems: readonly string[] = []): Cell {
  if (!conditions) return problems.length === 0 ? "none" : { text: String(problems.length), colour: "red" };
  const kinds = [...new Set(conditions.map(({ kind }) => kind))];
  const more = kinds.length > maxKinds ? `, +${kinds.length - maxKinds}` : "";
  const colour = conditions.some(({ severity }) => severity === "bad") ? "red" : "yellow";
  return { text: `${kinds.slice(0, maxKinds).join(", ")}${more}`, colour };
}

export function conditionFields(conditions: Conditions): (readonly [string, Cell])[] {
  return (conditions ?? []).map((each) => ["condition", { text: sentenceOf(each), colour: "red" }] as const);
}

/** With the names of what it is about. */
export function sentenceOf(condition: ConditionView): string {
  const { network, vm, reason, fix, since, status } = condition;
  const about = [...(network === undefined ? [] : [`network ${network}`]), ...(vm === undefined ? [] : [`VM ${vm}`])];
  const ago = formatAge(Math.max(0, Date.now() - Date.parse(since)));
  const state = status === "unknown" ? "not known since the host is disconnected, before for" : "for";
  const said = fix === undefined ? reason : `${reason}; ${fix}`;
  return `${about.length === 0 ? "" : `${about.join(", ")}: `}${said} (${state} ${ago})`;
}
