// The result of `fleet` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { FleetResult } from "./bench.ts";

export function reportFleet(result: FleetResult): string {
  const { nearmiss, bare, ratios } = result;
  const rows = Object.entries({ nearmiss, "bare ws": bare }).map(([name, side]) => [
    name,
    formatMs(side.startMs),
    formatMs(side.halfMs),
    formatMs(side.allMs),
    String(side.ended),
    formatMs(side.lagP99Ms),
    formatMs(side.lagMaxMs),
    `${side.startCpuSeconds.toFixed(1)} s`,
    `${side.cpuSeconds.toFixed(1)} s`,
    `${side.peakRssMib} MiB`,
  ]);
  const head = [
    "",
    "start",
    "half in sync",
    "all",
    "sessions, tries ended",
    "loop late, p99",
    "max",
    "CPU of the start",
    "of the return",
    "memory",
  ];
  return [
    `\n${result.agents.toLocaleString("en")} agents${result.tls ? ", with TLS and certificates," : ""} whose server was killed and restarted; each has ${result.held} cached VMs, `,
    `${result.bytesPerAgent} bytes of answers; times from its listening on\n\n`,
    table(head, rows),
    `\n  nearmiss : bare ws  all in sync ${formatRatio(ratios.all)}, CPU ${formatRatio(ratios.cpu)}, `,
    `memory ${formatRatio(ratios.rss)}\n`,
  ].join("");
}
