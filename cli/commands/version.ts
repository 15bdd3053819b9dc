// `nearmiss version`: of this command, and of the controller.
import type { Command } from "../../common/commander.ts";
import type { IdentityView } from "../../schema/rest/index.ts";
import { version } from "../../schema/version.ts";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import { CliError } from "../errors.ts";
import { action, addOutputOption, format, formatFields, type OutputOptions } from "../output.ts";

interface Options extends ConnectionOptions, OutputOptions {
  readonly client?: boolean;
}

export function addVersionCommand(program: Command): void {
  addOutputOption(addConnectionOptions(program.command("version")), "text")
    .summary("print the versions of this command and of the controller")
    .description(
      "Prints the version of this command, of its Node, and of the controller. `nearmiss status` shows those of agents.",
    )
    .option("--client", "only of this command: no request is sent")
    .addHelpText("after", connectionHelp)
    .action(
      action(async function* ({ output, client: isLocal, ...options }: Options) {
        const own = { version, node: process.versions.node };
        if (isLocal) {
          yield await format(output, { client: own }, () => describe(own));
          return;
        }
        const asked = await askController(options);
        if (asked instanceof CliError) {
          yield await format(output, { client: own, controller: null }, () => describe(own));
          throw asked;
        }
        yield await format(output, { client: own, controller: asked }, () => describe(own, asked));
      }),
    );
}

interface ControllerVersion {
  readonly version: string;
  readonly url: string;
}

async function askController(options: ConnectionOptions): Promise<ControllerVersion | CliError> {
  try {
    const client = await connect(options);
    const { version: itsVersion } = await client.call<IdentityView>("GET", "/v1/identity");
    return { version: itsVersion, url: client.settings.controller.origin };
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
}

function describe(own: { readonly version: string; readonly node: string }, controller?: ControllerVersion): string {
  return formatFields([
    ["nearmiss", `${own.version} on Node ${own.node}`],
    ...(controller ? [["controller", `${controller.version} at ${controller.url}`] as const] : []),
  ]);
}
