// An attack as seen by its process, and the common counters.
import type { Means, Target } from "../means.ts";

/** Counts of the attacker's requests and of the answers that it got. */
export type Tally = Record<string, number>;

export type Count = (what: string) => void;

export interface Battle {
  readonly target: Target;
  readonly means: Means;
  readonly count: Count;
  /** The attack calls it when it has reached its full size. */
  readonly grown: () => void;
}

/** Starts at once. @returns a callback that ends it and closes everything */
export type Attack = (battle: Battle) => () => void;
