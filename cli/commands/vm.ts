// `nearmiss vm`: VMs and containers.
import type { Command } from "../../common/commander.ts";
import { defined } from "../../common/defined.ts";
import type { VmView } from "../../schema/rest/index.ts";
import { parseDuration } from "../durations.ts";
import { action, type Cell } from "../output.ts";
import { conditionFields, conditionsCell } from "./condition-cells.ts";
import { collectInterfaceChange, collectNewInterface, type InterfaceWords, interfaceHelp } from "./interfaces.ts";
import { addMoveCommands } from "./move.ts";
import { addDelete, addGet, addList, labelText, subcommand } from "./resource.ts";
import type { Resource } from "./resource-kind.ts";
import { addCreateOptions, addUpdateOptions, collect, create, update, type WriteOptions } from "./writing.ts";

export const vms: Resource<VmView> = {
  kind: "vm",
  plural: "vms",
  noun: "VM",
  nouns: "VMs",
  header: ["NAME", "HOST", "AGENT", "NETWORKS", "IPS", "CONDITIONS", "LABELS"],
  row: ({ name, host, hostConnected, interfaces, labels, conditions }) => [
    name,
    host,
    agentOf(hostConnected),
    [...new Set(interfaces.map(({ network }) => network))].join(",") || "-",
    interfaces.flatMap(({ ips }) => ips).join(",") || "-",
    conditionsCell(conditions),
    labelText(labels),
  ],
  wideHeader: ["MACS", "PORTS", "DESCRIPTION", "REVISION"],
  wideRow: ({ interfaces, description, revision }) => [
    interfaces.map(({ mac }) => mac).join(",") || "-",
    interfaces.flatMap(({ port, parent }) => port ?? parent ?? []).join(",") || "-",
    description || "-",
    String(revision),
  ],
  fields: ({ host, hostConnected, preparedHost, interfaces, ownerNetworks, conditions }) => [
    ["host", host],
    ...(preparedHost === undefined ? [] : [["migrates to", preparedHost] as const]),
    ["host's agent", agentOf(hostConnected)],
    ...interfaces.map((each) => [each.name, describeInterface(each)] as const),
    ...(ownerNetworks === undefined ? [] : [["belongs to", ownerNetworks.join(", ")] as const]),
    ...conditionFields(conditions),
  ],
  pending: ({ ready, notReady }) => (ready === false ? (notReady ?? "") : undefined),
};

function agentOf(isConnected: boolean): Cell {
  return isConnected ? { text: "connected", colour: "green" } : { text: "disconnected", colour: "yellow" };
}

export function describeInterface({
  network,
  mac,
  ips,
  port,
  parent,
  router,
  allowedAddresses = [],
}: Omit<VmView["interfaces"][number], "name">): string {
  const place = port === undefined ? (parent === undefined ? [] : [`in ${parent}`]) : [`port ${port}`];
  const allowed = allowedAddresses.length === 0 ? [] : [`may take ${allowedAddresses.map(({ ip }) => ip).join(" ")}`];
  return [network, mac, ...ips, ...place, ...(router ? ["router"] : []), ...allowed].join(" ");
}

interface VmOptions extends WriteOptions {
  readonly host?: string;
  readonly interface?: readonly InterfaceWords[];
  readonly removeInterface?: readonly string[];
  readonly ownerNetwork?: readonly string[];
  readonly wait?: boolean;
  readonly timeout?: number;
}

const defaultWaitMs = 10_000;
const ownerHelp = "of a VM without interfaces: tokens for all of these networks see and change it; may be repeated";

export function addVmCommand(program: Command): void {
  const group = program
    .command("vm")
    .summary("VMs and containers")
    .description(
      "VMs and containers in the network's inventory: creating one here registers it, deleting it leaves the VM running.",
    );
  addList(group, vms, ["network", "host", "ip", "mac"], {
    problems: { help: "only those with conditions", fits: ({ conditions = [] }) => conditions.length > 0 },
  });
  addGet(group, vms);

  const createCommand = subcommand(group, "create", "register a VM")
    .description(
      "Registers a VM on a host, where its hypervisor starts it. If MAC and IPs are left out, they are assigned from the network's subnets.\n" +
        "With --wait, it returns when the host has created the bridges that the VM's ports are attached to.",
    )
    .argument("<name>", "1 … 63 of letters, digits, '.', '_', '-'; it does not change")
    .requiredOption("--host <name>", "the host that it runs on")
    .option("-i, --interface <words>", `${interfaceHelp}; may be repeated`, collectNewInterface)
    .option("--owner-network <name>", ownerHelp, collect);
  addCreateOptions(addWait(createCommand)).action(
    action((name: string, { host, interface: interfaces = [], ownerNetwork, ...options }: VmOptions) =>
      create(vms, name, { fields: { host, interfaces, ...ownersIn(ownerNetwork) }, ...waitOf(options) }, options),
    ),
  );

  const updateCommand = subcommand(group, "update", "change a VM")
    .description("Changes the fields that are given; the others stay as they are.")
    .argument("<name>", "as `nearmiss vm list` shows it")
    .option(
      "--host <name>",
      "the host that it runs on from now on; `nearmiss vm move` can wait until all hosts confirm",
    )
    .option(
      "-i, --interface <words>",
      "name=… and the changes: network=, mac=, ip=, port=, parent=, router=, allowed=; mac=auto or ip=auto assigns a new one, port=none, parent=none and allowed=none remove it; may be repeated",
      collectInterfaceChange,
    )
    .option("--remove-interface <name>", "may be repeated", collect)
    .option("--owner-network <name>", ownerHelp, collect);
  addUpdateOptions(addWait(updateCommand)).action(
    action((name: string, { host, interface: changed, removeInterface, ownerNetwork, ...options }: VmOptions) =>
      update(
        vms,
        name,
        {
          fields: { host, interfaces: patchOf(changed, removeInterface), ...ownersIn(ownerNetwork) },
          ...waitOf(options),
        },
        options,
      ),
    ),
  );

  addMoveCommands(group);
  addDelete(
    group,
    vms,
    "A VM that runs goes on running, without its networks' entries: only the inventory is changed.",
  );
}

function addWait(command: Command): Command {
  return command
    .option("--wait", "return when the VM's host has created its bridges")
    .option("--timeout <time>", "how long to wait, 1s … 60s (default: 10s)", parseDuration);
}

function waitOf({ wait, timeout = defaultWaitMs }: VmOptions) {
  return wait ? { query: { wait: "ready", timeoutMs: timeout }, waitMs: timeout } : {};
}

function ownersIn(ownerNetworks: readonly string[] | undefined): object {
  return defined({ ownerNetworks });
}

/** Interfaces by name (RFC 7396): null removes one. */
function patchOf(changed: readonly InterfaceWords[] = [], removed: readonly string[] = []): object | undefined {
  if (changed.length === 0 && removed.length === 0) return undefined;
  const changes = changed.map(({ name = "", ...change }) => [name, change] as const);
  return Object.fromEntries([...changes, ...removed.map((name) => [name, null] as const)]);
}
