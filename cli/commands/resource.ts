// What networks, hosts and VMs have in common on the command line: list, get, delete. What differs between kinds is in
// `network.ts`, `host.ts`, `vm.ts`.
import { type Command, Option } from "../../common/commander.ts";
import type { Query } from "../client.ts";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import { CliError } from "../errors.ts";
import { parseCount } from "../numbers.ts";
import {
  action,
  addOutputOption,
  type Cell,
  type Format,
  format,
  formatFields,
  formatTable,
  type OutputOptions,
  textOfCell,
} from "../output.ts";
import type { Resource, View } from "./resource-kind.ts";

export interface CommonOptions extends ConnectionOptions, OutputOptions {}

interface ListOptions extends CommonOptions {
  readonly name?: string;
  readonly label?: string;
  readonly network?: string;
  readonly host?: string;
  readonly ip?: string;
  readonly mac?: string;
  readonly watch?: boolean;
  readonly sort?: string;
  readonly quiet?: boolean;
  /** false with --no-headers. */
  readonly headers: boolean;
  /** Of hosts only. */
  readonly disconnected?: boolean;
  readonly problems?: boolean;
}

interface DeleteOptions extends ConnectionOptions {
  readonly dryRun?: boolean;
  /** Only where the command has the flag. */
  readonly force?: boolean;
  readonly ifRevision?: number;
}

export function pathOf({ plural }: { readonly plural: string }, name: string): string {
  return `/v1/${plural}/${encodeURIComponent(name)}`;
}

/** A sub-command that queries the controller, and prints in the requested format. */
export function subcommand(group: Command, name: string, summary: string): Command {
  return addOutputOption(addConnectionOptions(group.command(name)))
    .summary(summary)
    .addHelpText("after", connectionHelp);
}

const filterFlags = {
  network: ["--network <name>", "only those in this network"],
  host: ["--host <name>", "only those on this host"],
  ip: ["--ip <address>", "only those with this address, in any network"],
  mac: ["--mac <address>", "only those with this MAC, in any network"],
} as const;

/** @param only what else a list may be narrowed to, by the name of the option: looked for in what the controller answers */
export function addList<V extends View>(
  group: Command,
  resource: Resource<V>,
  filters: readonly (keyof typeof filterFlags)[],
  only: Readonly<Record<string, { readonly help: string; readonly fits: (view: V) => boolean }>> = {},
): void {
  const { nouns } = resource;
  const command = addOutputOption(addConnectionOptions(group.command("list")), "table", ["wide", "name"])
    .summary(`list ${nouns}`)
    .description(`Lists ${nouns} sorted by name. A network or host that does not exist is an error, not an empty list.`)
    .option("--name <prefix>", "names with this prefix")
    .option("-l, --label <selector>", "labels: key=value, key!=value, key, !key; a comma means and")
    .option("-w, --watch", "then print each change, until interrupted");
  for (const filter of filters) {
    const [flags, help] = filterFlags[filter];
    command.option(flags, help);
  }
  for (const [name, { help }] of Object.entries(only)) command.option(`--${name}`, help);
  command
    .option("--sort <column>", `by this column of -o wide instead of the name; -column: descending`)
    .addOption(new Option("-q, --quiet", "only names, one per line: the same as -o name").conflicts(["output", "json"]))
    .option("--no-headers", "no line with the names of the columns")
    .addHelpText("after", connectionHelp)
    .action(
      action(async ({ name, label, network, host, ip, mac, ...options }: ListOptions) => {
        const query: Query = { name, label, network, host, ip, mac };
        const fits = Object.entries(only).flatMap(([flag, { fits }]) =>
          options[flag as "disconnected" | "problems"] === true ? [fits] : [],
        );
        const output = options.quiet ? "name" : options.output;
        const order = options.sort === undefined ? undefined : orderBy(resource, options.sort);
        if (options.watch) {
          if (order || fits.length > 0 || output === "wide" || output === "name") throw new CliError(unwatchable, 2);
          return (await import("./watch.ts")).watch(await connect(options), resource, query, output);
        }
        const views: V[] = [];
        const client = await connect(options);
        for await (const view of client.list<V>(resource.plural, query))
          if (fits.every((each) => each(view))) views.push(view);
        return formatList(resource, order ? views.sort(order) : views, output, options.headers);
      }),
    );
}

