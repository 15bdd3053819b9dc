// How a command fails: the words on standard error, and the exit status by kind.
import {
  type ProblemDetails,
  type ProblemFault,
  type ProblemType,
  problemTypes,
  problemUri,
} from "../schema/plain/index.ts";

/** 1 error, 2 usage, 3 not found, 4 conflict, 5 unreachable. */
export type FailureStatus = 1 | 2 | 3 | 4 | 5;

/** Ends the command with this status, and the message on standard error. */
export class CliError extends Error {
  override readonly name = "CliError";
  constructor(
    message: string,
    readonly status: FailureStatus,
  ) {
    super(message);
  }
}

/** What a refusal by the controller means to the person at the terminal. */
export function errorOf(status: number, text: string): CliError {
  const problem = findProblem(text);
  if (!problem) return new CliError(`status ${status}: the server that answered is not a nearmiss controller`, 1);
  const { type, detail, errors = [] } = problem;
  // Short lists of faults are in the detail already.
  const faults = errors.filter((fault) => !detail.includes(fault.detail)).map((f) => `  ${placeOf(f)} ${f.detail}`);
  const cure = cures[type.slice(problemPrefix.length) as ProblemType];
  return new CliError([detail, ...faults, ...(cure === undefined ? [] : [cure])].join("\n"), statusOf(status, errors));
}

const problemPrefix = problemUri("" as ProblemType);

/** What to do next, where the controller cannot say it in terms of commands. */
const cures: Partial<Record<ProblemType, string>> = {
  unauthenticated: "Name the file of a token with --token-file or NEARMISS_TOKEN_FILE.",
  forbidden: "An admin can create a token that allows it: `nearmiss token create`.",
  "not-found": "`list` shows the names.",
  "name-taken": "Use `update` to change it.",
  "unknown-reference": "Create it first, or use another name: `list` shows the names.",
  "precondition-failed": "`get` shows its current state.",
  "misdirected-request": "Start the controller with --allow-host for this name, or use its address.",
  "too-many-requests": "Wait a moment and try again.",
};

function findProblem(text: string): ProblemDetails | undefined {
  try {
    const problem = JSON.parse(text) as ProblemDetails;
    return typeof problem.detail === "string" ? problem : undefined;
  } catch {
    return undefined;
  }
}

function placeOf({ line, pointer, in: place }: ProblemFault): string {
  return [line === undefined ? "" : `line ${line}:`, place ?? "", pointer].filter(Boolean).join(" ");
}

const conflicts = Object.entries(problemTypes)
  .filter(([, { status }]) => status === 409)
  .map(([type]) => problemUri(type as ProblemType));

function statusOf(status: number, faults: readonly ProblemFault[]): FailureStatus {
  if (status === 404) return 3;
  if (status === 409 || status === 412) return 4;
  // An import is refused as a whole; a collision in it is still a conflict.
  return faults.some(({ type }) => type !== undefined && conflicts.includes(type)) ? 4 : 1;
}
