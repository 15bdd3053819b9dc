// Registering a VM makes none: said wherever people meet the words create and delete. test/kernel/registering.test.ts shows that it is so.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { commands } from "../../bin/commands.ts";
import { rootHelp } from "../../bin/help.ts";
import { programOf } from "../../bin/run.ts";

const oneLine = (text: string): string => text.replace(/\s+/g, " ");
const read = (path: string): string => oneLine(readFileSync(join(import.meta.dirname, "../..", path), "utf8"));

describe("registering a VM makes, starts and stops none, as is said", () => {
  test.each([
    ["README.md", "**nearmiss makes, starts and stops no VMs. Registering one tells the network where it is"],
    ["docs/cli.md", "no command makes, starts or stops a VM"],
    ["docs/api.md", "no request makes, starts or stops one"],
    ["docs/dashboard.md", "Creating or deleting a VM here makes, starts and stops none"],
    ["dashboard/pages/vms.tsx", "creating or deleting a VM here makes, starts and stops none"],
    ["dashboard/pages/help.tsx", "Creating or deleting a VM or host here makes, starts and stops none"],
    ["dashboard/forms/vm-form.tsx", "Registering starts no VM"],
    ["dashboard/forms/remove.tsx", "a VM that runs is not stopped"],
    ["controller/http/openapi.ts", "no request makes, starts or stops one"],
  ])("in %s", (file, sentence) => {
    expect(read(file)).toContain(sentence);
  });

  test("before the first diagram of README.md", () => {
    const text = read("README.md");
    expect(text.indexOf("makes, starts and stops no VMs")).toBeLessThan(text.indexOf("```"));
  });

  test("in the help of the command, of `vm`, and of what creates and deletes", async () => {
    expect(oneLine(rootHelp(80))).toContain("no command makes, starts or stops a VM");
    const program = await programOf(commands);
    const vm = program.commands.find((each) => each.name() === "vm");
    const help = (name: string) =>
      oneLine(vm?.commands.find((each) => each.name() === name)?.helpInformation() ?? "no such command");
    expect(oneLine(vm?.helpInformation() ?? "")).toMatch(/network's inventory: .* leaves the VM running/);
    expect(help("create")).toContain("Registers a VM on a host, where its hypervisor starts it");
    expect(help("delete")).toContain("A VM that runs goes on running");
  });
});
