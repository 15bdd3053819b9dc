// Prints an explanation for a terminal: all checks, then the first problem with its fix.
import type { Check } from "./check.ts";
import type { Explanation } from "./explanation.ts";

const marks = { ok: "ok", wrong: "WRONG", note: "note" } as const;

export function printExplanation({ host, network, from, to, first, checks }: Explanation): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, state, says }) => `  ${marks[state].padEnd(5)}  ${name.padEnd(width)}  ${says}`);
  const notes = checks.filter((check) => check.state === "note" && check.fix !== undefined);
  return `${[
    `${from} → ${to} in ${network}, seen from ${host === null ? "this host" : `host ${host}`}`,
    "",
    ...lines,
    "",
    ...verdict(first),
    ...notes.map(({ name, fix }) => `Note on ${name}: ${fix}`),
  ].join("\n")}\n`;
}

function verdict(first: Check | null): string[] {
  if (!first) return ["Nothing is wrong on this host."];
  return [`First problem: ${first.name}: ${first.says}.`, `Fix: ${first.fix ?? "not known"}`];
}
