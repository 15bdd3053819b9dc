// The agent's flags.
import { type Command, InvalidArgumentError, Option } from "commander";
import { AddressError, namePattern, parseVtep, type VtepAddress } from "../schema/index.ts";

export interface AgentFlags {
  readonly controller: URL;
  readonly host: string;
  readonly vtep?: VtepAddress;
  readonly announce: boolean;
  readonly logLevel: string;
}

export function addAgentCommand(program: Command): void {
  program
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
    .requiredOption("--controller <url>", "the controller, such as http://192.0.2.1:4788", parseController)
    .requiredOption("--host <name>", "this host's name in the inventory", parseName)
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
    .action(async ({ announce, ...flags }: Omit<AgentFlags, "announce"> & { announce: "on" | "off" }) => {
      const { runAgent } = await import("./main.ts");
      await runAgent({ ...flags, announce: announce === "on" });
    });
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
