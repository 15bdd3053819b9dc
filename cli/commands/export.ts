// `nearmiss export`: the whole inventory, to be imported or applied again.
import type { Command } from "../../common/commander.ts";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import type { Fields } from "../fleet/fleet.ts";
import { action, addOutputOption, type OutputOptions } from "../output.ts";

export function addExportCommand(program: Command): void {
  addOutputOption(addConnectionOptions(program.command("export")), null)
    .summary("print the whole inventory")
    .description(
      "Prints the inventory at one revision: one JSON object per line for `nearmiss import`, or YAML for `nearmiss apply`.",
    )
    .addHelpText("after", connectionHelp)
    .action(
      action(async function* ({ output, ...options }: ConnectionOptions & OutputOptions) {
        const client = await connect(options);
        if (output === "json") {
          for await (const line of client.textLines("GET", "/v1/export")) yield `${line}\n`;
          return;
        }
        const { formatFleet } = await import("../fleet/document.ts");
        const { presentOf } = await import("../fleet/fleet.ts");
        const lines: Fields[] = [];
        for await (const line of client.lines<Fields>("GET", "/v1/export")) lines.push(line);
        yield await formatFleet(presentOf(lines));
      }),
    );
}
