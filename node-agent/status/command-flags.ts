// The flags of `nearmiss agent status` and `nearmiss explain`, as they are parsed.
import type { Command } from "../../common/commander.ts";

interface WhichAgent {
  readonly socket?: string;
  readonly host?: string;
}
interface OutputFlag {
  readonly output: "text" | "json" | "yaml";
}
export interface StatusFlags extends WhichAgent, OutputFlag {
  readonly all: boolean;
}
export interface ExplainFlags extends WhichAgent, OutputFlag {
  readonly network: string;
}

/** How all commands print: the command line's part, which the agent does not import. */
export interface Output {
  addOutputOption(command: Command, human: "text"): Command;
  format(as: OutputFlag["output"], value: unknown, human: () => string): Promise<string>;
}
