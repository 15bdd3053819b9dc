#!/usr/bin/env node
// The one command. Each sub-command's flags live beside its program, and its code loads only when it runs.
import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { addAuditCommand } from "../cli/audit.ts";
import { addBackupCommands } from "../cli/backup.ts";
import { addCaCommand } from "../cli/ca.ts";
import { addHostCommand } from "../cli/host.ts";
import { addTokenCommand } from "../cli/token.ts";
import { addControllerCommand } from "../controller/config.ts";
import { addAgentCommand } from "../node-agent/config.ts";
import { addExplainCommand } from "../node-agent/status/command.ts";
import { version } from "../schema/index.ts";

// A miss is rare and must be fast: V8 compiles at once what it runs, and never throws compiled code away for lack of use.
setFlagsFromString("--always-sparkplug");
setFlagsFromString("--no-flush-bytecode");

const program = new Command("nearmiss")
  .description("The control plane for Linux VXLAN that answers the kernel's neighbour misses")
  .version(version)
  .showHelpAfterError()
  .configureHelp({ showGlobalOptions: true });

addControllerCommand(program);
addAgentCommand(program);
addExplainCommand(program);
addTokenCommand(program, async (db) => (await import("../controller/auth/local-tokens.ts")).openLocalTokens(db));
addAuditCommand(program);
addBackupCommands(program, {
  backUp: async (options) => (await import("../controller/backup/backup.ts")).backUp(options),
  restore: async (options) => (await import("../controller/backup/restore.ts")).restore(options),
});
addHostCommand(program);
addCaCommand(program);

await program.parseAsync();
