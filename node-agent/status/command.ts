// The flags of `nearmiss agent status` and `nearmiss explain`. What runs loads only when it runs.
import { type Command, InvalidArgumentError } from "../../common/commander.ts";
import { AddressError, type IpAddress, parseIp } from "../../schema/address/index.ts";
import { namePattern } from "../../schema/plain/index.ts";
import type { ExplainFlags, Output, StatusFlags } from "./command-flags.ts";
import { socketDirectory, whyNoSocketPath } from "./socket-path.ts";

const socketFlag = "the agent's local socket";
const which = `(default: that of --host, or of the only agent in ${socketDirectory})`;

const statusHelp = `
Exit status: 0 when the agent answered; 1 when it did not; 2 for a wrong option; 5 when no agent runs.`;

const explainHelp = `
Run it on the host of the first address. It compares the inventory (asked of the controller), the agent's memory and the
kernel (read afresh), and changes nothing.

Exit status: 0 when no problem was found; 1 when one was, or when no agent runs; 2 for a wrong option.

Example:
  nearmiss explain --network blue 10.20.1.1 10.20.1.7`;

/** @param agent the command of the agent itself */
export function addStatusCommand(agent: Command, { addOutputOption, format }: Output): void {
  addOutputOption(agent.command("status"), "text")
    .summary("show the state of the running agent")
    .description(
      "Asks the running agent of this host for its session, devices, entries, last misses, counters and problems.",
    )
    .option("--socket <path>", `${socketFlag} ${which}`, parseSocketPath)
    .option("--host <name>", "the agent's host name, if several agents run on this machine", parseHostName)
    .option("--all", "every entry and every miss instead of the first few (json and yaml have all)", false)
    .addHelpText("after", statusHelp)
    .configureHelp({ showGlobalOptions: false })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .action(async (_: unknown, command: Command) => {
      // `agent` has --socket and --host as well, and commander gives them to the outer command.
      const flags = command.optsWithGlobals<StatusFlags>();
      const { runStatus } = await import("./run.ts");
      process.exitCode = await runStatus(flags, format);
    });
}

export function addExplainCommand(program: Command, { addOutputOption, format }: Output): void {
  addOutputOption(program.command("explain"), "text")
    .summary("find out why one guest cannot reach another")
    .description("Checks the path from a guest of this host to another guest and reports the first problem.")
    .argument("<from>", "address of a guest on this host", parseAddress)
    .argument("<to>", "address of any guest of the network", parseAddress)
    .requiredOption("--network <name>", "the network of both", parseHostName)
    .option("--socket <path>", `${socketFlag} ${which}`, parseSocketPath)
    .option("--host <name>", "the agent's host name, if several agents run on this machine", parseHostName)
    .addHelpText("after", explainHelp)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .action(async (from: IpAddress, to: IpAddress, flags: ExplainFlags) => {
      const { runExplain } = await import("./run.ts");
      process.exitCode = await runExplain(from, to, flags, format);
    });
}

/** @throws InvalidArgumentError */
export function parseSocketPath(text: string): string {
  const fault = whyNoSocketPath(text);
  if (fault !== undefined) throw new InvalidArgumentError(fault);
  return text;
}

function parseHostName(text: string): string {
  if (!new RegExp(namePattern).test(text)) {
    throw new InvalidArgumentError("A name is 1 … 63 of letters, digits, '.', '_' and '-'.");
  }
  return text;
}

function parseAddress(text: string): IpAddress {
  try {
    return parseIp(text);
  } catch (error) {
    if (error instanceof AddressError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
