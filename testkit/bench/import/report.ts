// The result of `import` for people. Pure.
import { reportMissed } from "../bounds.ts";
import { formatMs, formatRatio, table } from "../table.ts";
import type { ImportResult } from "./bench.ts";

export function reportImport(result: ImportResult): string {
  const { idle, during, moving, exporting, backingUp } = result;
  const rows = [
    { name: "in peace", waits: idle },
    { name: "during the import", waits: during },
    { name: "while it is moved", waits: moving },
    { name: "during the export", waits: exporting },
    { name: "during a backup", waits: backingUp },
  ].map(({ name, waits: { get, resolve, post, refused, maxLagMs } }) => [
    name,
    formatMs(get.medianMs),
    formatMs(get.p99Ms),
    formatMs(get.maxMs),
    formatMs(resolve.p99Ms),
    formatMs(resolve.maxMs),
    formatMs(post.medianMs),
    formatMs(post.p99Ms),
    formatMs(post.maxMs),
    String(refused),
    formatMs(maxLagMs),
  ]);
  const head = [
    "others wait",
    "GET median",
    "p99",
    "max",
    "question p99",
    "max",
    "POST median",
    "p99",
    "max",
    "503",
    "loop late, max",
  ];
  return [
    `\n${result.vms.toLocaleString("en")} VMs (${Math.round(result.bytes / 1_048_576)} MiB) in one revision, `,
    `${result.hosts} hosts, ${result.agents} agents connected, ${result.pushed.toLocaleString("en")} bindings pushed\n\n`,
    `  import ${formatMs(result.importMs)}, moved ${formatMs(result.moveMs)} later, export ${formatMs(result.exportMs)}, backup ${formatMs(result.backupMs)}\n`,
    `  resident set ${result.rssBeforeMib} MiB before, ${result.rssPeakMib} MiB at most; ${result.rssLoadedMib} MiB in a `,
    `process that has only loaded it,\n  and ${result.rssExportMib} MiB more while a slow reader takes an export\n\n`,
    table(head, rows),
    `\n  p99 of a GET, import : peace  ${formatRatio(result.ratio)}\n`,
    `  VMs a second of the import : rows of SQLite with a full fsync each, ${result.rawPerSecond} a second  ${formatRatio(result.toRaw)}\n`,
    `  resident set, the most : loaded alone  ${result.rssPeakMib - result.rssLoadedMib} MiB more\n`,
    reportMissed(result.missed),
  ].join("");
}
