// The result of `register` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { Posted, RegisterResult } from "./bench.ts";

export function reportRegister({ rounds, turn, sizes, rawPerSecond }: RegisterResult): string {
  const row = (name: string, { perSecond, perCpuSecond, medianMs, p99Ms, maxMs, leastServed }: Posted) => [
    name,
    perSecond.toFixed(0),
    perCpuSecond.toFixed(0),
    formatMs(medianMs),
    formatMs(p99Ms),
    formatMs(maxMs),
    `${(leastServed * 100).toFixed(0)} %`,
  ];
  const head = ["", "a second", "a CPU second", "median", "p99", "longest", "least served"];
  const parts = sizes.map(({ clients, nearmiss, stock, ratios, tail }) => {
    const rows = table(head, [row("nearmiss", nearmiss), row("stock Fastify", stock)]);
    const compared = `a second ${formatRatio(ratios.perSecond)}, a CPU second ${formatRatio(ratios.perCpuSecond)}`;
    const tails = `p99 : median ${formatRatio(tail.p99)}, longest : median ${formatRatio(tail.max)}`;
    return `\n${clients} clients\n\n${rows}  nearmiss : stock Fastify  ${compared}; nearmiss ${tails}\n`;
  });
  const raw = `\n  SQLite alone, a full fsync for each row: ${rawPerSecond} a second\n`;
  return `\n${rounds} rounds of ${turn} ms each, medians\n${parts.join("")}${raw}`;
}
