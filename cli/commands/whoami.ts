// `nearmiss whoami`: whom the controller takes the caller for.
import type { Command } from "../../common/commander.ts";
import type { IdentityView } from "../../schema/rest/index.ts";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import { formatAge } from "../durations.ts";
import { action, addOutputOption, format, formatFields, type OutputOptions } from "../output.ts";

const rights: Readonly<Record<IdentityView["role"], string>> = {
  admin: "everything, tokens and the audit trail included",
  operator: "reads and changes",
  viewer: "only reads",
  host: "its own session, and what its own VMs need",
  anyone: "everything: the controller runs with --insecure, without authentication",
};

export function addWhoamiCommand(program: Command): void {
  addOutputOption(addConnectionOptions(program.command("whoami")), "text")
    .summary("show the token's role, networks, hosts and end")
    .description("Shows whom the controller takes you for, and what you may do there.")
    .addHelpText("after", connectionHelp)
    .action(
      action(async ({ output, ...options }: ConnectionOptions & OutputOptions) => {
        const client = await connect(options);
        const identity = await client.call<Partial<IdentityView>>("GET", "/v1/identity");
        const { tokenFrom, controller } = client.settings;
        return format(output, identity, () => describe(identity, controller.origin, tokenFrom));
      }),
    );
}

/** An earlier controller does not say when the token ends. */
function describe(identity: Partial<IdentityView>, controller: string, tokenFrom = "none"): string {
  const { name = "", role = "viewer", networks = null, hosts = null, quota, used, expires } = identity;
  const limits = Object.entries({
    VMs: quota?.vms,
    "VMs per host": quota?.vmsPerHost,
    addresses: quota?.addresses,
    hosts: quota?.hosts,
  })
    .flatMap(([what, max]) => (max === undefined ? [] : [`${max} ${what}`]))
    .join(", ");
  const inUse = used ? `, in use: ${used.vms} VMs, ${used.addresses} addresses, ${used.hosts} hosts` : "";
  return formatFields([
    ["name", name],
    ["role", `${role}: ${rights[role]}`],
    ["networks", networks === null ? "all" : networks.join(", ") || "none"],
    ["places VMs on", role === "viewer" || role === "host" ? "no host" : (hosts?.join(", ") ?? "all hosts")],
    ...(limits === "" ? [] : [["at most", `${limits}${inUse}`] as const]),
    ...(expires === undefined ? [] : [["expires", expiryText(expires)] as const]),
    ["token from", tokenFrom],
    ["controller", controller],
  ]);
}

function expiryText(expires: string | null): string {
  if (expires === null) return "never";
  const leftMs = Date.parse(expires) - Date.now();
  const text = `${expires.slice(0, 16).replace("T", " ")}Z`;
  return leftMs > 0 ? `${text}, in ${formatAge(leftMs)}` : text;
}
