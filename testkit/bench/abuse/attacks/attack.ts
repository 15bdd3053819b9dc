// An attack as its process sees it, and what all attacks count.
import type { Means, Target } from "../means.ts";

/** Counts of what an attacker sent and of the answers that it got. */
export type Tally = Record<string, number>;

export type Count = (what: string) => void;

export interface Battle {
  readonly target: Target;
  readonly means: Means;
  readonly count: Count;
  /** The attack calls it when it has reached its full size. */
  readonly grown: () => void;
}

/** Begins at once. @returns ends it, and closes all that is open */
export type Attack = (battle: Battle) => () => void;
