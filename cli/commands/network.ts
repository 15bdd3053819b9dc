// `nearmiss network`: overlay segments.
import { type Command, Option } from "../../common/commander.ts";
import { broadcastModes, describeBroadcast, describeKnowledge, knowledgeModes } from "../../schema/plain/index.ts";
import type { GroupList, NetworkView, ThawView } from "../../schema/rest/index.ts";
import { type ConnectionOptions, callController } from "../connection.ts";
import { parseDuration } from "../durations.ts";
import { parseCount } from "../numbers.ts";
import { action, format, formatTable, type OutputOptions } from "../output.ts";
import { conditionFields } from "./condition-cells.ts";
import { addDelete, addGet, addList, labelText, pathOf, subcommand } from "./resource.ts";
import type { Resource } from "./resource-kind.ts";
import { addCreateOptions, addUpdateOptions, collect, create, update, type WriteOptions } from "./writing.ts";

export const networks: Resource<NetworkView> = {
  kind: "network",
  plural: "networks",
  noun: "network",
  nouns: "networks",
  header: ["NAME", "VNI", "SUBNETS", "MTU", "LABELS"],
  row: ({ name, vni, subnets, mtu, labels }) => [name, String(vni), subnets.join(","), String(mtu), labelText(labels)],
  wideHeader: ["GATEWAYS", "DESCRIPTION", "REVISION"],
  wideRow: ({ gateways, description, revision }) => [gateways?.join(",") ?? "-", description || "-", String(revision)],
  fields: ({ vni, subnets, mtu, gateways, reserved, quarantineSeconds, conditions = [], ...network }) => [
    ["vni", String(vni)],
    ["subnets", subnets.join(", ")],
    ["mtu", String(mtu)],
    ["gateways", gateways?.join(", ") ?? "the first host address of each subnet"],
    ...(reserved ? [["reserved", reserved.join(", ")] as const] : []),
    ...(quarantineSeconds === undefined ? [] : [["quarantine", `${quarantineSeconds} s`] as const]),
    ["knowledge", describeKnowledge(network)],
    ["broadcast", describeBroadcast(network)],
    ...conditionFields(
      conditions.map(({ network: _, host, reason, ...each }) => ({ ...each, reason: `host ${host}: ${reason}` })),
    ),
  ],
};

interface NetworkOptions extends WriteOptions {
  readonly vni?: number;
  readonly subnet?: readonly string[];
  readonly mtu?: number;
  readonly gateway?: readonly string[];
  readonly reserved?: readonly string[];
  readonly quarantine?: number;
  readonly knowledge?: string;
  readonly broadcast?: string;
}

export function addNetworkCommand(program: Command): void {
  const group = program.command("network").summary("networks: overlay segments").description("Overlay segments.");
  addList(group, networks, ["host"]);
  addGet(group, networks);

  const vni = "VXLAN network identifier, 1 … 16777215";
  const createCommand = subcommand(group, "create", "create a network")
    .description("Creates a network. VMs that name no addresses get them from its subnets.")
    .argument("<name>", "1 … 63 of letters, digits, '.', '_', '-'; it does not change")
    .requiredOption("--vni <n>", vni, parseCount)
    .requiredOption("--subnet <cidr>", "a subnet of the guests; may be repeated", collect);
  addCreateOptions(addFields(createCommand)).action(
    action((name: string, options: NetworkOptions) => create(networks, name, { fields: fieldsOf(options) }, options)),
  );

  const updateCommand = subcommand(group, "update", "change a network")
    .description("Changes the fields that are given; the others stay as they are. A list is replaced as a whole.")
    .argument("<name>", "as `nearmiss network list` shows it")
    .option("--vni <n>", `${vni}; only while no VM is in it`, parseCount)
    .option("--subnet <cidr>", "a subnet; may be repeated: replaces all subnets", collect);
  addUpdateOptions(addFields(updateCommand)).action(
    action((name: string, options: NetworkOptions) => update(networks, name, { fields: fieldsOf(options) }, options)),
  );

  subcommand(group, "groups", "multicast groups with members in a network, and their hosts")
    .description(
      "Of a network with broadcast replicate: the groups that its guests have joined, as they report them (IGMP, MLD).\n" +
        "Frames to a group are copied to its hosts.",
    )
    .argument("<name>", "the network")
    .action(
      action(async (name: string, options: ConnectionOptions & OutputOptions) => {
        const list = await callController<GroupList>(options, "GET", `${pathOf(networks, name)}/groups`);
        return format(options.output, list, () => groupTable(list));
      }),
    );

  subcommand(group, "thaw", "let an address move between guests again")
    .description(
      "An address that several interfaces may take, and that moves five times within 180 s, stays where it is.\n" +
        "Find out why before you thaw it.",
    )
    .argument("<name>", "the network")
    .argument("<ip>", "the address")
    .action(
      action(async (name: string, ip: string, options: ConnectionOptions & OutputOptions) => {
        const view = await callController<ThawView>(options, "POST", `${pathOf(networks, name)}/thaw`, { ip });
        const said = view.thawed ? "may move again" : "is not frozen";
        return format(options.output, view, () => `${view.ip} in network ${view.network} ${said}\n`);
      }),
    );
  addDelete(group, networks);
}

function groupTable({ network, items, total }: GroupList): string {
  if (total === 0) return `no guest of network ${network} is in a multicast group that is copied\n`;
  const more = total - items.length;
  const rows = items.map(({ group, hosts }) => [group, hosts.join(",")]);
  return `${formatTable(["GROUP", "HOSTS"], rows)}${more > 0 ? `and ${more} more groups\n` : ""}`;
}

function addFields(command: Command): Command {
  return command
    .option("--mtu <bytes>", "MTU of the guests (default: 1450)", parseCount)
    .option("--gateway <ip>", "address of a gateway, never assigned; may be repeated", collect)
    .option("--reserved <range>", "first-last, CIDR or IP that is never assigned; may be repeated", collect)
    .option("--quarantine <time>", "how long a released address is not reassigned (default: 5m)", parseDuration)
    .addOption(
      new Option(
        "--knowledge <mode>",
        "what hosts have in memory before guests ask; auto: by size (default: on-demand)",
      ).choices(knowledgeModes),
    )
    .addOption(
      new Option(
        "--broadcast <mode>",
        "copy IPv4 broadcasts of guests to every host with a VM in it, and multicasts to those with a member (default: off)",
      ).choices(broadcastModes),
    );
}

function fieldsOf({ vni, subnet, mtu, gateway, reserved, quarantine, knowledge, broadcast }: NetworkOptions): object {
  const quarantineSeconds = quarantine === undefined ? undefined : Math.ceil(quarantine / 1_000);
  return { vni, subnets: subnet, mtu, gateways: gateway, reserved, quarantineSeconds, knowledge, broadcast };
}
