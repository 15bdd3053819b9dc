// The result of `index` for people. Pure.
import { formatRatio, table } from "../table.ts";
import type { IndexResult } from "./bench.ts";

export function reportIndex({ rounds, sizes }: IndexResult): string {
  const count = (number: number) => number.toLocaleString("en");
  const head = [
    "VMs",
    "bytes each",
    "resident each",
    "process",
    "start",
    "scan",
    "start : scan",
    "look-ups",
    "Map",
    "look-ups : Map",
  ];
  const rows = sizes.map((size) => [
    count(size.vms),
    count(size.heapBytes),
    count(size.residentBytes),
    `${count(size.rssMib)} MiB`,
    `${size.startSeconds.toFixed(2)} s`,
    `${size.scanSeconds.toFixed(2)} s`,
    formatRatio(size.startRatio),
    count(size.lookUps.packed),
    count(size.lookUps.map),
    formatRatio(size.lookUpRatio),
  ]);
  return `\n${rounds} rounds, medians; start and scan in CPU seconds, look-ups in a CPU second\n\n${table(head, rows)}`;
}
