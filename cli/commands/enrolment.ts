// `nearmiss host add` and `host revoke`: letting hosts in, and putting them out.
import { isIPv6, SocketAddress } from "node:net";
import type { Command } from "../../common/commander.ts";
import { joinLine } from "../../schema/plain/index.ts";
import type { JoinTokenView } from "../../schema/rest/index.ts";
import { addConnectionOptions, type ConnectionOptions, callController, connectionHelp } from "../connection.ts";
import { parseDuration } from "../durations.ts";
import { CliError, RefusedError } from "../errors.ts";
import { action, addOutputOption, format, type OutputOptions } from "../output.ts";

interface AddOptions extends ConnectionOptions, OutputOptions {
  readonly vtep?: string;
  readonly ttl?: number;
}

export function addEnrolmentCommands(host: Command): void {
  addOutputOption(addConnectionOptions(host.command("add")), "text")
    .summary("let a host enrol")
    .description(
      "Prints the command to run on the host, with a join token that is valid for one host and one key.\n" +
        "An unregistered host is registered now (--vtep) or when its agent first connects, with the agent's address.",
    )
    .argument("<name>", "the host's name")
    .option("--vtep <ip>", "register the host with this underlay address")
    .option("--ttl <time>", "how long the token is valid, 1s … 7d (default: 1h)", parseDuration)
    .addHelpText("after", connectionHelp)
    .action(
      action(async (name: string, options: AddOptions) => {
        if (options.vtep !== undefined) await register(options, name, options.vtep);
        const body = options.ttl === undefined ? {} : { ttlSeconds: Math.ceil(options.ttl / 1_000) };
        const path = `${pathOf(name)}/join-token`;
        const made = await callController<JoinTokenView>(options, "POST", path, body).catch((error: unknown) => {
          if (options.vtep === undefined || !isRefused(error, "no-tls")) throw error;
          throw new CliError(`host ${name} is registered. There is no join line: ${error.message}`, error.status);
        });
        return format(options.output, made, () => {
          process.stderr.write(explain(made));
          return `${joinLine(made)}\n`;
        });
      }),
    );

  addConnectionOptions(host.command("revoke"))
    .summary("refuse a host's certificates")
    .description(
      "Refuses every certificate and join token of the host, and ends its agent's session. The host's entries stay as " +
        "they are; `nearmiss host add` allows it to enrol again.",
    )
    .argument("<name>", "the host's name")
    .addHelpText("after", connectionHelp)
    .action(
      action(async (name: string, options: ConnectionOptions) => {
        await callController<void>(options, "POST", `${pathOf(name)}/revoke`);
        return `host ${name} is revoked\n`;
      }),
    );
}

const pathOf = (name: string): string => `/v1/hosts/${encodeURIComponent(name)}`;

const isRefused = (error: unknown, type: RefusedError["type"]): error is RefusedError =>
  error instanceof RefusedError && error.type === type;

/** A registered host stays as it is, with its port, labels and mark. @throws CliError where it has another VTEP */
/** As the controller writes it (RFC 5952). */
const shortest = (ip: string): string => (isIPv6(ip) ? new SocketAddress({ address: ip, family: "ipv6" }).address : ip);

async function register(options: ConnectionOptions, name: string, vtep: string): Promise<void> {
  try {
    await callController(options, "POST", "/v1/hosts", { name, vtep });
  } catch (error) {
    if (!isRefused(error, "name-taken")) throw error;
    const registered = await callController<{ readonly vtep: string }>(options, "GET", pathOf(name));
    if (registered.vtep === shortest(vtep)) return;
    throw new CliError(
      `host ${name} is registered with VTEP ${registered.vtep}, not ${vtep}: nothing was changed. ` +
        `\`nearmiss host update ${name} --vtep ${vtep}\` changes it`,
      error.status,
    );
  }
}

function explain({ host, expiresAt, enrolled }: JoinTokenView): string {
  const until = `${expiresAt.slice(0, 16).replace("T", " ")}Z`;
  const earlier = enrolled
    ? `${host} has enrolled before: that certificate stays good until \`nearmiss host revoke ${host}\`.\n`
    : "";
  return `${earlier}Run this on ${host} before ${until}, as root. It is shown this once:\n`;
}
