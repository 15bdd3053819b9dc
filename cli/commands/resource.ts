// What networks, hosts and VMs have in common on the command line: list, get, delete. What differs between kinds is in
// `network.ts`, `host.ts`, `vm.ts`.
import type { Command } from "../../common/commander.ts";
import type { Query } from "../client.ts";
import { addConnectionOptions, type ConnectionOptions, connect, connectionHelp } from "../connection.ts";
import { parseCount } from "../numbers.ts";
import {
  action,
  addOutputOption,
  type Cell,
  format,
  formatFields,
  formatTable,
  type OutputOptions,
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

export function addList<V extends View>(
  group: Command,
  resource: Resource<V>,
  filters: readonly (keyof typeof filterFlags)[],
): void {
  const { plural, nouns } = resource;
  const command = subcommand(group, "list", `list ${nouns}`)
    .description(`Lists ${nouns} sorted by name.`)
    .option("--name <prefix>", "names with this prefix")
    .option("-l, --label <selector>", "labels: key=value, key!=value, key, !key; a comma means and")
    .option("-w, --watch", "then print each change, until interrupted");
  for (const filter of filters) {
    const [flags, help] = filterFlags[filter];
    command.option(flags, help);
  }
  command.action(
    action(async ({ name, label, network, host, ip, mac, ...options }: ListOptions) => {
      const client = await connect(options);
      const query: Query = { name, label, network, host, ip, mac };
      if (options.watch) return (await import("./watch.ts")).watch(client, resource, query, options.output);
      const views: V[] = [];
      for await (const view of client.list<V>(plural, query)) views.push(view);
      return format(options.output, views, () => formatTable(resource.header, views.map(resource.row)));
    }),
  );
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
export function addDelete(group: Command, { kind, plural, noun, nouns }: Resource<never>): Command {
  return addConnectionOptions(group.command("delete"))
    .summary(`delete ${nouns}`)
    .description(`Deletes ${nouns}, one after the other, and stops at the first that is refused.`)
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
