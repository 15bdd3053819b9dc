// The same result for people. Pure.
import { formatMs, formatRatio, formatShare, table } from "../table.ts";
import type { StormResult } from "./bench.ts";

export function reportStorm({ modes }: StormResult): string {
  const rows = modes.map(({ mode, family, peace, storm, ratio, scannedPerSecond }) => [
    mode,
    `v${family}`,
    String(peace.trials),
    formatMs(peace.medianMs),
    formatMs(peace.p99Ms),
    formatMs(storm.medianMs),
    formatMs(storm.p99Ms),
    formatRatio(ratio),
    formatShare(storm.retried, storm.trials),
    scannedPerSecond.toLocaleString("en"),
  ]);
  const head = ["mode", "IP", "trials", "median", "p99", "in the storm", "p99", "storm : peace", "retried", "scans/s"];
  return `First packets while another guest of the same host scans a /16\n\n${table(head, rows)}`;
}
