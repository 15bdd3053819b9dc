// The flags of `nearmiss agent status`, `nearmiss agent remove` and `nearmiss explain`. What runs loads only when it runs.
import { type Command, InvalidArgumentError } from "../../common/commander.ts";
import { AddressError, type IpAddress, isMulticast, parseGroup, parseIp } from "../../schema/address/index.ts";
import { namePattern } from "../../schema/plain/index.ts";
import type { ExplainFlags, GuestNames, Output, RemoveFlags, StatusFlags } from "./command-flags.ts";
import { socketDirectory, whyNoSocketPath } from "./socket-path.ts";

const socketFlag = "the agent's local socket";
const which = `(default: that of --host, or of the only agent in ${socketDirectory})`;

const statusHelp = `
Exit status: 0 when the agent answered; 1 when it did not; 2 for a wrong option; 5 when no agent runs.`;

const removeHelp = `
Nothing is removed that has guests' ports, addresses or traffic, or that a running agent serves a network with; --in-use
removes it all the same. A running agent makes devices of its networks again.

Exit status: 0 when it was removed; 1 when not; 2 for a wrong option; 3 when there is no such device; 4 when it is in use.`;

const explainHelp = `
Run it on the host of the first VM. It compares the inventory (asked of the controller), the agent's memory and the
kernel (read afresh), and changes nothing.

Exit status: 0 when no problem was found; 1 when one was, or when no agent runs; 2 for a wrong option.

Examples:
  nearmiss explain web-1 db-1
  nearmiss explain --network blue 10.20.1.1 10.20.1.7

Names are asked of the controller, as by all other commands; two addresses with --network need no token here.`;

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

/** @param agent the command of the agent itself */
export function addRemoveCommand(agent: Command): void {
  agent
    .command("remove")
    .summary("delete devices that nothing uses")
    .description(
      "Deletes network devices of this host, such as nmv100 and nmb100, after it has looked at what they carry.",
    )
    .argument("<device...>", "names of devices, all deleted together")
    .option("--yes", "do not ask", false)
    .option("--in-use", "also if something uses them", false)
    .option("--socket <path>", `an agent to ask, beside those in ${socketDirectory}`, parseSocketPath)
    .addHelpText("after", removeHelp)
    .configureHelp({ showGlobalOptions: false })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .action(async (names: string[], _: unknown, command: Command) => {
      // `agent` has --socket as well, and commander gives it to the outer command.
      const flags = command.optsWithGlobals<RemoveFlags>();
      const { runRemove } = await import("./remove.ts");
      process.exitCode = await runRemove(names, flags);
    });
}

export function addExplainCommand(program: Command, { addOutputOption, format }: Output, names: GuestNames): void {
  names
    .addConnectionOptions(addOutputOption(program.command("explain"), "text"))
    .summary("find out why one guest cannot reach another")
    .description("Checks the path from a guest of this host to another guest and reports the first problem.")
    .argument("<from>", "a VM on this host, as VM or VM/INTERFACE, or an address of one", parseGuest)
    .argument("<to>", "any VM of the network, an address of one, a broadcast address, or a multicast group", parseTo)
    .option("--network <name>", "the network of both: needed with addresses, or if there are several", parseHostName)
    .option("--socket <path>", `${socketFlag} ${which}`, parseSocketPath)
    .option("--host <name>", "the agent's host name, if several agents run on this machine", parseHostName)
    .addHelpText("after", explainHelp)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .action(async (from: string, to: string, flags: Partial<ExplainFlags> & Pick<ExplainFlags, "output">) => {
      const guests = await names.resolveGuests(flags, { from, to, network: flags.network });
      if ("fault" in guests) {
        process.stderr.write(`nearmiss explain: ${guests.fault}\n`);
        process.exitCode = guests.status;
        return;
      }
      const { runExplain } = await import("./run.ts");
      const { network } = guests;
      process.exitCode = await runExplain(parseIp(guests.from), addressOf(guests.to), { ...flags, network }, format);
    });
}

/** @throws InvalidArgumentError */
export function parseSocketPath(text: string): string {
  const fault = whyNoSocketPath(text);
  if (fault !== undefined) throw new InvalidArgumentError(fault);
  return text;
}

const pattern = new RegExp(namePattern);

function parseHostName(text: string): string {
  if (!pattern.test(text)) {
    throw new InvalidArgumentError("A name is 1 … 63 of letters, digits, '.', '_' and '-'.");
  }
  return text;
}

const broadcast = "255.255.255.255";

/** Also where a broadcast goes: that, or the last address of a subnet; and a multicast group. */
function parseTo(text: string): string {
  if (text === broadcast) return text;
  return isMulticast(text) ? asArgument(() => parseGroup(text)) : parseGuest(text);
}

const addressOf = (text: string): IpAddress =>
  text === broadcast || isMulticast(text) ? (text as IpAddress) : parseIp(text);

/** What is not a name is an address: its canonical text. */
function parseGuest(text: string): string {
  const [vm = "", ofInterface, ...more] = text.split("/");
  const isNumber = /^[\d.]+$/.test(text);
  const isName = [vm, ...(ofInterface === undefined ? [] : [ofInterface])].every((part) => pattern.test(part));
  if (isName && more.length === 0 && !isNumber) return text;
  return asArgument(() => parseIp(text));
}

/** @throws InvalidArgumentError */
function asArgument(parse: () => string): string {
  try {
    return parse();
  } catch (error) {
    if (error instanceof AddressError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
