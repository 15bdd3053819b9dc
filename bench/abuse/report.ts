// The result of `abuse` for people. Pure.
import { formatMs, formatRatio, table } from "../table.ts";
import type { AbuseResult } from "./bench.ts";

export function reportAbuse(result: AbuseResult): string {
  const { peace, attacked, readRatio, writeRatio, answers } = result;
  const row = (name: string, { reads, writes }: AbuseResult["peace"]) => [
    name,
    String(reads.trials),
    formatMs(reads.medianMs),
    formatMs(reads.p99Ms),
    String(writes.trials),
    formatMs(writes.medianMs),
    formatMs(writes.p99Ms),
  ];
  const head = ["honest clients", "reads", "median", "p99", "writes", "median", "p99"];
  const told = Object.entries(answers).map(([answer, count]) => `${answer}: ${count.toLocaleString("en")}`);
  return [
    `\n${result.rounds} turns each; attackers: six kinds at ${result.rate}/s each, and 100 connections without end\n\n`,
    table(head, [row("in peace", peace), row("attacked", attacked)]),
    `\n  p99, attacked : peace   reads ${formatRatio(readRatio)}, writes ${formatRatio(writeRatio)}\n`,
    `  attackers were answered ${told.join(", ")}\n`,
  ].join("");
}
