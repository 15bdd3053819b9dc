// The commands of a page, with their output: blocks that are marked ```console tested, and scripts that are marked ```sh tested. Pure.

export interface Step {
  /** Of the page, from 1. */
  readonly line: number;
  /** Where it is typed: ```console tested on a. */
  readonly machine?: string;
  readonly command: string;
  /** Absent for a script, of which only success is asked. */
  readonly output?: readonly string[];
  /** ```console tested on a soon: the output follows what was done before, in its own time. */
  readonly isSoon: boolean;
}

const fence = /^ *```(console|sh) tested(?: on (\w+))?( soon)?$/;

/** `$ ` (as root, `# `) starts a command, `> ` continues it; the rest is its output. */
export function stepsOf(markdown: string): Step[] {
  const steps: { line: number; machine?: string; command: string; output?: string[]; isSoon: boolean }[] = [];
  let block: RegExpExecArray | null = null;
  let begun = false;
  markdown.split("\n").forEach((text, i) => {
    if (text.trimStart().startsWith("```")) {
      block = fence.exec(text);
      begun = false;
      return;
    }
    if (!block) return;
    const [, kind, machine, soon] = block;
    const place = { line: i + 1, ...(machine ? { machine } : {}), isSoon: soon !== undefined };
    const last = begun ? steps.at(-1) : undefined;
    if (kind === "sh") {
      if (last) last.command += `\n${text}`;
      else steps.push({ ...place, command: text });
      begun = true;
      return;
    }
    if (/^[$#] /.test(text)) {
      steps.push({ ...place, command: text.slice(2), output: [] });
      begun = true;
    } else if (text.startsWith("> ") && last?.output?.length === 0) last.command += `\n${text.slice(2)}`;
    else if (last) last.output?.push(text);
    else throw new Error(`line ${i + 1}: a block begins with a command`);
  });
  return steps;
}

/** Of tokens and CAs. */
const shortId = /\b[0-9a-f]{8}\b/g;

/** The real ids behind those that a page shows. */
export function idsBehind(shown: readonly string[], real: readonly string[]): [string, string][] {
  const of = (lines: readonly string[]) => lines.flatMap((line) => [...line.matchAll(shortId)].map(([id]) => id));
  const ids = of(real);
  return of(shown).flatMap((id, i): [string, string][] => (ids[i] === undefined ? [] : [[id, ids[i]]]));
}

/** Values that differ from run to run, under one name each. */
const volatile: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<uuid>"],
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "<time>"],
  [/^(date|Date): .*$/g, "<date>"],
  // Assigned ones. The pages themselves use 52:54:00.
  [/\b(?!52:54:00)[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/g, "<mac>"],
  [/"epoch":"[^"]*"/g, '"epoch":"<epoch>"'],
  [/\b[0-9a-f]{64}\b/g, "<hash>"],
  [shortId, "<id>"],
  [/\b\d{4}-\d\d-\d\d\b/g, "<day>"],
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
  if (first.trim() === "…") return output.some((_, i) => fitsOutput(rest, output.slice(i))) || fitsOutput(rest, []);
  const [line, ...others] = output;
  return line !== undefined && fitsLine(first, line) && fitsOutput(rest, others);
}

export function fitsLine(shown: string, line: string): boolean {
  const parts = normalized(shown)
    .split("…")
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(normalized(line));
}

/** For a shell: a script ends where one of its lines fails, and the shell with it unless it is tried again. */
export function asTyped({ command, output, isSoon }: Step): string {
  if (output) return command;
  return isSoon ? `(set -e\n${command}\n)` : `set -e\n${command}\nset +e`;
}
