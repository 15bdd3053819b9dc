// The same result for people. Pure.
import { reportMissed } from "../bounds.ts";
import { formatMs, formatRatio, formatShare, table } from "../table.ts";
import type { FirstPacketResult } from "./result.ts";

export function report({
  modes,
  ratios,
  comparisons,
  missed,
  replicatedFrames,
  steps = [],
  agent = [],
}: FirstPacketResult): string {
  const parts = [
    "First packet between two new VMs, both sides cold: round trip as ping sees it\n\n",
    table(
      ["mode", "IP", "trials", "p10", "median", "p90", "p95", "p99", "max", "retried", "missed"],
      modes.map(({ mode, family, trials, p10Ms, medianMs, p90Ms, p95Ms, p99Ms, maxMs, retried, misses }) => [
        mode,
        `v${family}`,
        String(trials),
        formatMs(p10Ms),
        formatMs(medianMs),
        formatMs(p90Ms),
        formatMs(p95Ms),
        formatMs(p99Ms),
        formatMs(maxMs),
        formatShare(retried, trials),
        misses === null ? "–" : String(misses),
      ]),
    ),
    "\nRatios of medians, and of nearmiss's own p99 to its median\n\n",
    table(
      ["IP", "faster than announce off", "slower than static", "p99 : median"],
      ratios.map(({ family, vsAnnounceOff, vsStatic, p99VsMedian }) => [
        `v${family}`,
        formatRatio(vsAnnounceOff),
        formatRatio(vsStatic),
        formatRatio(p99VsMedian),
      ]),
    ),
  ];
  if (comparisons.length > 0) {
    parts.push(
      "\nNetworks on demand and in memory beside static entries\n\n",
      table(
        ["mode", "IP", "median : static", "p95 : static's median", "p99 : median", "IPv6 : IPv4"],
        comparisons.map(({ mode, family, medianVsStatic, p95VsStatic, p99VsMedian, vsIpv4 }) => [
          mode,
          `v${family}`,
          ...[medianVsStatic, p95VsStatic, p99VsMedian, vsIpv4].map(formatRatio),
        ]),
      ),
      reportMissed(missed),
    );
  }
  if (replicatedFrames.length > 0) {
    const hosts = [...new Set(replicatedFrames.map((each) => each.hosts))];
    const names = [...new Set(replicatedFrames.map((each) => each.mode))];
    const count = (mode: string, among: number) =>
      replicatedFrames.find((each) => each.mode === mode && each.hosts === among)?.frames.toLocaleString("en") ?? "–";
    const conversations = replicatedFrames[0]?.conversations ?? 0;
    parts.push(
      `\nFrames that reached hosts which did not need them, for ${conversations} first packet(s), by number of hosts\n\n`,
      table(
        ["mode", ...hosts.map(String)],
        names.map((name) => [name, ...hosts.map((among) => count(name, among))]),
      ),
    );
  }
  if (steps.length > 0) {
    parts.push(
      "\nWhere the time goes: medians and fastest tenth, by the kernel's clock\n\n",
      table(
        ["until", "mode", "IP", "trials", "median", "p10"],
        steps.map(({ until, mode, family, trials, medianMs, p10Ms }) => [
          until,
          mode,
          `v${family}`,
          String(trials),
          formatMs(medianMs),
          formatMs(p10Ms),
        ]),
      ),
    );
  }
  if (agent.length > 0) {
    parts.push(
      "\nThe asking agent by its own clock: medians of misses that it answered\n\n",
      table(
        ["mode", "IP", "misses", "question to answer", "answer to kernel", "miss to kernel"],
        agent.map(({ mode, family, misses, askMs, programMs, totalMs }) => [
          mode,
          `v${family}`,
          String(misses),
          formatMs(askMs),
          formatMs(programMs),
          formatMs(totalMs),
        ]),
      ),
    );
  }
  return parts.join("");
}
