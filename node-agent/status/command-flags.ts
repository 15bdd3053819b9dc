// The flags of `nearmiss agent status`, `nearmiss agent remove` and `nearmiss explain`, as they are parsed.
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
export interface RemoveFlags extends Pick<WhichAgent, "socket"> {
  readonly yes: boolean;
  readonly inUse: boolean;
}
export interface ExplainFlags extends WhichAgent, OutputFlag {
  readonly network: string;
}

/** Names of VMs as addresses: the command line's part, which asks the controller as an operator. */
export interface GuestNames {
  addConnectionOptions(command: Command): Command;
  resolveGuests(
    options: object,
    written: { readonly from: string; readonly to: string; readonly network?: string | undefined },
  ): Promise<
    | { readonly network: string; readonly from: string; readonly to: string }
    | { readonly fault: string; readonly status: number }
  >;
}

/** How all commands print: the command line's part, which the agent does not import. */
export interface Output {
  addOutputOption(command: Command, human: "text"): Command;
  format(as: OutputFlag["output"], value: unknown, human: () => string): Promise<string>;
}
