// The result of `start` for people. Pure.
import { reportMissed } from "../bounds.ts";
import { formatMs, formatRatio, table } from "../table.ts";
import type { StartResult } from "./bench.ts";

export function reportStart({ runs, emptyMs, commands, status, missed }: StartResult): string {
  const rows = commands.map(({ line, ms, ratio }) => [`nearmiss ${line}`, formatMs(ms), formatRatio(ratio)]);
  return (
    `Wall time of ${runs} processes of each, in turns. Medians.\n\n` +
    `${table(["", "time", ": empty process"], [["node -e 0", formatMs(emptyMs), formatRatio(1)], ...rows])}` +
    `\nnearmiss status, of a controller with ${status.hosts.toLocaleString("en")} hosts: ${formatMs(status.ms)}\n` +
    reportMissed(missed)
  );
}
