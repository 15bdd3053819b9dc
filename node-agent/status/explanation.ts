// The result of `explain`, and the part that the command itself adds. Separate from the checks, so that the command does
// not load the agent.
import { type Check, note, wrong } from "./check.ts";

export interface Explanation {
  /** null if no agent answered. */
  readonly host: string | null;
  readonly network: string;
  readonly from: string;
  readonly to: string;
  /** Where the second address is, if that is another host. */
  readonly farHost?: string;
  /** The first problem, or null. */
  readonly first: Check | null;
  readonly checks: readonly Check[];
}

/** With the former name of `fix`. */
interface FormerCheck extends Check {
  readonly mend?: string;
}

/** With both names: for commands and scripts of 0.1, and of an agent's answer of 0.1. docs/stability.md says until when. */
export function withFormerNames(explanation: Explanation): Explanation {
  const { first, checks } = explanation;
  return { ...explanation, first: first && withFormerName(first), checks: checks.map(withFormerName) };
}

function withFormerName(check: FormerCheck): FormerCheck {
  const fix = check.fix ?? check.mend;
  return fix === undefined ? check : { ...check, fix, mend: fix };
}

/** If no agent answered. */
export function withoutAgent(question: Omit<Explanation, "first" | "checks">, says: string, fix: string): Explanation {
  const first = wrong("agent", says, fix);
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
