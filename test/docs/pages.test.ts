// The commands of the pages, run one after the other against a fresh controller: each must print the output on its
// page.
import { expect, test } from "vitest";
import { pagesOfOneShell } from "./blocks.ts";
import { Page } from "./page.ts";
import { missingCommands, runSteps } from "./page-run.ts";

const missing = missingCommands();
// In CI a missing command is a failure, not a skip.
const isSkipped = missing.length > 0 && process.env.CI !== "true";

test.skipIf(isSkipped).each(pagesOfOneShell)("docs/%s shows what its commands print", async (name) => {
  expect(missing).toEqual([]);
  const page = new Page(`docs/${name}`);
  // Commands for a named machine: test/kernel/hands-on.test.ts.
  const steps = page.steps.filter(({ machine }) => machine === undefined);
  const ran = await runSteps(steps);
  page.expectAsShown(
    steps,
    ran.map(({ output }) => output),
  );
});
