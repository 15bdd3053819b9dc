// `nearmiss status`: the state on one screen, by one request.
import type { Command } from "../../common/commander.ts";
import type { OverviewView } from "../../schema/rest/index.ts";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import { formatAge } from "../durations.ts";
import { action, addOutputOption, type Cell, format, formatFields, type OutputOptions, paint } from "../output.ts";
import { sentenceOf } from "./condition-cells.ts";

/** Exit status where something needs attention: none of those that failures have. */
export const needsAttention = 7;

/** As an earlier controller answers, which lacks the fields of later ones. */
type Overview = Partial<OverviewView> & Pick<OverviewView, "concerns" | "concernCount">;

const help = `
Exit status: 0 nothing needs attention, ${needsAttention} something does, 1 refused or failed, 2 wrong usage, 5 controller unreachable.
What needs attention is shown with the kind that docs/conditions.md describes.
With a token that is limited to networks, it counts what that token sees, and shows the conditions of its networks.`;

export function addStatusCommand(program: Command): void {
  addOutputOption(addConnectionOptions(program.command("status")), "text")
    .summary("show the state on one screen, and what needs attention")
    .description(
      "Shows the controller, counts of hosts, networks and VMs, and what needs attention, as the dashboard's first page does.",
    )
    .addHelpText("after", help)
    .addHelpText("after", connectionHelp)
    .action(
      action(async ({ output, ...options }: ConnectionOptions & OutputOptions) => {
        const client = await connect(options);
        const overview = await client.call<Overview>("GET", "/v1/overview");
        if (overview.concernCount > 0 || overview.ready === false) process.exitCode = needsAttention;
        const { origin } = client.settings.controller;
        return format(output, { controller: origin, ...overview }, () => describe(origin, overview));
      }),
    );
}

function describe(address: string, overview: Overview): string {
  const { hosts = 0, hostsConnected = 0, hostsDown = 0, hostsWithProblems = 0, networks, vms, ready } = overview;
  const { version, epoch, revision, uptimeSeconds, agentVersions = [], conditions, concerns, concernCount } = overview;
  const state: Cell = ready === false ? { text: "accepts no change: see its log", colour: "red" } : "ready";
  const about = [
    address,
    ...(version === undefined ? [] : [`version ${version}`]),
    ...(uptimeSeconds === undefined ? [] : [`up ${formatAge(uptimeSeconds * 1_000)}`]),
    paint(state),
  ];
  const parts = [
    `${hostsConnected} connected`,
    `${hosts - hostsConnected} disconnected`,
    ...(hostsDown === 0 ? [] : [`${hostsDown} marked down`]),
    `${hostsWithProblems} with other conditions`,
  ];
  const agents = agentVersions.map((each) => `${each.version} on ${each.hosts}`).join(", ");
  const fields = formatFields([
    ["controller", about.join(", ")],
    ["revision", `${revision}${epoch === undefined ? "" : `, epoch ${epoch}`}`],
    ["hosts", hosts === 0 ? "0" : `${hosts}: ${parts.join(", ")}`],
    ["networks", String(networks)],
    ["VMs", String(vms)],
    ...(agents === "" ? [] : [["agents", `version ${agents}`] as const]),
  ]);
  if (concernCount === 0) return `${fields}\nNothing needs attention.\n`;
  const named = conditions
    ? conditions.map(
        (each) => [each.host === undefined ? "controller" : `host ${each.host}`, each.kind, sentenceOf(each)] as const,
      )
    : concerns.map(({ host, detail }) => [`host ${host}`, "", detail] as const);
  const lines = named.map(
    ([name, kind, says]) =>
      `  ${paint({ text: name, colour: "yellow" })}  ${kind === "" ? "" : `${kind}  `}${paint(says)}\n`,
  );
  const rest = concernCount > named.length ? `  … ${concernCount} in all\n` : "";
  return `${fields}\nNeeds attention:\n${lines.join("")}${rest}`;
}
