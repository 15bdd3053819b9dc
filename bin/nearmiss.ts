#!/usr/bin/env node
// The one command. Each sub-command's flags live beside its program, and only the one that is asked for is loaded: an
// operator's commands are short, and most of their time would be loading.
import "../schema/supported-node.ts";
import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { version } from "../schema/version.ts";

type Add = (program: Command) => void;

/** By the first words that they answer to, in the order of the help. */
const commands: readonly { readonly words: readonly string[]; readonly load: () => Promise<Add> }[] = [
  { words: ["controller"], load: async () => (await import("../controller/config.ts")).addControllerCommand },
  { words: ["agent"], load: loadAgent },
  { words: ["explain"], load: loadExplain },
  { words: ["network"], load: async () => (await import("../cli/commands/network.ts")).addNetworkCommand },
  { words: ["host"], load: async () => (await import("../cli/commands/host.ts")).addHostCommand },
  { words: ["vm"], load: async () => (await import("../cli/commands/vm.ts")).addVmCommand },
  { words: ["resolve"], load: async () => (await import("../cli/commands/resolve.ts")).addResolveCommand },
  { words: ["events"], load: async () => (await import("../cli/commands/events.ts")).addEventsCommand },
  { words: ["apply", "diff"], load: async () => (await import("../cli/commands/apply.ts")).addApplyCommands },
  { words: ["import"], load: async () => (await import("../cli/commands/import.ts")).addImportCommand },
  { words: ["export"], load: async () => (await import("../cli/commands/export.ts")).addExportCommand },
  { words: ["token"], load: loadToken },
  { words: ["audit"], load: async () => (await import("../cli/commands/audit.ts")).addAuditCommand },
  { words: ["ca"], load: async () => (await import("../cli/commands/ca.ts")).addCaCommand },
  { words: ["backup", "restore"], load: loadBackup },
  { words: ["complete"], load: async () => (await import("../cli/commands/completion.ts")).addCompletionCommand },
];

async function loadAgent(): Promise<Add> {
  const [{ addAgentCommand }, output] = [await import("../node-agent/config.ts"), await import("../cli/output.ts")];
  return (program) => addAgentCommand(program, output);
}

async function loadExplain(): Promise<Add> {
  const [{ addExplainCommand }, output] = [
    await import("../node-agent/status/command.ts"),
    await import("../cli/output.ts"),
  ];
  return (program) => addExplainCommand(program, output);
}

async function loadToken(): Promise<Add> {
  const { addTokenCommand } = await import("../cli/commands/token.ts");
  const openLocal = async (db: string) => (await import("../controller/auth/local-tokens.ts")).openLocalTokens(db);
  return (program) => addTokenCommand(program, openLocal);
}

async function loadBackup(): Promise<Add> {
  const { addBackupCommands } = await import("../cli/commands/backup.ts");
  const caOf = async (db: string) => {
    const { isWhole, pkiDirectory, readAuthorityFiles } = await import("../controller/pki/authority-files.ts");
    const directory = pkiDirectory(db);
    return { directory, read: () => readAuthorityFiles(directory), isWhole };
  };
  return (program) =>
    addBackupCommands(program, {
      backUp: async ({ withCa, ...options }) => {
        const { backUp } = await import("../controller/backup/backup.ts");
        return backUp({ ...options, ca: withCa ? await caOf(options.db) : null });
      },
      restore: async ({ withCa, ...options }) => {
        const { restore } = await import("../controller/backup/restore.ts");
        return restore({ ...options, ca: withCa ? await caOf(options.db) : null });
      },
    });
}

// A miss is rare and must be fast: V8 compiles at once, and never discards unused compiled code.
setFlagsFromString("--always-sparkplug");
setFlagsFromString("--no-flush-bytecode");

// A reader that closes early, such as `head`, is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const program = new Command("nearmiss")
  .description("The control plane for Linux VXLAN that answers the kernel's neighbour misses")
  .version(version)
  .showHelpAfterError("Add --help to see the usage.")
  .configureHelp({ showGlobalOptions: true })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

for (const { load } of wanted(process.argv.slice(2))) (await load())(program);
await program.parseAsync();

/** The command on the line, or all if it is not known yet. A shell calls `complete -- vm get …`. */
function wanted([first = "", , second = "", third]: readonly string[]) {
  const isTab = first === "complete";
  const word = isTab && third !== undefined ? second : first;
  const about = commands.filter(({ words }) => words.includes(word) && word !== "complete");
  if (about.length === 0) return commands;
  return isTab ? [...about, ...commands.filter(({ words }) => words.includes("complete"))] : about;
}
