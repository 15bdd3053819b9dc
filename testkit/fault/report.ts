// The results of faults, for people. Pure.
import type { FaultResult } from "./fault.ts";

const columns = ["sent", "lost", "longest gap", "equal after"] as const;

export function reportHead(): string {
  return `${columns.map((name) => name.padStart(12)).join("")}   fault\n`;
}

export function reportLine({ fault, sent, lost, longestGapMs, equalMs, remarks, failures }: FaultResult): string {
  const figures = [sent, lost, lost === 0 ? "–" : `${longestGapMs} ms`, equalMs === null ? "never" : `${equalMs} ms`];
  const details = [...remarks, ...failures.map((text) => `FAILED: ${text}`)];
  const indent = " ".repeat(columns.length * 12 + 5);
  return [
    `${figures.map((figure) => String(figure).padStart(12)).join("")}   ${fault}\n`,
    ...details.map((text) => `${indent}${text}\n`),
  ].join("");
}
