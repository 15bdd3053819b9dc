// The result of `explain`, and the part that the command itself adds. Separate from the checks, so that the command does
// not load the agent.
import { type Check, note, wrong } from "./check.ts";

export interface Explanation {
  /** null where no agent said so. */
  readonly host: string | null;
  readonly network: string;
  readonly from: string;
  readonly to: string;
  /** The first that is wrong; null where nothing is. */
  readonly first: Check | null;
  readonly checks: readonly Check[];
}

/** For where no agent could be asked. */
export function withoutAgent(question: Omit<Explanation, "first" | "checks">, says: string, mend: string): Explanation {
  const first = wrong("agent", says, mend);
  return { ...question, first, checks: [first] };
}

/** The agent that answers is another build than this command. */
export function otherVersion(agent: string, command: string): Check {
  return note(
    "agent",
    `the running agent is nearmiss ${agent}, this command ${command}`,
    "restart the agent: entries stay",
  );
}
