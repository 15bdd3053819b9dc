// All commands by their first word: what the help says of each, and where its flags are. Nothing of a command is loaded
// before it is asked for: loading is most of a short command's time.
import type { Command } from "../common/commander.ts";
import type { GuestNames } from "../node-agent/status/command-flags.ts";

type Add = (program: Command) => void;

export interface TopCommand {
  readonly name: string;
  /** As the command's own help begins; a test compares them. */
  readonly summary: string;
  readonly load: () => Promise<Add>;
}

export interface Section {
  readonly title: string;
  readonly commands: readonly TopCommand[];
}

export const sections: readonly Section[] = [
  {
    title: "State",
    commands: [
      {
        name: "status",
        summary: "show the state on one screen, and what needs attention",
        load: async () => (await import("../cli/commands/status.ts")).addStatusCommand,
      },
      {
        name: "network",
        summary: "networks: overlay segments",
        load: async () => (await import("../cli/commands/network.ts")).addNetworkCommand,
      },
      {
        name: "host",
        summary: "hosts: machines with an agent",
        load: async () => (await import("../cli/commands/host.ts")).addHostCommand,
      },
      {
        name: "vm",
        summary: "VMs and containers",
        load: async () => (await import("../cli/commands/vm.ts")).addVmCommand,
      },
      {
        name: "resolve",
        summary: "show the location of an address, as an agent would get it",
        load: async () => (await import("../cli/commands/resolve.ts")).addResolveCommand,
      },
      {
        name: "events",
        summary: "print past and current changes",
        load: async () => (await import("../cli/commands/events.ts")).addEventsCommand,
      },
    ],
  },
  {
    title: "Whole fleets",
    commands: [
      {
        name: "apply",
        summary: "bring the controller to the state that a file describes",
        load: async () => (await import("../cli/commands/apply.ts")).addApplyCommand,
      },
      {
        name: "diff",
        summary: "show how the controller differs from a file",
        load: async () => (await import("../cli/commands/apply.ts")).addDiffCommand,
      },
      {
        name: "import",
        summary: "create, replace or delete many resources in one revision",
        load: async () => (await import("../cli/commands/import.ts")).addImportCommand,
      },
      {
        name: "export",
        summary: "print the whole inventory",
        load: async () => (await import("../cli/commands/export.ts")).addExportCommand,
      },
    ],
  },
  {
    title: "Access",
    commands: [
      {
        name: "whoami",
        summary: "show the token's role, networks, hosts and end",
        load: async () => (await import("../cli/commands/whoami.ts")).addWhoamiCommand,
      },
      { name: "token", summary: "create, list and revoke tokens", load: loadToken },
      {
        name: "audit",
        summary: "show who changed what, when and from where",
        load: async () => (await import("../cli/commands/audit.ts")).addAuditCommand,
      },
      {
        name: "ca",
        summary: "list and rotate the controller's CAs",
        load: async () => (await import("../cli/commands/ca.ts")).addCaCommand,
      },
    ],
  },
  {
    title: "Programs and their machines",
    commands: [
      {
        name: "controller",
        summary: "run the controller: inventory, REST, answers to agents",
        load: async () => (await import("../controller/config.ts")).addControllerCommand,
      },
      { name: "agent", summary: "answer this host's neighbour misses", load: loadAgent },
      { name: "explain", summary: "find out why one guest cannot reach another", load: loadExplain },
      {
        name: "backup",
        summary: "copy the controller's database while it is in use",
        load: () => loadBackup("backup"),
      },
      { name: "restore", summary: "restore a database from a backup", load: () => loadBackup("restore") },
    ],
  },
  {
    title: "This command",
    commands: [
      {
        name: "config",
        summary: "show the settings in force, and where each is from",
        load: async () => (await import("../cli/commands/config.ts")).addConfigCommand,
      },
      {
        name: "version",
        summary: "print the versions of this command and of the controller",
        load: async () => (await import("../cli/commands/version.ts")).addVersionCommand,
      },
      {
        name: "completion",
        summary: "print a script that completes commands in a shell",
        load: async () => (await import("../cli/commands/completion.ts")).addCompletionCommand,
      },
    ],
  },
];

export const commands: readonly TopCommand[] = sections.flatMap((section) => section.commands);

async function loadAgent(): Promise<Add> {
  const [{ addAgentCommand }, output] = [await import("../node-agent/config.ts"), await import("../cli/output.ts")];
  return (program) => addAgentCommand(program, output);
}

async function loadExplain(): Promise<Add> {
  const [{ addExplainCommand }, output, { addConnectionOptions }] = [
    await import("../node-agent/status/command.ts"),
    await import("../cli/output.ts"),
    await import("../cli/connection.ts"),
  ];
  const resolveGuests: GuestNames["resolveGuests"] = async (options, written) =>
    (await import("../cli/guest-names.ts")).resolveGuests(options, written);
  return (program) => addExplainCommand(program, output, { addConnectionOptions, resolveGuests });
}

async function loadToken(): Promise<Add> {
  const { addTokenCommand } = await import("../cli/commands/token.ts");
  const openLocal = async (db: string) => (await import("../controller/auth/local-tokens.ts")).openLocalTokens(db);
  return (program) => addTokenCommand(program, openLocal);
}

async function loadBackup(name: "backup" | "restore"): Promise<Add> {
  const { addBackupCommand, addRestoreCommand } = await import("../cli/commands/backup.ts");
  const caOf = async (db: string) => {
    const { isWhole, pkiDirectory, readAuthorityFiles } = await import("../controller/pki/authority-files.ts");
    const directory = pkiDirectory(db);
    return { directory, read: () => readAuthorityFiles(directory), isWhole };
  };
  if (name === "backup") {
    return (program) =>
      addBackupCommand(program, {
        backUp: async ({ withCa, ...options }) => {
          const { backUp } = await import("../controller/backup/backup.ts");
          return backUp({ ...options, ca: withCa ? await caOf(options.db) : null });
        },
      });
  }
  return (program) =>
    addRestoreCommand(program, {
      restore: async ({ withCa, ...options }) => {
        const { restore } = await import("../controller/backup/restore.ts");
        return restore({ ...options, ca: withCa ? await caOf(options.db) : null });
      },
    });
}
