#!/usr/bin/env node
// The one command. Each sub-command's flags live beside its program, and its code loads only when it runs.
import { Command } from "commander";
import { addControllerCommand } from "../controller/config.ts";
import { addAgentCommand } from "../node-agent/config.ts";
import { version } from "../schema/index.ts";

const program = new Command("nearmiss")
  .description("The control plane for Linux VXLAN that answers the kernel's neighbour misses")
  .version(version)
  .showHelpAfterError()
  .configureHelp({ showGlobalOptions: true });

addControllerCommand(program);
addAgentCommand(program);

await program.parseAsync();
