// Where the controller is and who asks: flag, then environment, then file. Tokens never stand on a command line, where
// `ps` shows them.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { defined } from "../common/defined.ts";
import { CliError } from "./errors.ts";

/** From flags and, if absent, the environment. */
export interface ConnectionOptions {
  readonly controller?: URL;
  readonly tokenFile?: string;
  /** File with the CA that the controller's certificate is checked with; absent: a public CA. */
  readonly ca?: string;
  readonly config?: string;
}

export interface Settings {
  readonly controller: URL;
  readonly token?: string;
  /** PEM. */
  readonly ca?: string;
}

export const defaultController = "http://127.0.0.1:4788";
const keys = ["controller", "token-file", "ca"] as const;
type FileSettings = Partial<Record<(typeof keys)[number], string>>;

/** @throws CliError about what cannot be read, with status 2 */
export async function readSettings(
  options: ConnectionOptions,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Settings> {
  const file = await readConfig(options.config, env);
  const token = readToken(options.tokenFile, env, file["token-file"]);
  const caFile = options.ca ?? file.ca;
  return {
    controller: options.controller ?? controllerOf(file),
    ...defined({ token }),
    ...(caFile === undefined ? {} : { ca: readGiven(caFile, "the CA") }),
  };
}

/** @returns undefined if it is not a URL that a controller can have */
export function findUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === "http:" || url?.protocol === "https:" ? url : undefined;
}

export function configPath(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config"), "nearmiss", "config.toml");
}

/** A file that was named has to be there; the usual one need not. */
async function readConfig(named: string | undefined, env: NodeJS.ProcessEnv): Promise<FileSettings> {
  const path = named ?? configPath(env);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const isAbsent = error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
    if (named === undefined && isAbsent) return {};
    throw new CliError(`cannot read the settings: ${messageOf(error)}`, 2);
  }
  return parseConfig(text, path);
}

/** Paths in it are relative to it. @throws CliError */
async function parseConfig(text: string, path: string): Promise<FileSettings> {
  const settings = Object.entries(await parseToml(text, path)).map(([key, value]) => {
    if (!keys.some((known) => known === key)) {
      throw new CliError(`${path}: "${key}" is not a valid setting: use ${keys.join(", ")}`, 2);
    }
    if (typeof value !== "string") throw new CliError(`${path}: ${key} must be a string in quotes`, 2);
    if (key !== "controller") return [key, resolve(dirname(path), value)];
    if (!findUrl(value)) throw new CliError(`${path}: controller must be a URL such as "${defaultController}"`, 2);
    return [key, value];
  });
  return Object.fromEntries(settings);
}

async function parseToml(text: string, path: string): Promise<Record<string, unknown>> {
  const { parse, TomlError } = await import("smol-toml");
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new CliError(`${path}:${error.line}:${error.column} is not valid TOML: ${error.message.split("\n")[0]}`, 2);
  }
}

function controllerOf({ controller = defaultController }: FileSettings): URL {
  return new URL(controller);
}

function readToken(named: string | undefined, env: NodeJS.ProcessEnv, inFile: string | undefined) {
  if (named !== undefined) return readGiven(named, "the token");
  if (env.NEARMISS_TOKEN) return env.NEARMISS_TOKEN;
  return inFile === undefined ? undefined : readGiven(inFile, "the token");
}

function readGiven(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CliError(`cannot read ${what}: ${messageOf(error)}`, 2);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
