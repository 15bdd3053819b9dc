// The result of `idle` for people. Pure.
import { reportMissed } from "../bounds.ts";
import { formatPercent, formatRatio, table } from "../table.ts";
import type { IdleResult } from "./bench.ts";

export function reportIdle({ networks, knowledge, seconds, sides, watchingPercent, missed }: IdleResult): string {
  const head = ["", "processor", "main thread", "wake-ups a second", "resident", ": empty process"];
  const rows = sides.map(({ name, cpuPercent, mainPercent, wakeUpsPerSecond, rssMib, rssRatio }) => [
    name,
    formatPercent(cpuPercent),
    formatPercent(mainPercent),
    wakeUpsPerSecond.toFixed(1),
    `${rssMib} MiB`,
    formatRatio(rssRatio),
  ]);
  const watching =
    watchingPercent === null ? "" : `\nWatching the kernel takes ${formatPercent(watchingPercent)} of a processor.\n`;
  return (
    `Idle for ${seconds} s, with ${networks} networks (${knowledge}). Shares of one processor.\n\n` +
    `${table(head, rows)}${watching}${reportMissed(missed)}`
  );
}
