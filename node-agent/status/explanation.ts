// The result of `explain`, and the part that the command itself adds. Separate from the checks, so that the command does
// not load the agent.
import { type Check, note, wrong } from "./check.ts";

export interface Explanation {
  /** null if no agent answered. */
  readonly host: string | null;
  readonly network: string;
  readonly from: string;
  readonly to: string;
  /** The first problem, or null. */
  readonly first: Check | null;
  readonly checks: readonly Check[];
}

/** If no agent answered. */
export function withoutAgent(question: Omit<Explanation, "first" | "checks">, says: string, mend: string): Explanation {
  const first = wrong("agent", says, mend);
  return { ...question, first, checks: [first] };
}

/** The agent is another build than this command. */
export function otherVersion(agent: string, command: string): Check {
  return note(
    "agent",
    `the running agent is nearmiss ${agent}, this command ${command}`,
    "restart the agent: entries stay",
  );
}
