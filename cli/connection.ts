// The flags that every command has which asks a controller.
import { type Command, InvalidArgumentError, Option } from "../common/commander.ts";
import { defined } from "../common/defined.ts";
import type { Client } from "./client.ts";
import { type ConnectionOptions, defaultController, findUrl } from "./settings.ts";

export type { ConnectionOptions } from "./settings.ts";

export const connectionHelp = `
Address and token of the controller: a flag, then the environment, then ~/.config/nearmiss/config.toml (controller,
token-file, ca). The token is in the file of --token-file or NEARMISS_TOKEN_FILE, or is NEARMISS_TOKEN itself.
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 conflict, 5 controller unreachable.`;

export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--controller <url>", `the controller to ask (default: ${defaultController})`)
        .env("NEARMISS_CONTROLLER")
        .argParser(parseUrl),
    )
    .addOption(new Option("--token-file <path>", "file with the token").env("NEARMISS_TOKEN_FILE"))
    .addOption(
      new Option("--ca <path>", "the controller's CA in PEM; with --tls self it is DATABASE.pki/ca.pem").env(
        "NEARMISS_CA",
      ),
    )
    .addOption(new Option("--config <path>", "settings in TOML, instead of the usual file").env("NEARMISS_CONFIG"));
}

/** @throws CliError if a file named by the flags cannot be read */
export async function connect(options: ConnectionOptions): Promise<Client> {
  const { readSettings } = await import("./settings.ts");
  const { Client } = await import("./client.ts");
  return new Client(await readSettings(options));
}

/** One request. @returns the parsed answer, undefined where it is empty @throws CliError saying what to do */
export async function callController<Body>(
  options: ConnectionOptions,
  method: string,
  path: string,
  body?: unknown,
): Promise<Body> {
  return (await connect(options)).call(method, path, defined({ body }));
}

function parseUrl(text: string): URL {
  const url = findUrl(text);
  if (!url) throw new InvalidArgumentError(`Write a URL such as ${defaultController}.`);
  return url;
}
