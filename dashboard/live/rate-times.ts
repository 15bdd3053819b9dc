// When the steps of rates were, and how far they go back. Pure.
import type { RatesView } from "../../schema/rest/index.ts";
import { formatTime } from "../format.ts";

type Steps = Pick<RatesView, "until" | "stepMs" | "known">;

/** The end of each step, seconds since 1970. */
export function timesOf({ until, stepMs, known }: Steps): number[] {
  const end = Date.parse(until);
  return known.map((_, i) => (end - (known.length - 1 - i) * stepMs) / 1_000);
}

/** "15 minutes", "2 hours". */
export function spanOf({ stepMs, known }: Steps): string {
  const minutes = Math.round((stepMs * known.length) / 60_000);
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

/** When counting started; undefined: before all steps. */
export function countedSince({ until, stepMs, known }: Steps): Date | undefined {
  const first = known.findIndex((value) => value !== null);
  const counted = first === -1 ? 0 : known.length - first;
  return counted === known.length ? undefined : new Date(Date.parse(until) - counted * stepMs);
}

/** What is said where there is nothing to draw. The step that is not over is not known here. */
export function emptyText(rates: Steps): string {
  const since = countedSince(rates);
  if (!since) return `Nothing was asked in ${spanOf(rates)}`;
  const { until, stepMs } = rates;
  if (since.getTime() < Date.parse(until)) {
    return `Nothing was asked from ${formatTime(since.toISOString())} to ${formatTime(until)}`;
  }
  return `The first figures come after ${stepMs < 60_000 ? `${stepMs / 1_000} seconds` : `${stepMs / 60_000} minutes`}`;
}
