// How the agent says why it cannot start: a sentence at a terminal, a line of its log elsewhere.
import type { Logger } from "pino";

interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Ends the process with status 1. */
export function failStart(log: Pick<Logger, "fatal">, reason: string, screen: Screen = process.stderr): never {
  sayFailure(log, reason, screen);
  process.exit(1);
}

export function sayFailure(log: Pick<Logger, "fatal">, reason: string, screen: Screen): void {
  if (screen.isTTY === true) screen.write(`nearmiss agent: ${reason}\n`);
  else log.fatal(reason);
}
