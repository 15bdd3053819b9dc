// `nearmiss completion`: scripts for shells, and the hidden `complete` that they ask at each Tab. Commands and flags come
// from the program itself; names of resources from the controller.
import type Tab from "@bomb.sh/tab";
import type { Command as TabCommand } from "@bomb.sh/tab";
import { Argument, type Command } from "../../common/commander.ts";
import { defined } from "../../common/defined.ts";
import type { Client } from "../client.ts";
import { connect } from "../connection.ts";
import { CliError } from "../errors.ts";
import { type ConnectionOptions, findUrl } from "../settings.ts";
import { topWordOf, verbOf } from "../words.ts";

const shells = ["bash", "zsh", "fish"] as const;
const plurals = { network: "networks", host: "hosts", vm: "vms" } as const;
type Kind = keyof typeof plurals;
type Names = Partial<Record<Kind, readonly string[]>>;

/** Maximum wait after Tab was pressed. */
const timeoutMs = 1_500;
/** No list that a person would read through. */
const maxNames = 200;

const help = `
To enable it in every shell:
  bash  nearmiss completion bash > /etc/bash_completion.d/nearmiss
  zsh   nearmiss completion zsh > "\${fpath[1]}/_nearmiss"
  fish  nearmiss completion fish > ~/.config/fish/completions/nearmiss.fish`;

export function addCompletionCommand(program: Command): void {
  program
    .command("completion")
    .summary("print a script that completes commands in a shell")
    .description("Prints a script that completes commands, flags and names of networks, hosts and VMs.")
    .addArgument(new Argument("<shell>").choices(shells))
    .addHelpText("after", help)
    .action(async (shell: string) => {
      if (shell === "bash") process.stdout.write((await import("../bash-completion.ts")).bashScript);
      else (await import("@bomb.sh/tab")).default.setup("nearmiss", "nearmiss", shell);
    });

  program
    .command("complete", { hidden: true })
    .allowUnknownOption()
    .argument("[words...]")
    .action(async (typed: readonly string[]) => {
      const words = knownWords(program, typed);
      const { default: tab } = await import("@bomb.sh/tab");
      describe(tab, program, "", await readNames(words));
      tab.parse([...words]);
    });
}

/** The words as the program knows them. The last one is still being typed. */
function knownWords(program: Command, typed: readonly string[]): readonly string[] {
  const [first = "", second = "", ...rest] = typed;
  if (typed.length < 2) return typed;
  const group = topWordOf(first);
  if (rest.length === 0) return [group, second];
  const siblings = program.commands.find((command) => command.name() === group)?.commands ?? [];
  return [
    group,
    verbOf(
      second,
      siblings.map((each) => each.name()),
    ),
    ...rest,
  ];
}

/** The commands in the form that the library needs: by all their words. */
function describe(tab: typeof Tab, command: Command, path: string, names: Names): void {
  for (const sub of command.createHelp().visibleCommands(command)) {
    const words = path === "" ? sub.name() : `${path} ${sub.name()}`;
    const known = tab.command(words, sub.summary());
    addOptions(known, sub, names);
    for (const argument of sub.registeredArguments) {
      const values = argument.argChoices ?? namesFor(argumentKind(words, argument.name()), names);
      known.argument(argument.name(), offer(values), argument.variadic);
    }
    describe(tab, sub, words, names);
  }
}

function addOptions(known: TabCommand, command: Command, names: Names): void {
  for (const { long, short, description, argChoices, required, optional } of command.options) {
    const name = long?.slice(2);
    if (name === undefined) continue;
    const alias = short?.slice(1);
    if (!required && !optional) known.option(name, description, ...(alias === undefined ? [] : [alias]));
    else {
      const values = argChoices ?? namesFor(name in plurals ? (name as Kind) : undefined, names);
      known.option(name, description, offer(values), alias);
    }
  }
}

function offer(values: readonly string[]) {
  return (complete: (value: string, description: string) => void) => {
    for (const value of values) complete(value, "");
  };
}

/** Whose names an argument takes: `vm get <name>` those of VMs, `vm move <name> <host>` also those of hosts. */
function argumentKind(words: string, argument: string): Kind | undefined {
  const [group = "", verb] = words.split(" ");
  if (verb === "create" || !(group in plurals)) return undefined;
  return argument === "host" ? "host" : (group as Kind);
}

function namesFor(kind: Kind | undefined, names: Names): readonly string[] {
  return kind === undefined ? [] : (names[kind] ?? []);
}

/** Names of the kinds that can follow. If the controller does not answer in time, nothing is completed or printed. */
async function readNames(words: readonly string[]): Promise<Names> {
  const [group = "", verb = "", ...rest] = words;
  if (!(group in plurals) || rest.length === 0) return {};
  const prefix = rest.at(-1) ?? "";
  const before = rest.at(-2)?.replace(/^--/, "") ?? "";
  const kinds = new Set<Kind>(
    before in plurals ? [before as Kind] : [group as Kind, ...(verb === "move" ? ["host" as const] : [])],
  );
  if (prefix.startsWith("-")) return {};
  try {
    const client = await connect(connectionOf(words));
    const read = async (kind: Kind) => [kind, await readKind(client, kind, prefix)] as const;
    return Object.fromEntries(await Promise.all([...kinds].map(read)));
  } catch (error) {
    if (error instanceof CliError) return {};
    throw error;
  }
}

/** The flags in the rest of the line, or the environment: no parser has seen it yet. */
function connectionOf(words: readonly string[]): ConnectionOptions {
  const given = (flag: string): string | undefined => {
    const at = words.slice(0, -1).indexOf(`--${flag}`);
    const inEnvironment = process.env[`NEARMISS_${flag.toUpperCase().replace("-", "_")}`];
    return (at < 0 ? undefined : words[at + 1]) ?? (inEnvironment || undefined);
  };
  const [controller, tokenFile, ca, config] = ["controller", "token-file", "ca", "config"].map(given);
  const url = findUrl(controller ?? "");
  return {
    ...(url ? { controller: url } : {}),
    ...defined({ tokenFile, ca, config }),
  };
}

async function readKind(client: Client, kind: Kind, prefix: string): Promise<string[]> {
  const plural = plurals[kind];
  const query = { name: prefix, limit: maxNames };
  const page = await client.call<Record<string, { name: string }[]>>("GET", `/v1/${plural}`, { query, timeoutMs });
  return (page[plural] ?? []).map(({ name }) => name);
}
