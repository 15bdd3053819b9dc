// `npm run bench -- <bench>`: builds labs, measures, prints, and takes everything away again.
import "../../schema/supported-node.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { whyNoLab } from "../lab/lab.ts";
import { repositoryRoot } from "../lab/programs.ts";
import type { Bench } from "./bench.ts";
import { benches } from "./benches.ts";
import { helpFor, helpForAll } from "./help.ts";
import { OptionError } from "./options.ts";
import { withFigures } from "./page.ts";
import { tellProgress } from "./progress.ts";

/** What every bench takes. */
const common = {
  json: { type: "boolean", default: false },
  short: { type: "boolean", default: false },
  write: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

interface Chosen {
  readonly name: string;
  readonly bench: Bench;
}

/** @throws OptionError */
function chosenOf(name: string | undefined): Chosen[] {
  const all = Object.entries(benches).map(([name, bench]) => ({ name, bench }));
  const chosen = name === "all" ? all : all.filter((each) => each.name === name);
  if (chosen.length === 0) throw new OptionError(`name one of ${Object.keys(benches).join(", ")}, or all`);
  return chosen;
}

/** @throws TypeError for an option that the bench does not have */
function parse(chosen: readonly Chosen[], args: readonly string[]) {
  // For all benches, options cannot be set: a number of one bench has another meaning in another.
  const own = chosen.length === 1 ? (chosen[0]?.bench.options ?? {}) : {};
  const flags = Object.entries(own).map(([name, { placeholder }]): [string, { type: "string" | "boolean" }] => [
    name,
    { type: placeholder === undefined ? "boolean" : "string" },
  ]);
  return parseArgs({ args: [...args], options: { ...Object.fromEntries(flags), ...common } });
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h") {
    process.stdout.write(helpForAll(benches));
    return name === undefined ? 2 : 0;
  }
  const chosen = chosenOf(name);
  const { values } = parse(chosen, rest);
  if (values.help) {
    process.stdout.write(chosen.length === 1 ? helpFor(name, benches[name] as Bench) : helpForAll(benches));
    return 0;
  }
  const length = values.short ? "short" : "whole";
  // Figures of a short run say little.
  const writes = !values.short && (values.write || chosen.length > 1);
  const started = chosen.map((each) => ({
    name: each.name,
    about: each.bench.about,
    run: each.bench.start(values, length, tellProgress),
  }));
  const obstacle = whyNoLab();
  if (obstacle !== undefined) throw new Error(`${obstacle}: run it with sudo`);
  let status = 0;
  for (const { name, about, run } of started) {
    const { result, text, holds } = await run();
    if (!holds) status = 3;
    tellProgress("");
    const heading = started.length === 1 ? "" : `\n${name}\n`;
    if (writes) writeFigures(name, about, text);
    process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${heading}${text}`);
  }
  return status;
}

/** After each bench, so that one that fails does not lose the others. */
function writeFigures(name: string, about: string, text: string): void {
  const file = join(repositoryRoot(), "docs", "performance.md");
  const processors = cpus().length;
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${processors} processor${processors === 1 ? "" : "s"}, Linux ${release().split("-")[0]}, Node ${process.versions.node}`;
  const origin = `${date}, ${machine}.`;
  writeFileSync(file, withFigures(readFileSync(file, "utf8"), { name, about, text, origin }));
}

function fail(error: unknown): never {
  const wrong = error instanceof OptionError || (error instanceof TypeError && "code" in error);
  const text = error instanceof Error ? (wrong ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`nearmiss bench: ${text}${wrong ? " (<bench> --help lists its options)" : ""}\n`);
  process.exit(wrong ? 2 : 1);
}

// A reader that went away (`| head`) ends the bench; the labs go with the process.
process.stdout.on("error", () => process.exit(1));

main(process.argv.slice(2)).then((status) => process.exit(status), fail);
