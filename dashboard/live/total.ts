// How many a list has altogether: asked for beside its page, and less often.
import { formatCount, plural } from "../format.ts";
import { type ResourceOptions, useResource } from "./resource.ts";

/** Counting may mean to look at all that match. */
export const totalEveryMs = 10_000;

/** @returns undefined until it is known; "many": more than the controller counts */
export function useTotal(path: string | undefined, options: ResourceOptions): number | "many" | undefined {
  const [counted] = useResource<{ readonly total?: number }>(path, options);
  if (counted.kind !== "ready" || counted.path !== path) return undefined;
  return counted.value.total ?? "many";
}

export function describeTotal(total: number | "many", noun: string, isFiltered: boolean): string {
  const count = total === "many" ? `More than ${formatCount(100_000)} ${noun}s` : plural(total, noun);
  if (!isFiltered) return count;
  return `${count} ${total === 1 ? "matches" : "match"}`;
}
