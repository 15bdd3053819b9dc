// `nearmiss vm move`: to another host, and who has followed.
import type { Command } from "commander";
import type { MoveView } from "../../schema/index.ts";
import { addWaitOptions, toldAsItGoes, type WaitOptions } from "../confirmations.ts";
import { action } from "../output.ts";
import { pathOf, subcommand } from "./resource.ts";

const vmHelp = "as `nearmiss vm list` shows it";

export function addMoveCommands(group: Command): void {
  addWaitOptions(subcommand(group, "move", "move a VM to another host"))
    .description(
      "Moves a VM with all its interfaces. With --wait each host that holds the VM is named as it confirms that its kernel\n" +
        "follows. Who has not by the deadline is listed with the reason, and the exit status is 1; the move stands.",
    )
    .argument("<name>", vmHelp)
    .argument("<host>", "where it runs from now on")
    .action(action((name: string, host: string, options: WaitOptions) => act(name, "move", { host }, options, moved)));
}

function moved({ from, to }: MoveView): string {
  return from === to ? `is on ${to}` : `moves ${from} → ${to}`;
}

function act(
  name: string,
  verb: string,
  body: object,
  options: WaitOptions,
  describe: (view: MoveView) => string,
): AsyncGenerator<string> {
  const path = `${pathOf({ plural: "vms" }, name)}/${verb}`;
  return toldAsItGoes<MoveView>(path, body, options, (view) => `VM ${name} ${describe(view)}`);
}
