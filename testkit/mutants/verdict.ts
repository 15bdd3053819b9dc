// What the result of a part must be: enough mutants killed, and a reason for each that survived. Pure.
import type { Mutant } from "./mutant.ts";

/** Survivors that are accepted, for one reason. */
export interface Accepted {
  readonly reason: string;
  /** Their names, see mutant.ts. */
  readonly mutants: readonly string[];
}

export interface PartResult {
  readonly part: string;
  readonly mutants: readonly Mutant[];
}

export interface Verdict {
  readonly part: string;
  readonly mutants: number;
  readonly killed: number;
  /** Survivors without a reason. */
  readonly unlisted: readonly Mutant[];
  /** Listed as survivors, and killed or gone. */
  readonly outdated: readonly string[];
  readonly passed: boolean;
}

/** In each part. */
export const minKilled = 0.85;

/** @param part all of it; of a sample neither the share nor what is missing says anything */
export function judge({ part, mutants }: PartResult, accepted: readonly Accepted[], isWhole: boolean): Verdict {
  const listed = new Set(accepted.flatMap(({ reason, mutants }) => (reason === "" ? [] : mutants)));
  const survivors = mutants.filter(({ killed }) => !killed);
  const surviving = new Set(survivors.map(({ name }) => name));
  const files = new Set(mutants.map(({ file }) => file));
  const unlisted = survivors.filter(({ name }) => !listed.has(name));
  const outdated = isWhole
    ? [...listed].filter((name) => files.has(name.split(" | ")[0] ?? "") && !surviving.has(name))
    : [];
  const killed = mutants.length - survivors.length;
  const isEnough = !isWhole || killed >= minKilled * mutants.length;
  return {
    part,
    mutants: mutants.length,
    killed,
    unlisted,
    outdated,
    passed: isEnough && unlisted.length === 0 && outdated.length === 0,
  };
}

/** The list after a whole run: reasons stay with what still survives; what is new gets none yet. */
export function withSurvivors(accepted: readonly Accepted[], results: readonly PartResult[]): Accepted[] {
  const mutants = results.flatMap((result) => result.mutants);
  const files = new Set(mutants.map(({ file }) => file));
  const surviving = new Set(mutants.filter(({ killed }) => !killed).map(({ name }) => name));
  const isOther = (name: string) => !files.has(name.split(" | ")[0] ?? "");
  const kept = accepted.map(({ reason, mutants }) => ({
    reason,
    mutants: mutants.filter((name) => isOther(name) || surviving.has(name)),
  }));
  for (const { mutants } of kept) for (const name of mutants) surviving.delete(name);
  const named = kept.filter(({ reason, mutants }) => reason !== "" && mutants.length > 0);
  const open = [...(kept.find(({ reason }) => reason === "")?.mutants ?? []), ...surviving];
  return open.length > 0 ? [...named, { reason: "", mutants: open }] : named;
}
