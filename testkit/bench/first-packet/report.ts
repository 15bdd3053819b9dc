// The same result for people. Pure.
import { formatMs, formatRatio, formatShare, table } from "../table.ts";
import type { FirstPacketResult } from "./result.ts";

export function report({ modes, ratios, replicatedFrames, steps = [], agent = [] }: FirstPacketResult): string {
  const parts = [
    "First packet between two new VMs, both sides cold: round trip as ping sees it\n\n",
    table(
      ["mode", "IP", "trials", "median", "p99", "max", "retried"],
      modes.map(({ mode, family, trials, medianMs, p99Ms, maxMs, retried }) => [
        mode,
        `v${family}`,
        String(trials),
        formatMs(medianMs),
        formatMs(p99Ms),
        formatMs(maxMs),
        formatShare(retried, trials),
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
      "\nWhere the time of nearmiss goes: medians, by the kernel's clock\n\n",
      table(
        ["until", "IP", "trials", "median"],
        steps.map(({ until, family, trials, medianMs }) => [until, `v${family}`, String(trials), formatMs(medianMs)]),
      ),
    );
  }
  if (agent.length > 0) {
    parts.push(
      "\nThe asking agent by its own clock: medians of misses that it answered\n\n",
      table(
        ["IP", "misses", "question to answer", "answer to kernel", "miss to kernel"],
        agent.map(({ family, misses, askMs, programMs, totalMs }) => [
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
