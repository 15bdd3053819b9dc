// The result of `search` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { SearchResult } from "./bench.ts";

export function reportSearch({ vms, smallVms, rounds, searches, maxLagMs }: SearchResult): string {
  const count = (value: number) => value.toLocaleString("en");
  const rows = searches.map(({ what, small, large, ratio }) => [
    what,
    formatMs(small.medianMs),
    formatMs(large.medianMs),
    formatMs(large.p99Ms),
    formatRatio(ratio),
  ]);
  return [
    `\nOne page of VMs by search, and pages that count them, ${count(rounds)} of each, in fleets of ${count(smallVms)} and ${count(vms)} VMs\n\n`,
    table(["search", `median of ${count(smallVms)}`, `of ${count(vms)}`, "p99", "median, large : small"], rows),
    `\n  event loop of the large one late by ${formatMs(maxLagMs)} at most\n`,
  ].join("");
}
