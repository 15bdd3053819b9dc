// An attack as its process sees it, and what all attacks count.
import type { Means, Target } from "../means.ts";

/** What attackers did and how they were answered, by name. */
export type Tally = Record<string, number>;

export type Count = (what: string) => void;

export interface Battle {
  readonly target: Target;
  readonly means: Means;
  readonly count: Count;
  /** To be called when the attack has come to its full size. */
  readonly grown: () => void;
}

/** Begins at once. @returns ends it, and closes all that is open */
export type Attack = (battle: Battle) => () => void;
