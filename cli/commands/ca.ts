// `nearmiss ca`: the controller's own CAs, and how one follows another.
import type { Command } from "../../common/commander.ts";
import type { AuthorityView } from "../../schema/rest/index.ts";
import { addConnectionOptions, type ConnectionOptions, callController, connectionHelp } from "../connection.ts";
import { action, addOutputOption, format, formatTable, type OutputOptions } from "../output.ts";

interface Options extends ConnectionOptions, OutputOptions {}

interface RemoveOptions extends ConnectionOptions {
  readonly force?: boolean;
}

export function addCaCommand(program: Command): void {
  const ca = program
    .command("ca")
    .summary("list and rotate the controller's CAs")
    .description(
      "The CAs that sign the certificates of hosts and, with --tls self, of the controller. To rotate: add, use, remove.",
    );
  const common = (name: string) => addConnectionOptions(ca.command(name)).addHelpText("after", connectionHelp);
  const printing = (name: string) => addOutputOption(common(name));

  printing("list")
    .summary("list the CAs")
    .description("Lists the CAs that are trusted, the issuing one first.")
    .action(
      action(async (options: Options) => {
        const path = "/v1/authorities";
        const { authorities } = await callController<{ authorities: AuthorityView[] }>(options, "GET", path);
        return format(options.output, authorities, () => formatTable(header, authorities.map(row)));
      }),
    );

  printing("add")
    .summary("create another CA, trusted at once")
    .description("Creates another CA. Connected agents are notified to trust it; it does not sign anything yet.")
    .action(
      action(async (options: Options) => {
        const added = await callController<AuthorityView>(options, "POST", "/v1/authorities");
        return format(options.output, added, () => formatTable(header, [row(added)]));
      }),
    );

  printing("use")
    .summary("let a CA issue")
    .description("Signs the controller's certificate with this CA now, and has connected agents renew theirs.")
    .argument("<id>", "as `nearmiss ca list` shows it")
    .action(
      action(async (id: string, options: Options) => {
        const path = `/v1/authorities/${encodeURIComponent(id)}/issue`;
        const used = await callController<AuthorityView>(options, "POST", path);
        return format(options.output, used, () => formatTable(header, [row(used)]));
      }),
    );

  common("remove")
    .summary("stop trusting a CA")
    .description("Removes a CA that does not issue. Refused while hosts have certificates signed by it.")
    .argument("<id>", "as `nearmiss ca list` shows it")
    .option("--force", "even if hosts have certificates signed by it: they need a new join line")
    .action(
      action(async (id: string, options: RemoveOptions) => {
        const query = options.force ? "?force=true" : "";
        await callController<void>(options, "DELETE", `/v1/authorities/${encodeURIComponent(id)}${query}`);
        return `CA ${id} is removed\n`;
      }),
    );
}

const header = ["ID", "ISSUES", "HOSTS", "EXPIRES", "HASH"] as const;

function row({ id, issuing, hosts, expires, hash }: AuthorityView): string[] {
  return [id, issuing ? "yes" : "no", String(hosts.length), expires.slice(0, 10), hash];
}
