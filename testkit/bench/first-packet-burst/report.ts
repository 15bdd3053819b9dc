// The same result for people. Pure.
import { reportMissed } from "../bounds.ts";
import { formatMs, formatRatio, formatShare, table } from "../table.ts";
import type { BurstResult } from "./bench.ts";

export function reportBurst({ modes, missed }: BurstResult): string {
  const rows = modes.map((each) => [
    each.mode,
    `v${each.family}`,
    String(each.guests),
    String(each.rounds),
    formatMs(each.startedWithinMs),
    formatMs(each.medianMs),
    formatMs(each.p99Ms),
    formatMs(each.maxMs),
    formatRatio(each.p99VsMedian),
    formatShare(each.retried, each.trials),
  ]);
  const head = ["mode", "IP", "guests", "rounds", "sent within", "median", "p99", "max", "p99 : median", "retried"];
  return `First packets of many guests at the same moment, every pair cold\n\n${table(head, rows)}${reportMissed(missed)}`;
}
