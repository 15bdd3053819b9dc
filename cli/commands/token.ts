// `nearmiss token`: over REST, or on the controller's machine by the database itself.
import { type Command, Option } from "../../common/commander.ts";
import { defined } from "../../common/defined.ts";
import { type TokenInput, type TokenView, tokenRoles } from "../../schema/rest/index.ts";
import { addConnectionOptions, type ConnectionOptions, callController, connectionHelp } from "../connection.ts";
import { parseDuration } from "../durations.ts";
import { parseCount } from "../numbers.ts";
import { action, addOutputOption, format, formatTable, type OutputOptions } from "../output.ts";

/** Tokens in a database on this machine. */
export interface TokenDesk {
  create(input: TokenInput): Promise<TokenView>;
  list(): Promise<TokenView[]>;
  revoke(id: string, force: boolean): Promise<void>;
  close(): void;
}

interface CommonOptions extends ConnectionOptions {
  readonly db?: string;
}

interface ListOptions extends CommonOptions, OutputOptions {}

interface CreateOptions extends CommonOptions, OutputOptions {
  readonly role: TokenInput["role"];
  readonly network?: string[];
  readonly host?: string[];
  readonly maxVms?: number;
  readonly maxVmsPerHost?: number;
  readonly maxAddresses?: number;
  readonly maxHosts?: number;
  readonly expires?: number | "never";
  readonly note?: string;
}

export function addTokenCommand(program: Command, openLocal: (db: string) => Promise<TokenDesk>): void {
  const token = program.command("token").summary("create, list and revoke tokens").description("Tokens of the API.");
  const common = (command: Command) =>
    addConnectionOptions(command)
      .option("--db <path>", "on the controller's machine: its database, instead of asking the controller")
      .addHelpText("after", connectionHelp);
  const withDesk = async <T>(options: CommonOptions, use: (desk: TokenDesk) => Promise<T>): Promise<T> => {
    const desk = options.db === undefined ? remoteDesk(options) : await openLocal(options.db);
    try {
      return await use(desk);
    } finally {
      desk.close();
    }
  };

  addOutputOption(common(token.command("create")), "text")
    .summary("create a token")
    .description("Creates a token and prints it once; only its hash is stored.")
    .addOption(
      new Option("--role <role>", "admin: everything; operator: changes; viewer: reads")
        .choices(tokenRoles)
        .makeOptionMandatory(),
    )
    .option("--network <name>", "only this network and the VMs in it; may be repeated (not for admins)", collect)
    .option("--host <name>", "for operators with networks: may place VMs only on this host; may be repeated", collect)
    .option(
      "--max-vms <n>",
      "for operators with networks: maximum of VMs in them, including those of others",
      parseCount,
    )
    .option("--max-vms-per-host <n>", "maximum of these VMs on each host", parseCount)
    .option("--max-addresses <n>", "maximum of IP addresses in its networks", parseCount)
    .option("--max-hosts <n>", "maximum of hosts with VMs in its networks", parseCount)
    .option("--expires <time>", "how long it is valid, such as 12h or 90d, or never (default: 90d)", parseExpiry)
    .option("--note <text>", "purpose of the token")
    .action(
      action(async (options: CreateOptions) => {
        const made = await withDesk(options, (desk) => desk.create(inputOf(options)));
        return format(options.output, made, () => {
          process.stderr.write(`${describe(made)}\nIt is shown this once:\n`);
          return `${made.token}\n`;
        });
      }),
    );

  addOutputOption(common(token.command("list")))
    .summary("list tokens")
    .description("Lists all tokens, without their secrets.")
    .action(
      action(async (options: ListOptions) => {
        const tokens = await withDesk(options, (desk) => desk.list());
        const rows = tokens.map((each) => [
          each.id,
          each.role,
          each.networks?.join(",") ?? "all",
          each.hosts?.join(",") ?? "all",
          quotaText(each) || "-",
          shortTime(each.created),
          expiryOf(each),
          each.lastUsed === null ? "never" : shortTime(each.lastUsed),
          each.note,
        ]);
        const header = ["ID", "ROLE", "NETWORKS", "HOSTS", "QUOTA", "CREATED", "EXPIRES", "LAST USED", "NOTE"];
        return format(options.output, tokens, () => formatTable(header, rows));
      }),
    );

  common(token.command("revoke"))
    .summary("revoke a token")
    .description("Revokes a token: requests with it are refused within a second, and its open connections are closed.")
    .argument("<id>", "as `nearmiss token list` shows it")
    .option("--force", "even if it is the last admin token: then only --db can create another", false)
    .action(
      action(async (id: string, options: CommonOptions & { readonly force: boolean }) => {
        await withDesk(options, (desk) => desk.revoke(id, options.force));
        return `token ${id} is revoked\n`;
      }),
    );
}

function remoteDesk(options: ConnectionOptions): TokenDesk {
  return {
    create: (input) => callController<TokenView>(options, "POST", "/v1/tokens", input),
    list: async () => (await callController<{ tokens: TokenView[] }>(options, "GET", "/v1/tokens")).tokens,
    revoke: (id, force) => {
      const query = force ? "?force=true" : "";
      return callController<void>(options, "DELETE", `/v1/tokens/${encodeURIComponent(id)}${query}`);
    },
    close: () => {},
  };
}

function inputOf({ role, network, host, expires, note, ...max }: CreateOptions): TokenInput {
  const quota: TokenInput["quota"] = {
    ...defined({ vms: max.maxVms, vmsPerHost: max.maxVmsPerHost, addresses: max.maxAddresses, hosts: max.maxHosts }),
  };
  const until = typeof expires === "number" ? new Date(Date.now() + expires).toISOString() : null;
  return {
    role,
    ...defined({ networks: network, hosts: host }),
    ...(Object.keys(quota).length === 0 ? {} : { quota }),
    ...defined({ note }),
    ...(expires === undefined ? {} : { expires: until }),
  };
}

function describe(token: TokenView): string {
  const quota = quotaText(token);
  const reach = [
    token.networks ? ` for ${token.networks.join(", ")}` : "",
    token.hosts ? ` on ${token.hosts.join(", ")}` : "",
    quota ? `, at most ${quota}` : "",
  ].join("");
  return `token ${token.id}: ${token.role}${reach}, ${token.expires === null ? "never expires" : `expires ${shortTime(token.expires)}`}`;
}

function quotaText({ quota }: TokenView): string {
  const { vms, vmsPerHost, addresses, hosts } = quota ?? {};
  const parts = { VMs: vms, "VMs per host": vmsPerHost, addresses, hosts };
  return Object.entries(parts)
    .flatMap(([what, max]) => (max === undefined ? [] : [`${max} ${what}`]))
    .join(", ");
}

function expiryOf({ expires }: TokenView): string {
  if (expires === null) return "never";
  return Date.parse(expires) <= Date.now() ? "expired" : shortTime(expires);
}

function shortTime(time: string): string {
  return `${time.slice(0, 16).replace("T", " ")}Z`;
}

function parseExpiry(text: string): number | "never" {
  return text === "never" ? text : parseDuration(text);
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
