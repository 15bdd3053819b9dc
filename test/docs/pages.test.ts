// The commands of the pages, run one after the other against a fresh controller: each prints what its page shows.
// `NEARMISS_WRITE_DOCS=1` writes into the pages what differs, to be read and shortened by hand.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fitsOutput, stepsOf } from "./console-blocks.ts";
import { missingCommands, runSteps } from "./page-run.ts";

/** Another page: mark its blocks ```console tested and list it. `$NEARMISS_CONTROLLER` is it, `nearmiss` the command. */
const pages = ["api.md", "apply.md", "cli.md", "import-export.md", "operators.md"];

const missing = missingCommands();
// In CI a missing command is a failure, not a skip.
const isSkipped = missing.length > 0 && process.env.CI !== "true";

test.skipIf(isSkipped).each(pages)("docs/%s shows what its commands print", async (page) => {
  expect(missing).toEqual([]);
  const file = join(import.meta.dirname, "../../docs", page);
  const text = readFileSync(file, "utf8");
  const steps = stepsOf(text);
  expect(steps.length).toBeGreaterThan(0);
  const ran = await runSteps(steps);
  const differing = steps.flatMap(({ line, command, output }, i) => {
    const real = ran[i]?.output ?? ["(the page's shell had ended)"];
    return fitsOutput(output, real) ? [] : [{ line, command, shown: output, real }];
  });
  if (process.env.NEARMISS_WRITE_DOCS) {
    const lines = text.split("\n");
    for (const { line, command, shown, real } of differing.toReversed()) {
      lines.splice(line - 1 + command.split("\n").length, shown.length, ...real);
    }
    writeFileSync(file, lines.join("\n"));
    return;
  }
  expect(differing).toEqual([]);
});
