// The result of `stream` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { StreamResult } from "./bench.ts";

export function reportStream(result: StreamResult): string {
  const { nearmiss, bare, ratios } = result;
  const rows = Object.entries({ nearmiss, "bare ws": bare }).map(([name, side]) => [
    name,
    `${(side.delivered * 100).toFixed(1)} %`,
    String(side.rate),
    formatMs(side.medianMs),
    formatMs(side.p99Ms),
    formatMs(side.tookMs),
    `${side.cpuSeconds.toFixed(1)} s`,
    `${side.peakRssMib} MiB`,
  ]);
  const head = ["", "delivered", "events/s", "median", "p99", "took", "CPU", "memory"];
  return [
    `\n${result.consumers} consumers, ${result.rate} events/s for ${result.seconds} s, ${result.batch} in one revision, `,
    `${result.bytesPerEvent} bytes each\n\n`,
    table(head, rows),
    `\n  nearmiss : bare ws  p99 ${formatRatio(ratios.p99)}, CPU ${formatRatio(ratios.cpu)}, memory ${formatRatio(ratios.rss)}\n`,
  ].join("");
}
