// `nearmiss host`: the machines that run an agent.
import type { Command } from "../../common/commander.ts";
import { parseCount } from "../numbers.ts";
import { action } from "../output.ts";
import { addDeadHostCommands } from "./dead-host.ts";
import { addEnrolmentCommands } from "./enrolment.ts";
import { defaultPort, hosts } from "./host-kind.ts";
import { addDelete, addGet, addList, subcommand } from "./resource.ts";
import { addCreateOptions, addUpdateOptions, create, update, type WriteOptions } from "./writing.ts";

interface HostOptions extends WriteOptions {
  readonly vtep?: string;
  readonly port?: number;
}

export function addHostCommand(program: Command): void {
  const group = program.command("host").summary("hosts: machines with an agent").description("Machines with an agent.");
  addList(group, hosts, ["network"], {
    disconnected: { help: "only those without a connected agent", fits: ({ connected }) => !connected },
    problems: {
      help: "only those with conditions; a token that is limited to networks sees those of its networks",
      fits: ({ problems, conditions = [] }) => problems.length + conditions.length > 0,
    },
  });
  addGet(group, hosts);

  const createCommand = subcommand(group, "create", "register a host")
    .description("Registers a host before its agent connects.")
    .argument("<name>", "as in the agent's --host")
    .requiredOption("--vtep <ip>", "underlay address of its tunnel endpoint");
  addCreateOptions(addPort(createCommand)).action(
    action((name: string, { vtep, port, ...options }: HostOptions) =>
      create(hosts, name, { fields: { vtep, port } }, options),
    ),
  );

  const updateCommand = subcommand(group, "update", "change a host")
    .description("Changes the fields that are given; the others stay as they are.")
    .argument("<name>", "as `nearmiss host list` shows it")
    .option("--vtep <ip>", "underlay address of its tunnel endpoint");
  addUpdateOptions(addPort(updateCommand)).action(
    action((name: string, { vtep, port, ...options }: HostOptions) =>
      update(hosts, name, { fields: { vtep, port } }, options),
    ),
  );

  addDelete(group, hosts).option("--force", "also delete all its VMs; the host must be marked down");
  addDeadHostCommands(group);
  addEnrolmentCommands(group);
}

function addPort(command: Command): Command {
  return command.option("--port <n>", `UDP port of the tunnel endpoint (default: ${defaultPort})`, parseCount);
}
