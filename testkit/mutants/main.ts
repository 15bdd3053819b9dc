// `npm run mutants`: changes the pure parts in thousands of small ways, and counts the changes that no test notices.
import "../../schema/supported-node.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { formatShare, table } from "../bench/table.ts";
import { parseFlags, stop as stopProgram } from "../lab/flags.ts";
import { isOf, type Part, parts, sourcesOf, testsOf } from "./parts.ts";
import { samplePieces } from "./sample.ts";
import { runMutants } from "./stryker.ts";
import { type Accepted, judge, minKilled, type PartResult, type Verdict, withSurvivors } from "./verdict.ts";

const help = `Usage: npm run mutants [-- options]

Mutation testing of the pure parts: ${parts.map(({ name }) => name).join(", ")}. Each mutant is one small change of a source, such as
< for <=. The fast tests of its part run against it; a mutant that none of them notices has survived. In every part at least
${100 * minKilled} % must be killed, and each survivor must be listed with a reason in testkit/mutants/survivors.json.

Options:
  --part <name>      only this part; may be repeated
  --short            a sample of each part, as in CI: no survivor that is not listed
  --seed <text>      another sample of the same sources
  --incremental      keep the results of sources and tests that did not change since the last run with it. It does not notice
                     changes of what tests import
  --write            write survivors.json anew: reasons stay, new survivors get an empty one to fill in
  --concurrency <n>  processes that test mutants (default 1)
  --help             print this

Exit status: 0 if all checks passed, 1 if not, 2 for wrong options.
`;

const listFile = "testkit/mutants/survivors.json";

function stop(message: string, status: number): never {
  return stopProgram("mutants", message, status);
}

function choose(names: readonly string[]): readonly Part[] {
  const unknown = names.find((name) => !parts.some((part) => part.name === name));
  if (unknown !== undefined) stop(`no part is named "${unknown}": ${parts.map(({ name }) => name).join(", ")}`, 2);
  return names.length === 0 ? parts : parts.filter(({ name }) => names.includes(name));
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) stop(`--concurrency wants a number from 1 on, not "${text}"`, 2);
  return count;
}

async function runWhole(chosen: readonly Part[], incremental: boolean, concurrency: number): Promise<PartResult[]> {
  const results: PartResult[] = [];
  for (const part of chosen) {
    const sources = sourcesOf(part);
    const mutate = sources.map(({ file }) => file);
    const kept = incremental ? { incrementalFile: `.mutants/${part.name}.json` } : {};
    const mutants = await runMutants({ sources, mutate, tests: testsOf(part), concurrency, ...kept });
    results.push({ part: part.name, mutants });
  }
  return results;
}

/** All parts at once: the tests of one would take longer to start than its mutants to run. */
async function runSample(chosen: readonly Part[], seed: string, concurrency: number): Promise<PartResult[]> {
  const sources = chosen.flatMap(sourcesOf);
  const mutate = chosen.flatMap((part) => samplePieces(sourcesOf(part), seed));
  const tests = [...new Set(chosen.flatMap(testsOf))];
  const mutants = await runMutants({ sources, mutate, tests, concurrency });
  return chosen.map((part) => ({ part: part.name, mutants: mutants.filter(({ file }) => isOf(part, file)) }));
}

function report(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ part, mutants, killed, unlisted, passed }) => [
    part,
    String(mutants),
    mutants === 0 ? "–" : formatShare(killed, mutants),
    String(mutants - killed - unlisted.length),
    String(unlisted.length),
    passed ? "passed" : "FAILED",
  ]);
  const details = verdicts.flatMap(({ unlisted, outdated }) => [
    ...unlisted.map(({ line, name }) => `Survived, and not listed: ${name} (line ${line})\n`),
    ...outdated.map((name) => `Listed, and did not survive: ${name}\n`),
  ]);
  return `${details.join("")}\n${table(["part", "mutants", "killed", "listed", "not listed", ""], rows)}`;
}

async function main(): Promise<number> {
  const flags = parseFlags("mutants", {
    part: { type: "string", multiple: true, default: [] },
    short: { type: "boolean", default: false },
    seed: { type: "string", default: "" },
    incremental: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    concurrency: { type: "string", default: "1" },
    help: { type: "boolean", short: "h", default: false },
  });
  if (flags.help) {
    process.stdout.write(help);
    return 0;
  }
  if (flags.short && (flags.write || flags.incremental))
    stop("--short keeps no results: leave out --write and --incremental", 2);
  const chosen = choose(flags.part);
  const concurrency = parseCount(flags.concurrency);
  const results = flags.short
    ? await runSample(chosen, flags.seed, concurrency)
    : await runWhole(chosen, flags.incremental, concurrency);
  const listed: Accepted[] = JSON.parse(readFileSync(listFile, "utf8"));
  const accepted = flags.write ? withSurvivors(listed, results) : listed;
  if (flags.write) writeFileSync(listFile, `${JSON.stringify(accepted, null, 2)}\n`);
  const verdicts = results.map((result) => judge(result, accepted, !flags.short));
  process.stdout.write(`${report(verdicts)}`);
  return verdicts.every(({ passed }) => passed) ? 0 : 1;
}

process.exit(await main());
