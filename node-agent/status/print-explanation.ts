// Prints an explanation for a terminal: all checks, then the first problem with its fix.
import type { Explanation } from "./explanation.ts";

const marks = { ok: "ok", wrong: "WRONG", note: "note" } as const;

export function printExplanation(explanation: Explanation): string {
  const { host, network, from, to, checks } = explanation;
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, state, says }) => `  ${marks[state].padEnd(5)}  ${name.padEnd(width)}  ${says}`);
  const notes = checks.filter((check) => check.state === "note" && check.fix !== undefined);
  return `${[
    `${from} → ${to} in ${network}, seen from ${host === null ? "this host" : `host ${host}`}`,
    "",
    ...lines,
    "",
    ...verdict(explanation),
    ...notes.map(({ name, fix }) => `Note on ${name}: ${fix}`),
  ].join("\n")}\n`;
}

function verdict({ network, from, to, farHost, first }: Explanation): string[] {
  if (!first && farHost === undefined) return ["Nothing is wrong on this host."];
  if (!first)
    return [
      `Nothing is wrong on this host. Look at the way back on host ${farHost}: nearmiss explain --network ${network} ${to} ${from}`,
      "What the controller knows of all hosts: nearmiss status",
    ];
  return [`First problem: ${first.name}: ${first.says}.`, `Fix: ${first.fix ?? "not known"}`];
}
