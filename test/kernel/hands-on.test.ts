// The README's hands-on, and the pages that go on from it, as a reader tries them: three machines, one command after the other.
import { onTestFinished, test } from "vitest";
import { Machines } from "../docs/machines.ts";
import { Page } from "../docs/page.ts";
import { describeKernel } from "../support/kernel.ts";

/** Types all of it. What a host is let in with is typed there, as the page says. */
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

async function clusterOfReadme(): Promise<Machines> {
  const machines = await Machines.build();
  onTestFinished(() => machines.remove());
  await follow(machines, "README.md");
  return machines;
}

/** Another page: mark its blocks ```console tested on <machine> and list it. */
const pages = ["debugging.md", "enrolment.md", "operators.md"];

describeKernel("hands-on", () => {
  test("README.md shows what its commands print", async () => {
    await clusterOfReadme();
  });

  test.each(pages)("docs/%s shows what its commands print, after the README's", async (name) => {
    await follow(await clusterOfReadme(), `docs/${name}`);
  });
});
