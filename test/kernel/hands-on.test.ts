// The README's hands-on, and the pages that go on from it, as a reader tries them: three machines, one command after the other.
import { onTestFinished, test } from "vitest";
import { Machines } from "../docs/machines.ts";
import { Page } from "../docs/page.ts";
import { describeKernel } from "../support/kernel.ts";

/** Runs all commands. The enrolment command is run on its host, as the page says. */
async function follow(machines: Machines, path: string): Promise<void> {
  const page = new Page(path);
  const steps = page.steps.filter(({ machine }) => machine !== undefined);
  const printed: (readonly string[])[] = [];
  for (const { machine = "", command } of steps) {
    const { output } = await machines.get(machine).run(command);
    printed.push(output);
    const [, added] = /^nearmiss host add (\S+)/.exec(command) ?? [];
    if (added) await machines.get(added).run(output.at(-1) ?? "");
  }
  page.expectAsShown(steps, printed);
}

/** In the order in which they are typed, each after those before it. Another: mark its blocks ```console tested on <machine>. */
const pages = ["README.md", "docs/operators.md", "docs/debugging.md", "docs/backup.md", "docs/enrolment.md"];

describeKernel("hands-on", () => {
  test(`${pages.join(", ")} show what their commands print`, async () => {
    const machines = await Machines.build();
    onTestFinished(() => machines.remove());
    for (const page of pages) await follow(machines, page);
  });
});
