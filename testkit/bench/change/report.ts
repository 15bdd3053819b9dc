// The result of `change` for people. Pure.
import { reportMissed } from "../bounds.ts";
import { table } from "../table.ts";
import { type ChangeResult, fitLine } from "./bench.ts";

/** Of the longest bar. */
const barWidth = 30;

export function reportChanges({ changes, asked, points, missed }: ChangeResult): string {
  const most = Math.max(...points.map(({ cpuUs }) => cpuUs));
  const rows = points.map(({ knowledge, hosts, fleet, cpuUs, notified, bytes, frames }) => [
    knowledge,
    String(hosts),
    String(fleet),
    String(notified),
    `${Math.round(cpuUs).toLocaleString("en")} µs`,
    `${(cpuUs / notified).toFixed(1)} µs`,
    `${Math.round(bytes)} B`,
    frames.toFixed(2),
    "▇".repeat(Math.max(1, Math.round((barWidth * cpuUs) / most))).padEnd(barWidth),
  ]);
  const head = [
    "",
    "hosts",
    "fleet",
    "notified",
    "CPU",
    "each",
    "bytes each",
    "frames each",
    "CPU, as a curve".padEnd(barWidth),
  ];
  return (
    `A move of a VM with one address, ${changes} of them. Processor time of the controller for each, the request included; bytes and ` +
    `frames\nfor each host that is notified: all of the network, or on demand ${asked} that asked and the two of the move.\n\n` +
    `${table(head, rows)}\n${lines(points)}${reportMissed(missed)}`
  );
}

/** A sentence for each fleet with networks of several sizes. */
function lines(points: ChangeResult["points"]): string {
  const inMemory = points.filter(({ knowledge }) => knowledge === "replicate");
  return [...new Set(inMemory.map(({ fleet }) => fleet))]
    .map((fleet) => ({ fleet, own: inMemory.filter((point) => point.fleet === fleet) }))
    .filter(({ own }) => own.length > 1)
    .map(({ fleet, own }) => {
      const { fixedUs, eachUs } = fitLine(own);
      return `  replicate, fleet of ${fleet}: ${Math.round(fixedUs)} µs, and ${eachUs.toFixed(1)} µs for each host of the network\n`;
    })
    .join("");
}
