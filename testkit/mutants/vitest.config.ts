// The tests that mutants run against: those of NEARMISS_MUTANT_TESTS, which the runner sets.
import { join, resolve } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification, type Vite } from "vitest/node";
import { keptProcess } from "./kept-process.ts";

// Within Stryker's copy of the sources, where node_modules is a link.
const root = resolve(import.meta.dirname, "../..");

/** One failure is enough, and unit tests fail in milliseconds. */
class UnitTestsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => `${moduleId.includes("/unit/") ? 0 : 1} ${moduleId}`;
    return files.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
  }
}

/** Stryker's runner sets one of Vitest's own pools. */
const usesKeptProcess: Vite.Plugin = {
  name: "nearmiss:kept-process",
  configureVitest({ project }) {
    project.config.pool = keptProcess.name;
    project.config.poolRunner = keptProcess;
  },
};

export default defineConfig({
  plugins: [usesKeptProcess],
  root,
  // The build's one file of TypeBox loads in a third of the time.
  resolve: { alias: [{ find: /^.*\/typebox\.ts$/, replacement: join(root, "dist/schema/typebox.js") }] },
  test: {
    include: (process.env.NEARMISS_MUTANT_TESTS ?? "").split(",").filter((file) => file !== ""),
    setupFiles: ["testkit/mutants/fixed-seed.ts"],
    isolate: false,
    reporters: [{}],
    deps: { interopDefault: false },
    server: { deps: { external: [/dist\/schema\/typebox/] } },
    sequence: { sequencer: UnitTestsFirst },
    // Stryker has the deadline.
    testTimeout: 0,
    hookTimeout: 0,
  },
});
