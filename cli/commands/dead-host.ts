// `nearmiss host down`, `up`, `evacuate`: hosts that are dead, or are to be taken away.
import type { Command } from "../../common/commander.ts";
import type { EvacuationView } from "../../schema/rest/index.ts";
import { addWaitOptions, type WaitOptions, withProgress } from "../confirmations.ts";
import { action } from "../output.ts";
import { hosts } from "./host-kind.ts";
import { pathOf, subcommand } from "./resource.ts";
import { addUpdateOptions, collect, update, type WriteOptions } from "./writing.ts";

const hostHelp = "as `nearmiss host list` shows it";

interface EvacuateOptions extends WaitOptions {
  readonly to: readonly string[];
}

export function addDeadHostCommands(group: Command): void {
  const mark = (verb: string, down: boolean, summary: string, description: string) =>
    addUpdateOptions(subcommand(group, verb, summary))
      .description(description)
      .argument("<name>", hostHelp)
      .action(action((name: string, options: WriteOptions) => update(hosts, name, { fields: { down } }, options)));
  mark(
    "down",
    true,
    "mark a host as dead or unreachable",
    "Marks a host down: no VM is placed on it, and moves do not wait for it. Its VMs stay registered: `evacuate` moves them.",
  );
  mark("up", false, "mark a host as back", "Removes the mark.");

  addWaitOptions(subcommand(group, "evacuate", "move all VMs of a host to others"))
    .description(
      "Moves all VMs of a host in one revision, each to the --to host with the fewest VMs at that point. --dry-run shows the plan.",
    )
    .argument("<name>", hostHelp)
    .requiredOption("--to <host>", "a host that VMs may move to; may be repeated", collect)
    .action(
      action((name: string, { to, ...options }: EvacuateOptions) =>
        withProgress<EvacuationView>(`${pathOf(hosts, name)}/evacuate`, { to }, options, ({ moved }) => {
          const lines = moved.map((each) => `${each.vm} → ${each.to}\n`).join("");
          return `${lines}host ${name}: ${moved.length === 1 ? "1 VM" : `${moved.length} VMs`}`;
        }),
      ),
    );
}
