// `nearmiss vm move`: to another host, and who has followed.
import type { Command } from "commander";
import type { MoveView } from "../../schema/index.ts";
import { confirmed, describeOutcome, noteUnconfirmed, type Wait } from "../confirmations.ts";
import { connect } from "../connection.ts";
import { parseDuration } from "../durations.ts";
import { action, format } from "../output.ts";
import { type CommonOptions, subcommand } from "./resource.ts";

interface MoveOptions extends CommonOptions, Wait {}

export function addMoveCommands(group: Command): void {
  addWaitOptions(subcommand(group, "move", "move a VM to another host"))
    .description(
      "Moves a VM with all its interfaces. With --wait each host that holds the VM is named as it confirms that its kernel\n" +
        "follows. Who has not by the deadline is listed with the reason, and the exit status is 1; the move stands.",
    )
    .argument("<name>", "as `nearmiss vm list` shows it")
    .argument("<host>", "where it runs from now on")
    .action(
      action((name: string, host: string, options: MoveOptions) =>
        act(name, "move", { host }, options, ({ from, to }) => (from === to ? `is on ${to}` : `moves ${from} → ${to}`)),
      ),
    );
}

async function* act(
  name: string,
  verb: string,
  body: object,
  options: MoveOptions,
  describe: (view: MoveView) => string,
): AsyncGenerator<string> {
  const lines = confirmed<MoveView>(connect(options), `/v1/vms/${encodeURIComponent(name)}/${verb}`, body, options);
  for (;;) {
    const { done, value } = await lines.next();
    if (!done) {
      if (options.output === "table") yield value;
      continue;
    }
    noteUnconfirmed(value, options);
    yield await format(options.output, value, () => `VM ${name} ${describe(value)}, ${describeOutcome(value)}`);
    return;
  }
}

export function addWaitOptions(command: Command): Command {
  return command
    .option("--wait", "return when every host that it concerns has confirmed")
    .option("--timeout <time>", "how long to wait, at most 60s (default: 10s)", parseDuration)
    .option("--dry-run", "check everything, change nothing");
}