const unwatchable =
  "--watch prints a table, JSON or YAML in the order of changes: leave out --sort, -q, -o wide, -o name and filters of state";

function formatList<V extends View>(resource: Resource<V>, views: readonly V[], output: Format, headers: boolean) {
  const { header, row, wideHeader, wideRow } = resource;
  if (output === "name") return views.map(({ name }) => `${name}\n`).join("");
  return format(output, views, () =>
    output === "wide"
      ? formatTable(
          [...header, ...wideHeader],
          views.map((view) => [...row(view), ...wideRow(view)]),
          { headers },
        )
      : formatTable(header, views.map(row), { headers }),
  );
}

/** @throws CliError if there is no such column */
function orderBy<V extends View>({ header, row, wideHeader, wideRow }: Resource<V>, text: string) {
  const names = [...header, ...wideHeader].map((name) => name.toLowerCase().replaceAll(" ", "-"));
  const isDown = text.startsWith("-");
  const column = names.indexOf(text.slice(isDown ? 1 : 0).toLowerCase());
  if (column < 0) throw new CliError(`--sort ${text}: there is no such column: use ${names.join(", ")}`, 2);
  const cellOf = (view: V) => textOfCell([...row(view), ...wideRow(view)][column] ?? "");
  // Numbers in names and addresses by their value: host-2 before host-10.
  return (a: V, b: V) => cellOf(a).localeCompare(cellOf(b), "en", { numeric: true }) * (isDown ? -1 : 1);
}

export function addGet<V extends View>(group: Command, resource: Resource<V>): void {
  subcommand(group, "get", `show one ${resource.noun}`)
    .description(`Shows one ${resource.noun}.`)
    .argument("<name>", `as \`nearmiss ${resource.kind} list\` shows it`)
    .action(
      action(async (name: string, options: CommonOptions) => {
        const view = await (await connect(options)).call<V>("GET", pathOf(resource, name));
        return format(options.output, view, () => formatFields(fieldsOf(resource, view)));
      }),
    );
}

function fieldsOf<V extends View>(resource: Resource<V>, view: V): (readonly [string, Cell])[] {
  const { name, uid, labels, description, revision } = view;
  const more = description === "" ? [] : [["description", description] as const];
  return [
    ["name", name],
    ...resource.fields(view),
    ...(Object.keys(labels).length === 0 ? [] : [["labels", labelText(labels)] as const]),
    ...more,
    ["revision", String(revision)],
    ["uid", uid],
  ];
}

export function labelText(labels: View["labels"]): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

/** @returns the command, for what only some kinds have */
/** @param effect continues the description */
export function addDelete(group: Command, { kind, plural, noun, nouns }: Resource<never>, effect?: string): Command {
  return addConnectionOptions(group.command("delete"))
    .summary(`delete ${nouns}`)
    .description(
      [`Deletes ${nouns}, one after the other, and stops at the first that is refused.`, effect]
        .filter(Boolean)
        .join("\n"),
    )
    .argument("<names...>", `as \`nearmiss ${kind} list\` shows them`)
    .option("--dry-run", "check everything, change nothing")
    .option("--if-revision <n>", "only if it is at this revision", parseCount)
    .addHelpText("after", connectionHelp)
    .action(
      action(async function* (names: readonly string[], { dryRun, force, ifRevision, ...options }: DeleteOptions) {
        const client = await connect(options);
        for (const name of names) {
          const call = { query: { dryRun, force }, headers: precondition(ifRevision) };
          await client.call("DELETE", pathOf({ plural }, name), call);
          yield `${noun} ${name} ${dryRun ? "would be deleted" : "is deleted"}\n`;
        }
      }),
    );
}

/** If-Match (RFC 9110 §13.1.1). */
export function precondition(revision: number | undefined): Readonly<Record<string, string>> {
  return revision === undefined ? {} : { "if-match": `"${revision}"` };
}
