// Compares what was measured of an attack with the ceilings. Pure.
import { toThousandths } from "../../../common/round.ts";
import type { Distribution } from "../../statistics.ts";
import type { ControllerAttack } from "./names.ts";

/** Honest operations on a controller. */
export const operations = ["reads", "writes", "connects", "imports", "questions"] as const;
export type Operation = (typeof operations)[number];

export type Distributions = Readonly<Partial<Record<Operation, Distribution>>>;

export interface Ceilings {
  /** p99 of honest operations, attacked : control. */
  readonly ratio: number;
  /** Added to `ratio` times control, ms: the variation of a few samples on a busy machine. */
  readonly slackMs: number;
  /** Highest resident memory above that of peace, MiB. */
  readonly memoryMib: number;
  /** From the end of the attack until all is as in peace, ms. */
  readonly backMs: number;
  /** Median of others' first packets, during and after : without an attack. */
  readonly firstPackets: number;
}

export interface GuestFigures {
  readonly peace: Distribution;
  readonly during: Distribution;
  readonly after: Distribution;
  readonly rssPeaceMib: number;
  readonly rssPeakMib: number;
  readonly copies: number;
  readonly maxCopies: number;
}

/** First packets that may be lost: a guest that has to ask again waits for a second. */
const maxLostShare = 0.05;

export interface ControllerFigures {
  readonly control: Distributions;
  readonly attacked: Distributions;
  /** Of honest operations under attack, by kind and cause: how many. */
  readonly failures: Readonly<Record<string, number>>;
  readonly rssPeaceMib: number;
  readonly rssPeakMib: number;
  /** null: not within the time that was waited. */
  readonly backMs: number | null;
  /** The controller ended under attack. */
  readonly ended: boolean;
}

/** p99, attacked : control; null where one of them has no sample. */
export function ratioOf({ control, attacked }: ControllerFigures, operation: Operation): number | null {
  const [under, above] = [control[operation]?.p99Ms, attacked[operation]?.p99Ms];
  return under === undefined || above === undefined ? null : toThousandths(above / under);
}

/**
 * The controller carries out one import at a time, so one waits for another: it must be complete in time. How long it
 * took counts only if the attack is not itself an import that is carried out.
 */
function isTimed(operation: Operation, attack: ControllerAttack): boolean {
  return operation !== "imports" || attack === "slow-import";
}

/** @returns the exceeded ceilings; empty: passed */
export function judgeController(attack: ControllerAttack, figures: ControllerFigures, ceilings: Ceilings): string[] {
  if (figures.ended) return ["the controller ended"];
  const { control, attacked, failures, rssPeaceMib, rssPeakMib, backMs } = figures;
  const faults: string[] = [];
  for (const operation of operations) {
    const [under, above] = [control[operation]?.p99Ms, attacked[operation]?.p99Ms];
    if (under === undefined || above === undefined) faults.push(`${operation}: none succeeded`);
    else if (isTimed(operation, attack) && above > ceilings.ratio * under + ceilings.slackMs)
      faults.push(`${operation}: ${toThousandths(above / under)} ×`);
  }
  for (const [what, count] of Object.entries(failures)) faults.push(`${count} failed (${what})`);
  const grownMib = rssPeakMib - rssPeaceMib;
  if (grownMib > ceilings.memoryMib) faults.push(`memory: + ${grownMib} MiB`);
  if (backMs === null) faults.push("not back to peace");
  else if (backMs > ceilings.backMs) faults.push(`back to peace after ${backMs} ms`);
  return faults;
}

/** @returns the exceeded ceilings; empty: passed */
export function judgeGuest(figures: GuestFigures, ceilings: Ceilings): string[] {
  const { peace, rssPeaceMib, rssPeakMib, copies, maxCopies } = figures;
  const faults: string[] = [];
  if (!(copies <= maxCopies)) faults.push(`${copies} copies to other hosts, of at most ${maxCopies}`);
  for (const phase of ["during", "after"] as const) {
    const { medianMs, retried, trials } = figures[phase];
    if (!(medianMs <= ceilings.firstPackets * peace.medianMs + ceilings.slackMs)) {
      faults.push(`${phase}: ${toThousandths(medianMs / peace.medianMs)} ×`);
    }
    if (retried > maxLostShare * trials) faults.push(`${phase}: ${retried} of ${trials} lost`);
  }
  const grownMib = rssPeakMib - rssPeaceMib;
  if (grownMib > ceilings.memoryMib) faults.push(`memory: + ${grownMib} MiB`);
  return faults;
}
