// How a command fails: the words on standard error, and the exit status by kind.
import {
  type ProblemDetails,
  type ProblemFault,
  type ProblemType,
  problemTypes,
  problemUri,
} from "../schema/plain/index.ts";
import { plainDetail, typedDetail, typedFault } from "./typed-fields.ts";

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

/** The controller has refused the request. */
export class RefusedError extends CliError {
  constructor(
    message: string,
    status: FailureStatus,
    readonly type: ProblemType,
    readonly faults: readonly ProblemFault[],
  ) {
    super(message, status);
  }
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly controller: URL;
  /** Where the token is from that was sent; absent: none was. */
  readonly tokenFrom?: string;
}

/** So many faults are printed; of further ones only the number. */
const maxFaults = 20;

/** What a refusal by the controller means to the person at the terminal. */
export function errorOf(answer: Answer): CliError {
  const { status, text, tokenFrom } = answer;
  const problem = findProblem(text);
  if (!problem) return new CliError(strangerText(answer), 5);
  const { detail, errors = [] } = problem;
  const type = problem.type.slice(problemPrefix.length) as ProblemType;
  // The form of a request is described by its faults alone, an import by a sentence and its faults.
  const isForm = type === "invalid-input" && errors.length > 0;
  const faults = errors.map((fault) => `${isForm ? "" : "  "}${typedFault(fault)}`);
  const rest = faults.length > maxFaults ? [`  … ${faults.length} in all`] : [];
  // Of an import the fields are those of its file.
  const reason = errors.length > 0 ? plainDetail(detail) : typedDetail(detail);
  const shown = [...(isForm ? [] : [reason]), ...faults.slice(0, maxFaults), ...rest];
  const cure = type === "unauthenticated" ? tokenCure(tokenFrom) : cures[type];
  const message = [...shown, ...(cure === undefined ? [] : [cure])].join("\n");
  return new RefusedError(message, statusOf(status, errors), type, errors);
}

function tokenCure(tokenFrom: string | undefined): string {
  return tokenFrom === undefined
    ? "Name the file of a token with --token-file or NEARMISS_TOKEN_FILE."
    : `The token is from ${tokenFrom}. \`nearmiss config\` shows all settings.`;
}

/** What answered is no controller: a proxy in between, or another server. */
function strangerText({ status, headers, controller }: Answer): string {
  const { server, via, location } = headers;
  const who = [via && `via ${via}`, server && `server ${server}`].filter(Boolean).join(", ");
  const what = `what answers at ${controller.origin} is not a nearmiss controller: status ${status}${who === "" ? "" : ` (${who})`}`;
  if (status === 407) return `${what}\nA proxy in between requires authentication: reach the controller without it.`;
  if (status === 502 || status === 503 || status === 504) {
    return `${what}\nIt seems to be a proxy that cannot reach the controller: check the controller, and the proxy's log.`;
  }
  if (status >= 300 && status <= 399 && location !== undefined) {
    return `${what}\nIt redirects to ${location}, which was not followed: name the controller's own address with --controller.`;
  }
  return `${what}\nCheck the address (\`nearmiss config\`), and whether a proxy is in between.`;
}

const problemPrefix = problemUri("" as ProblemType);

/** What to do next, where the controller cannot say it in terms of commands. */
const cures: Partial<Record<ProblemType, string>> = {
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

const conflicts = Object.entries(problemTypes)
  .filter(([, { status }]) => status === 409)
  .map(([type]) => problemUri(type as ProblemType));

function statusOf(status: number, faults: readonly ProblemFault[]): FailureStatus {
  if (status === 404) return 3;
  if (status === 409 || status === 412) return 4;
  // An import is refused as a whole; a collision in it is still a conflict.
  return faults.some(({ type }) => type !== undefined && conflicts.includes(type)) ? 4 : 1;
}
