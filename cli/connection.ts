// Where the controller is and who asks: flags before environment. Tokens never stand on a command line, where `ps` shows them.
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { ProblemDetails } from "../schema/index.ts";

export interface ConnectionOptions {
  readonly controller: URL;
  readonly tokenFile?: string;
}

/** Ends the command with this status, and the message on standard error. */
export class CliError extends Error {
  override readonly name = "CliError";
  constructor(
    message: string,
    /** 1 error, 2 usage, 3 not found, 4 conflict, 5 unreachable. */
    readonly status: 1 | 2 | 3 | 4 | 5,
  ) {
    super(message);
  }
}

const timeoutMs = 30_000;
const defaultController = "http://127.0.0.1:4788";

export const connectionHelp = `
The controller is that of --controller or NEARMISS_CONTROLLER. The token is in the file of --token-file or
NEARMISS_TOKEN_FILE, or is NEARMISS_TOKEN itself.
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 conflict, 5 controller unreachable.`;

export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--controller <url>", "the controller to ask")
        .env("NEARMISS_CONTROLLER")
        .argParser(parseUrl)
        .default(new URL(defaultController), defaultController),
    )
    .addOption(new Option("--token-file <path>", "file with the token").env("NEARMISS_TOKEN_FILE"));
}

/** One request. @returns the parsed answer, undefined where it is empty @throws CliError saying what to do */
export async function callController<Body>(
  { controller, tokenFile }: ConnectionOptions,
  method: string,
  path: string,
  body?: unknown,
): Promise<Body> {
  const token = findToken(tokenFile);
  const headers: Record<string, string> = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  };
  let response: Response;
  let text: string;
  try {
    const payload = body === undefined ? null : JSON.stringify(body);
    const signal = AbortSignal.timeout(timeoutMs);
    response = await fetch(new URL(path, controller), { method, headers, body: payload, signal });
    text = await response.text();
  } catch (error) {
    throw new CliError(`${controller.href} does not answer: ${reasonOf(error)}`, 5);
  }
  if (!response.ok) throw new CliError(explain(response.status, text), exitStatus(response.status));
  return (text === "" ? undefined : JSON.parse(text)) as Body;
}

function findToken(file: string | undefined): string | undefined {
  if (file === undefined) return process.env.NEARMISS_TOKEN || undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new CliError(`cannot read the token: ${error instanceof Error ? error.message : error}`, 2);
  }
}

function explain(status: number, text: string): string {
  try {
    const { detail, errors = [] } = JSON.parse(text) as ProblemDetails;
    const faults = errors.map((fault) => `\n  ${fault.pointer} ${fault.detail}`).join("");
    const cure = status === 401 ? "\nName the file of a token with --token-file or NEARMISS_TOKEN_FILE." : "";
    return `${detail}${faults}${cure}`;
  } catch {
    return `status ${status}: what answered is no nearmiss controller`;
  }
}

function exitStatus(status: number): 1 | 3 | 4 {
  if (status === 404) return 3;
  return status === 409 || status === 412 ? 4 : 1;
}

/** undici hides what happened in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new InvalidArgumentError(`Write a URL such as ${defaultController}.`);
  }
  return url;
}
