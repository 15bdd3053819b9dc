// Runs Stryker on some sources: it makes the mutants in a copy of the repository and runs the tests against each. stryker.json
// has what is always the same. It copies no tsconfig.json: Stryker would read it with the API of TypeScript, which version 7 does
// not have.
import { relative, resolve } from "node:path";
import { Stryker } from "@stryker-mutator/core";
import { type Mutant, nameOf } from "./mutant.ts";
import type { Source } from "./parts.ts";

export interface MutationRun {
  readonly sources: readonly Source[];
  /** Files, or `<file>:<from>-<to>`. */
  readonly mutate: readonly string[];
  readonly tests: readonly string[];
  readonly concurrency: number;
  /** Results of unchanged sources and tests are taken from this file, and kept there. */
  readonly incrementalFile?: string;
}

/** Of the cases of property tests: a surviving mutant runs them all. */
const shareOfCases = "0.05";

/** A runtime error is one before the first test: the test file cannot be loaded. */
const isNoticed = (status: string): boolean => ["Killed", "Timeout", "RuntimeError"].includes(status);

export async function runMutants({
  sources,
  mutate,
  tests,
  concurrency,
  incrementalFile,
}: MutationRun): Promise<Mutant[]> {
  // Inherited by the processes that run the tests.
  process.env.NEARMISS_MUTANT_TESTS = tests.join(",");
  process.env.NEARMISS_TIMES = shareOfCases;
  process.env.NODE_COMPILE_CACHE = resolve(".mutants/code");
  const stryker = new Stryker({
    configFile: "testkit/mutants/stryker.json",
    mutate: [...mutate],
    concurrency,
    ...(incrementalFile === undefined ? {} : { incremental: true, incrementalFile }),
  });
  const texts = new Map(sources.map(({ file, text }) => [file, text]));
  const results = (await stryker.runMutationTest()).filter(({ status }) => status !== "Ignored");
  return results.map(({ fileName, location, replacement, status }) => {
    const file = relative(process.cwd(), fileName);
    const name = nameOf({ file, location, replacement }, texts.get(file) ?? "");
    return { file, line: location.start.line, name, killed: isNoticed(status) };
  });
}
