// Where the controller is and who asks: flags before environment. Tokens never stand on a command line, where `ps` shows them.
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { ProblemDetails } from "../schema/index.ts";
import { callHttp } from "./http.ts";

export interface ConnectionOptions {
  readonly controller: URL;
  readonly tokenFile?: string;
  /** File with the CA that the controller's certificate is checked with; absent: a public CA. */
  readonly ca?: string;
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
NEARMISS_TOKEN_FILE, or is NEARMISS_TOKEN itself. The controller's CA is in the file of --ca or NEARMISS_CA.
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 conflict, 5 controller unreachable.`;

export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--controller <url>", "the controller to ask")
        .env("NEARMISS_CONTROLLER")
        .argParser(parseUrl)
        .default(new URL(defaultController), defaultController),
    )
    .addOption(new Option("--token-file <path>", "file with the token").env("NEARMISS_TOKEN_FILE"))
    .addOption(
      new Option("--ca <path>", "the controller's CA in PEM; with --tls self it is DATABASE.pki/ca.pem").env(
        "NEARMISS_CA",
      ),
    );
}

/** One request. @returns the parsed answer, undefined where it is empty @throws CliError saying what to do */
export async function callController<Body>(
  { controller, tokenFile, ca: caFile }: ConnectionOptions,
  method: string,
  path: string,
  body?: unknown,
): Promise<Body> {
  const token = findToken(tokenFile);
  const headers: Record<string, string> = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  };
  const trusted = caFile === undefined ? {} : { ca: readCa(caFile) };
  const payload = body === undefined ? {} : { body: JSON.stringify(body) };
  let status: number;
  let text: string;
  try {
    const call = { method, headers, timeoutMs, ...trusted, ...payload };
    ({ status, text } = await callHttp(new URL(path, controller), call));
  } catch (error) {
    throw new CliError(`${controller.href} does not answer: ${reasonOf(error)}`, 5);
  }
  if (status < 200 || status > 299) throw new CliError(explain(status, text), exitStatus(status));
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

function readCa(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError(`cannot read the CA: ${error instanceof Error ? error.message : error}`, 2);
  }
}

/** What OpenSSL says of a CA that this machine does not know. */
const unknownCa = ["SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"];

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  if (unknownCa.includes(code)) return "its certificate is of an unknown CA: name that with --ca or NEARMISS_CA";
  return error.message || code;
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new InvalidArgumentError(`Write a URL such as ${defaultController}.`);
  }
  return url;
}
