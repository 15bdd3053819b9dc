// Runs the command on the line, with the commands around it that help and completion need.

import { aliasesOf, topWordOf, unknownCommand, unknownOption } from "../cli/words.ts";
import { Command } from "../common/commander.ts";
import { version } from "../schema/version.ts";
import { commands, type TopCommand } from "./commands.ts";

/** Says in our words what is no command; commands below it do the same. */
class Program extends Command {
  override createCommand(name?: string): Command {
    return new Program(name);
  }

  /** Of commander, not in its types; so is the next. */
  unknownCommand(): void {
    const group = this.parent === null ? "" : this.name();
    const known = this.commands.map((command) => command.name()).filter((name) => name !== "help");
    this.error(unknownCommand(group, this.args[0] ?? "", known).trimEnd());
  }

  unknownOption(flag: string): void {
    const flags = this.createHelp()
      .visibleOptions(this)
      .flatMap(({ long }) => long ?? []);
    this.error(unknownOption(flag, flags), { code: "commander.unknownOption" });
  }
}

/** A program with these commands. */
export async function programOf(loaded: readonly TopCommand[]): Promise<Command> {
  const program = new Program("nearmiss")
    .description("The control plane for Linux VXLAN that answers the kernel's neighbour misses")
    .version(version)
    .configureHelp({ showGlobalOptions: false })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  for (const { load } of loaded) (await load())(program);
  addAliases(program, true);
  return program;
}

/** @param words canonical */
export async function run(words: readonly string[]): Promise<void> {
  const loaded = wanted(words);
  const program = await programOf(loaded);
  // Of the other commands, completion needs no more than their names.
  const others = words[0] === "complete" && words.length <= 3 ? commands.filter((each) => !loaded.includes(each)) : [];
  for (const { name, summary } of others) program.command(name).summary(summary);
  await program.parseAsync(words, { from: "user" });
}

/** The command on the line; for completion also the one that is completed. A shell calls `complete -- vm get …`. */
function wanted([first = "", , second = "", third]: readonly string[]): readonly TopCommand[] {
  const named = (word: string) => commands.filter(({ name }) => name === word);
  if (first !== "complete") return named(first);
  return [...(third === undefined ? [] : named(topWordOf(second))), ...named("completion")];
}

function addAliases(parent: Command, isTop: boolean): void {
  const siblings = parent.commands.map((command) => command.name());
  for (const command of parent.commands) {
    const path = isTop ? "nearmiss" : `nearmiss ${parent.name()}`;
    const also = aliasesOf(command.name(), isTop, siblings);
    if (also.length > 0) {
      command.aliases(also);
      command.addHelpText("after", `\nOther words for it: ${also.map((word) => `\`${path} ${word}\``).join(", ")}.`);
    }
    if (command.commands.length === 0) {
      command.showHelpAfterError(`\`${path} ${command.name()} --help\` describes its options.`);
    }
    if (isTop) addAliases(command, false);
  }
}
