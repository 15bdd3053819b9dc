// The agent's flags.
import { type Command, InvalidArgumentError, Option } from "commander";
import { AddressError, namePattern, parseVtep, type VtepAddress } from "../schema/index.ts";
import { addStatusCommand, parseSocketPath } from "./status/command.ts";
import { defaultSocket, socketDirectory } from "./status/socket-path.ts";

export interface AgentFlags {
  readonly controller: URL;
  readonly host: string;
  readonly vtep?: VtepAddress;
  readonly announce: boolean;
  /** For `agent status` and `explain`. */
  readonly socket: string;
  readonly logLevel: string;
}

type GivenFlags = Omit<AgentFlags, "announce" | "controller" | "host" | "socket"> &
  Partial<Pick<AgentFlags, "controller" | "host" | "socket">> & { readonly announce: "on" | "off" };

export function addAgentCommand(program: Command): void {
  const agent = program
    .command("agent")
    .summary("answer this host's neighbour misses")
    .description(
      "Answers this host's neighbour misses from the controller. Needs CAP_NET_ADMIN and CAP_NET_RAW (run it as root).\n" +
        "Makes a bridge nmb<vni> and a vxlan device nmv<vni> for each network that has a VM on this host; attach the VMs' " +
        "taps or veths to the bridge. Stopping it (SIGTERM) leaves devices and entries in place.",
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .addHelpText(
      "after",
      "\nExit status: 0 after SIGINT or SIGTERM; 1 where it cannot start or failed; 2 for a wrong option.",
    )
    .option("--controller <url>", "the controller, such as http://192.0.2.1:4788 (required)", parseController)
    .option("--host <name>", "this host's name in the inventory (required)", parseName)
    .option("--vtep <ip>", "this host's underlay address (default: what the operator registered)", parseVtepFlag)
    .addOption(
      new Option(
        "--announce <mode>",
        "tell waiting guests what has become known, and prepare the way back; off (for comparison) makes each first " +
          "packet wait for the guest's own next try",
      )
        .choices(["on", "off"])
        .default("on"),
    )
    .addOption(
      new Option("--log-level <level>", "least severe line to log, as JSON on standard error")
        .choices(["trace", "debug", "info", "warn", "error", "fatal"])
        .default("info"),
    )
    .option(
      "--socket <path>",
      `local socket for "agent status" and "explain", its owner's alone (default: ${socketDirectory}/HOST.sock)`,
      parseSocketPath,
    )
    .action(async ({ announce, controller, host, ...flags }: GivenFlags) => {
      // Not `requiredOption`: commander would want them for `agent status` too.
      if (!controller) return agent.error("error: required option '--controller <url>' not specified");
      if (host === undefined) return agent.error("error: required option '--host <name>' not specified");
      const { runAgent } = await import("./main.ts");
      await runAgent({ socket: defaultSocket(host), ...flags, controller, host, announce: announce === "on" });
    });
  addStatusCommand(agent);
}

function parseController(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new InvalidArgumentError("Write a URL such as http://192.0.2.1:4788.");
  }
  return url;
}

function parseName(text: string): string {
  if (!new RegExp(namePattern).test(text)) {
    throw new InvalidArgumentError("A name is 1 … 63 of letters, digits, '.', '_' and '-'.");
  }
  return text;
}

function parseVtepFlag(text: string): VtepAddress {
  try {
    return parseVtep(text);
  } catch (error) {
    if (error instanceof AddressError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
