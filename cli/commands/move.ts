// `nearmiss vm move`, and the steps of a live migration: `prepare`, `commit`, `abort`.
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

  addWaitOptions(subcommand(group, "prepare", "begin a live migration"))
    .description(
      "Gives the other host the VM's networks. The VM stays where it is, and is reached there from everywhere.\n" +
        "With --wait it returns when that host has the bridges: start the migration then, and `commit` when the VM runs there.",
    )
    .argument("<name>", vmHelp)
    .argument("<host>", "where it is about to run")
    .action(
      action((name: string, host: string, options: WaitOptions) =>
        act(name, "prepare", { host }, options, ({ from, to }) => `is prepared on ${to} and stays on ${from}`),
      ),
    );

  addWaitOptions(subcommand(group, "commit", "end a live migration: the VM runs on the prepared host"))
    .description("One revision: the prepared host follows first, then all that hold the VM.")
    .argument("<name>", vmHelp)
    .argument("[host]", "the host that is meant: refused where another is prepared")
    .action(
      action((name: string, host: string | undefined, options: WaitOptions) =>
        act(name, "commit", host === undefined ? {} : { host }, options, moved),
      ),
    );

  addWaitOptions(subcommand(group, "abort", "give a live migration up: the VM stays where it is"))
    .description("Networks that the other host has for this VM alone leave it again.")
    .argument("<name>", vmHelp)
    .action(
      action((name: string, options: WaitOptions) => act(name, "abort", {}, options, ({ to }) => `stays on ${to}`)),
    );
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
