// `nearmiss vm move`, and the steps of a live migration: `prepare`, `commit`, `abort`.
import type { Command } from "../../common/commander.ts";
import { defined } from "../../common/defined.ts";
import type { MoveView } from "../../schema/rest/index.ts";
import { addWaitOptions, type WaitOptions, withProgress } from "../confirmations.ts";
import { action } from "../output.ts";
import { pathOf, subcommand } from "./resource.ts";

const vmHelp = "as `nearmiss vm list` shows it";

export function addMoveCommands(group: Command): void {
  addWaitOptions(subcommand(group, "move", "move a VM to another host"))
    .description(
      "Moves a VM with all its interfaces. With --wait, each host that knows the VM is listed as it confirms that its kernel\n" +
        "is up to date. Hosts that have not confirmed by the deadline are listed with the reason, and the exit status is 1;\n" +
        "the move stays in effect.",
    )
    .argument("<name>", vmHelp)
    .argument("<host>", "the host that it runs on from now on")
    .action(action((name: string, host: string, options: WaitOptions) => act(name, "move", { host }, options, moved)));

  addWaitOptions(subcommand(group, "prepare", "start a live migration"))
    .description(
      "Sets up the VM's networks on the other host. The VM stays reachable where it is.\n" +
        "With --wait, it returns when that host has created the bridges: start the migration then, and `commit` when the VM runs there.",
    )
    .argument("<name>", vmHelp)
    .argument("<host>", "the host that it is about to move to")
    .action(
      action((name: string, host: string, options: WaitOptions) =>
        act(name, "prepare", { host }, options, ({ from, to }) => `is prepared on ${to} and stays on ${from}`),
      ),
    );

  addWaitOptions(subcommand(group, "commit", "complete a live migration: the VM runs on the prepared host"))
    .description("Takes one revision: the prepared host is updated first, then all hosts that know the VM.")
    .argument("<name>", vmHelp)
    .argument("[host]", "the expected host: refused if another one is prepared")
    .action(
      action((name: string, host: string | undefined, options: WaitOptions) =>
        act(name, "commit", defined({ host }), options, moved),
      ),
    );

  addWaitOptions(subcommand(group, "abort", "cancel a live migration: the VM stays on its host"))
    .description("Networks that the other host has only for this VM are removed from it.")
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
  return withProgress<MoveView>(path, body, options, (view) => `VM ${name} ${describe(view)}`);
}
