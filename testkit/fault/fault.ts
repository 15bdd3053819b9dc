// A fault, and its result.
import type { Scene } from "./scene.ts";

/** How large a run is. The short form is part of `npm test`. */
export interface Size {
  readonly pingIntervalMs: number;
  readonly partitionS: number;
  readonly moves: number;
  readonly overrunS: number;
  readonly kills: number;
  readonly races: number;
  readonly histories: number;
}

export const sizes: Readonly<Record<"short" | "long", Size>> = {
  short: { pingIntervalMs: 20, partitionS: 20, moves: 200, overrunS: 5, kills: 4, races: 20, histories: 3 },
  long: { pingIntervalMs: 50, partitionS: 600, moves: 1_000, overrunS: 60, kills: 40, races: 200, histories: 100 },
};

export interface Fault {
  /** A sentence with the fault and the invariant. */
  readonly name: string;
  /** Absent: no packet of a flow that was programmed before may be lost. Else why some may be, and for how long at most. */
  readonly mayLose?: { readonly because: string; readonly forMs: number };
  /** Hosts whose kernels have forgotten all entries: only what guests use has to be there again. */
  readonly restarts?: readonly string[];
  /** The time after the fault has healed by which the tables must be right again, ms. Default 5,000. */
  readonly equalWithinMs?: number;
  /** In its own scene: state that other faults leave in the controller could answer for it. */
  readonly fresh?: true;
  /** It mostly waits, and so may run beside others. */
  readonly waits?: true;
  /**
   * Injects the fault, checks its specific effects, and heals it.
   * @returns remarks for the report
   * @throws if an invariant is violated
   */
  act(scene: Scene, size: Size): Promise<readonly string[]>;
  /** Removes everything that is not part of the scene, after all checks. */
  tidy?(scene: Scene): Promise<void>;
}

export interface FaultResult {
  readonly fault: string;
  readonly sent: number;
  readonly lost: number;
  /** The longest time that a flow was without an answer, ms. */
  readonly longestGapMs: number;
  /** From the healing of the fault until every host's tables equalled the inventory; null: not within the deadline. */
  readonly equalMs: number | null;
  readonly remarks: readonly string[];
  /** Violations; empty: passed. */
  readonly failures: readonly string[];
}
