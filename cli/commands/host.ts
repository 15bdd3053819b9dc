// `nearmiss host`: the machines that run an agent.
import type { Command } from "commander";
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
  addList(group, hosts, ["network"]);
  addGet(group, hosts);

  const createCommand = subcommand(group, "create", "register a host")
    .description("Registers a host before its agent comes.")
    .argument("<name>", "as the agent's --host says it")
    .requiredOption("--vtep <ip>", "underlay address of its tunnel end");
  addCreateOptions(addPort(createCommand)).action(
    action((name: string, { vtep, port, ...options }: HostOptions) =>
      create(hosts, name, { fields: { vtep, port } }, options),
    ),
  );

  const updateCommand = subcommand(group, "update", "change a host")
    .description("Changes what is named, and leaves the rest as it is.")
    .argument("<name>", "as `nearmiss host list` shows it")
    .option("--vtep <ip>", "underlay address of its tunnel end");
  addUpdateOptions(addPort(updateCommand)).action(
    action((name: string, { vtep, port, ...options }: HostOptions) =>
      update(hosts, name, { fields: { vtep, port } }, options),
    ),
  );

  addDelete(group, hosts).option("--force", "with all its VMs, where it is marked down");
  addDeadHostCommands(group);
  addEnrolmentCommands(group);
}

function addPort(command: Command): Command {
  return command.option("--port <n>", `UDP port of the tunnel end (default: ${defaultPort})`, parseCount);
}
