// The README's hands-on, and the pages that go on from it, as a reader tries them: three machines, one command after the other.
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../../testkit/lab/wait.ts";
import { pagesOfMachines } from "../docs/blocks.ts";
import { asTyped, fitsLine, fitsOutput, idsBehind } from "../docs/console-blocks.ts";
import { Machine, Machines } from "../docs/machines.ts";
import { Page } from "../docs/page.ts";
import type { Ran } from "../docs/page-run.ts";
import { describeKernel } from "../support/kernel.ts";

/**
 * Runs all commands. The enrolment command is run on its host, as the page says; where the page shows that, its tokens are
 * abbreviated by `…`. Ids in commands are those that the page has shown before.
 */
async function follow(machines: Machines, path: string): Promise<void> {
  const page = new Page(path);
  const steps = page.steps.filter(({ machine }) => machine !== undefined);
  const isShown = (line: string) => steps.some(({ command }) => command.includes("…") && fitsLine(command, line));
  const printed: (readonly string[])[] = [];
  const ids = new Map<string, string>();
  let lastLine = "";
  for (const step of steps) {
    const machine = machines.get(step.machine ?? "");
    const meant = step.command.includes("…") && fitsLine(step.command, lastLine) ? lastLine : asTyped(step);
    const command = [...ids].reduce((text, [shown, real]) => text.replaceAll(shown, real), meant);
    const fits = ({ output, status }: Ran) =>
      !step.isSoon || (step.output ? fitsOutput(step.output, output) : status === 0);
    const what = `${path}:${step.line} to show its output`;
    const ran = await waitUntil(() => machine.run(command), fits, { what, everyMs: 100 });
    const { output } = ran;
    if (!step.output) expect(ran, `${path}:${step.line}`).toMatchObject({ status: 0 });
    // A page that starts a program shows its log, or nothing.
    printed.push(Machine.isLasting(command) && step.output?.length === 0 ? [] : output);
    for (const [shown, real] of idsBehind(step.output ?? [], output)) ids.set(shown, real);
    lastLine = output.at(-1) ?? lastLine;
    const [, added] = /^nearmiss host add (\S+)/.exec(command) ?? [];
    if (added && step.output && !isShown(lastLine)) await machines.get(added).run(lastLine);
  }
  page.expectAsShown(steps, printed);
}

describeKernel("hands-on", () => {
  test(`${pagesOfMachines.join(", ")} show what their commands print`, async () => {
    const machines = await Machines.build();
    onTestFinished(() => machines.remove());
    for (const page of pagesOfMachines) await follow(machines, page);
  });
});
