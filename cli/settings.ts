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
  /** Where it is from, for messages; so below. */
  readonly controllerFrom: string;
  readonly token?: string;
  readonly tokenFrom?: string;
  /** PEM. */
  readonly ca?: string;
  readonly caFrom?: Setting;
}

export const defaultController = "http://127.0.0.1:4788";
const keys = ["controller", "token-file", "ca"] as const;
type FileSettings = Partial<Record<(typeof keys)[number], string>>;

/** A setting in force, and where it is from, as the user would change it. */
export interface Setting {
  readonly value: string;
  readonly from: string;
}

/** All of them, before a file of token or CA is read. */
export interface Located {
  readonly controller: Setting;
  /** Path of the file. */
  readonly tokenFile?: Setting;
  /** The secret itself, where no flag names a file. */
  readonly token?: Setting;
  /** Path of the file. */
  readonly ca?: Setting;
  /** Path of the settings file, and whether it exists. */
  readonly config: Setting & { readonly exists: boolean };
}

/** @throws CliError about what cannot be read, with status 2 */
export async function readSettings(
  options: ConnectionOptions,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Settings> {
  const { controller, token, tokenFile, ca } = await locateSettings(options, env);
  return {
    controller: new URL(controller.value),
    controllerFrom: controller.from,
    ...(ca ? { ca: readCa(ca), caFrom: ca } : {}),
    ...(tokenFile ? { token: readToken(tokenFile), tokenFrom: `${tokenFile.value} (${tokenFile.from})` } : {}),
    ...(token ? { token: checkToken(token.value, token.from), tokenFrom: token.from } : {}),
  };
}

/** @throws CliError about the settings file, with status 2 */
export async function locateSettings(
  options: ConnectionOptions,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Located> {
  const given = (value: string | undefined, flag: string, name: string): Setting | undefined =>
    value === undefined ? undefined : { value, from: env[name] !== undefined && env[name] === value ? name : flag };
  const path = given(options.config || undefined, "--config", "NEARMISS_CONFIG");
  const file = await readConfig(path?.value, env);
  const config = { ...(path ?? { value: configPath(env), from: "default" }), exists: file !== undefined };
  const inFile = (key: keyof FileSettings): Setting | undefined =>
    file?.[key] === undefined ? undefined : { value: file[key], from: config.value };
  const url = options.controller?.href;
  const isOfEnvironment = url !== undefined && findUrl(env.NEARMISS_CONTROLLER ?? "")?.href === url;
  const named =
    url === undefined ? undefined : { value: url, from: isOfEnvironment ? "NEARMISS_CONTROLLER" : "--controller" };
  const tokenFile = given(options.tokenFile || undefined, "--token-file", "NEARMISS_TOKEN_FILE");
  const token = !tokenFile && env.NEARMISS_TOKEN ? { value: env.NEARMISS_TOKEN, from: "NEARMISS_TOKEN" } : undefined;
  return {
    controller: named ?? inFile("controller") ?? { value: defaultController, from: "default" },
    config,
    ...defined({
      token,
      tokenFile: tokenFile ?? (token ? undefined : inFile("token-file")),
      ca: given(options.ca || undefined, "--ca", "NEARMISS_CA") ?? inFile("ca"),
    }),
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
async function readConfig(named: string | undefined, env: NodeJS.ProcessEnv): Promise<FileSettings | undefined> {
  const path = named ?? configPath(env);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const isAbsent = error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
    if (named === undefined && isAbsent) return undefined;
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

/** @throws CliError */
function readToken({ value: path, from }: Setting): string {
  return checkToken(readGiven(path, "the token", from), `${path} (${from})`);
}

/** @param from for messages, which never have the text @throws CliError */
function checkToken(text: string, from: string): string {
  const token = text.trim();
  if (/^[\w-]+$/.test(token)) return token;
  const what = token === "" ? "is empty" : "does not contain a token, which is one line such as nm_viewer_…";
  throw new CliError(`${from} ${what}. Nothing was sent. \`nearmiss config\` shows where each setting is from.`, 2);
}

/** @throws CliError */
function readCa({ value: path, from }: Setting): string {
  const text = readGiven(path, "the CA", from);
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new CliError(`${path} (${from}) has no certificate in PEM (-----BEGIN CERTIFICATE-----). Nothing was sent.`, 2);
}

/** @throws CliError */
function readGiven(path: string, what: string, from: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const why = error instanceof Error && "code" in error ? fileFaults[String(error.code)] : undefined;
    throw new CliError(`cannot read ${what}: ${path} (${from}) ${why ?? messageOf(error)}`, 2);
  }
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "may not be read by this user",
  EISDIR: "is a directory",
};

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
