// `nearmiss export`: the whole inventory, to be imported or applied again.
import type { Command } from "commander";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import { action } from "../output.ts";

export function addExportCommand(program: Command): void {
  addConnectionOptions(program.command("export"))
    .summary("print the whole inventory")
    .description("Prints everything as it stands at one revision, as NDJSON that `nearmiss import` reads.")
    .addHelpText("after", connectionHelp)
    .action(
      action(async function* (options: ConnectionOptions) {
        for await (const line of connect(options).textLines("GET", "/v1/export")) yield `${line}\n`;
      }),
    );
}
