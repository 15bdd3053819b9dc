// What `--help` prints. Pure.
import type { Bench } from "./bench.ts";

const width = 120;

export function helpForAll(benches: Readonly<Record<string, Bench>>): string {
  return `Usage: npm run bench -- <bench> [options]
       npm run bench -- all [--short] [--json]

Guests, hosts and controllers in network namespaces of this machine. Needs root, and leaves nothing behind. Compare the
figures of one run with each other, never those of two machines.

Benches:
${table(Object.entries(benches).map(([name, { about }]) => [name, about]))}
  ${"all".padEnd(20)}one after the other; without --short the figures are written into docs/performance.md

npm run bench -- <bench> --help lists what that one takes.

Exit status: 0 with a result, 1 without, 2 for wrong options, 3 with a result beyond a ceiling, 128 + n when ended by
signal n.
`;
}

export function helpFor(name: string, { about, details, options }: Bench): string {
  const own = Object.entries(options).map(([flag, option]): [string, string] => {
    const { whole, short } = option.fallback;
    const shorter = String(short) === String(whole) ? "" : `, ${short} with --short`;
    const value = option.placeholder === undefined ? "" : ` (${whole}${shorter})`;
    return [`--${flag} ${option.placeholder ?? ""}`, `${option.about}${value}`];
  });
  return `Usage: npm run bench -- ${name} [options]

${wrap(about, width).join("\n")}
${details === undefined ? "" : `\n${wrap(details, width).join("\n")}\n`}
Options:
${table([...own, ["--short", "a small run, as in CI"], ["--write", "write the figures into docs/performance.md; not those of a short run"], ["--json", "print the result as one JSON object"], ["--help", "print this"]])}
`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const first = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows
    .map(
      ([left, right]) => `  ${left.padEnd(first)}${wrap(right, width - first - 2).join(`\n${" ".repeat(first + 2)}`)}`,
    )
    .join("\n");
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}
