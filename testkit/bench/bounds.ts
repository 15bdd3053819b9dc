// Bounds of a result's ratios: what is asked of a whole run, and in CI something loose that only a mistake exceeds. Pure.
import { formatRatio } from "./table.ts";

/** A ratio that should be at least, or at most, so much. */
export interface Bound {
  /** Names both sides: "a look-up : a GET". */
  readonly what: string;
  /** null where the opponent is absent: then nothing is asked. */
  readonly ratio: number | null;
  readonly least?: number;
  readonly most?: number;
  /** Default: as a ratio. */
  readonly format?: (value: number) => string;
}

/** @returns a sentence for each ratio beyond its bound */
export function missedOf(bounds: readonly Bound[]): string[] {
  return bounds.flatMap((bound) => {
    const { what, ratio, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = bound;
    if (ratio === null || (ratio >= least && ratio <= most)) return [];
    const { format = formatRatio } = bound;
    const asked = ratio < least ? `at least ${format(least)}` : `at most ${format(most)}`;
    return [`${what} is ${format(ratio)}, asked ${asked}`];
  });
}

/** A line for each, for people; none where all are met. */
export function reportMissed(missed: readonly string[]): string {
  return missed.length === 0 ? "" : `\n${missed.map((sentence) => `  missed: ${sentence}\n`).join("")}`;
}
