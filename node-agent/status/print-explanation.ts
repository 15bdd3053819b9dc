// Prints an explanation for a terminal: all checks, then the first problem with its fix.
import type { Check } from "./check.ts";
import type { Explanation } from "./explanation.ts";

const marks = { ok: "ok", wrong: "WRONG", note: "note" } as const;

export function printExplanation(explanation: Explanation): string {
  const { host, network, from, to, checks, first } = explanation;
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, state, says }) => `  ${marks[state].padEnd(5)}  ${name.padEnd(width)}  ${says}`);
  const notes = checks.filter((check) => check.state === "note" && check.fix !== undefined);
  // Some of them may be what follows from the first.
  const others = checks.filter((check) => check.state === "wrong" && !isSame(check, first));
  return `${[
    `${from} → ${to} in ${network}, seen from ${host === null ? "this host" : `host ${host}`}`,
    "",
    ...lines,
    "",
    ...verdict(explanation),
    ...others.map(({ name, fix }) => `Then ${name}: ${fix}`),
    ...notes.map(({ name, fix }) => `Note on ${name}: ${fix}`),
  ].join("\n")}\n`;
}

/** They come over a socket, where what was one object is two. */
const isSame = (a: Check, b: Check | null): boolean => a.name === b?.name && a.says === b.says;

function verdict({ network, from, to, farHost, first, checks }: Explanation): string[] {
  const isFarNoted = checks.some(({ name, state }) => name === "far end" && state === "note");
  if (!first && farHost === undefined) return ["Nothing is wrong on this host."];
  if (!first && isFarNoted)
    return [
      `Nothing is wrong on this host, but perhaps on host ${farHost}: see "far end".`,
      `Look at the way back there: nearmiss explain --network ${network} ${to} ${from}`,
      "What the controller knows of all hosts: nearmiss status",
    ];
  if (!first)
    return [
      `Nothing is wrong on this host. Look at the way back on host ${farHost}: nearmiss explain --network ${network} ${to} ${from}`,
      "What the controller knows of all hosts: nearmiss status",
    ];
  return [`First problem: ${first.name}: ${first.says}.`, `Fix: ${first.fix ?? "not known"}`];
}
