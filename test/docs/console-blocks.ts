// The commands of a page, with their output: blocks that are marked ```console tested. Pure.

export interface Step {
  /** Of the page, from 1. */
  readonly line: number;
  /** Where it is typed: ```console tested on a. */
  readonly machine?: string;
  readonly command: string;
  readonly output: readonly string[];
}

const fence = /^ *```console tested(?: on (\S+))?$/;

/** `$ ` (as root, `# `) starts a command, `> ` continues it; the rest is its output. */
export function stepsOf(markdown: string): Step[] {
  const steps: { line: number; machine?: string; command: string; output: string[] }[] = [];
  let block: RegExpExecArray | null = null;
  let begun = false;
  markdown.split("\n").forEach((text, i) => {
    if (text.trimStart().startsWith("```")) {
      block = fence.exec(text);
      begun = false;
      return;
    }
    if (!block) return;
    const last = begun ? steps.at(-1) : undefined;
    if (/^[$#] /.test(text)) {
      steps.push({ line: i + 1, ...(block[1] ? { machine: block[1] } : {}), command: text.slice(2), output: [] });
      begun = true;
    } else if (text.startsWith("> ") && last?.output.length === 0) last.command += `\n${text.slice(2)}`;
    else if (last) last.output.push(text);
    else throw new Error(`line ${i + 1}: a block begins with a command`);
  });
  return steps;
}

/** Values that differ from run to run, under one name each. */
const volatile: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<uuid>"],
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "<time>"],
  [/^(date|Date): .*$/g, "<date>"],
  // Assigned ones. The pages themselves use 52:54:00.
  [/\b(?!52:54:00)[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/g, "<mac>"],
  [/"epoch":"[^"]*"/g, '"epoch":"<epoch>"'],
  [/\btime=[\d.]+ ms\b/g, "time=<time>"],
];

/** How long something took or is ago, and with it the width of its column. */
const timed: typeof volatile = [
  [/\b\d+ (?:ms|s|min)\b/g, "<duration>"],
  [/(?<![\d.])\d+\.\d(?![\d.])/g, "<ms>"],
  [/ {2,}/g, "  "],
];

function normalized(line: string): string {
  return [...volatile, ...timed].reduce((text, [pattern, name]) => text.replaceAll(pattern, name), line.trimEnd());
}

/** Whether the output matches the page: `…` matches anything within a line, and alone on a line any lines. */
export function fitsOutput(shown: readonly string[], output: readonly string[]): boolean {
  const [first, ...rest] = shown;
  if (first === undefined) return output.length === 0;
  if (first === "…") return output.some((_, i) => fitsOutput(rest, output.slice(i))) || fitsOutput(rest, []);
  const [line, ...others] = output;
  return line !== undefined && fitsLine(first, line) && fitsOutput(rest, others);
}

function fitsLine(shown: string, line: string): boolean {
  const parts = normalized(shown)
    .split("…")
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(normalized(line));
}
