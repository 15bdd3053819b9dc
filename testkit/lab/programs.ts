// The controller and the agents of a lab: the built command, started as an operator would.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Namespace } from "./namespace.ts";
import { LabProcess } from "./process.ts";

export const controllerPort = 4788;

export interface ProgramOptions {
  readonly extraArgs?: readonly string[];
  /** pino's; default "debug" for agents, and the controller's own default. */
  readonly logLevel?: string;
  /** Loaded into the program's process before it starts (`node --import`). */
  readonly preload?: string;
}

/** The repository, relative to testkit/lab/ as well as to dist/testkit/lab/. */
export function repositoryRoot(): string {
  const here = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  return existsSync(join(here, "package.json")) ? here : dirname(here);
}

/** @throws Error where it has not been built */
export function builtFile(...path: readonly string[]): string {
  const built = join(repositoryRoot(), "dist", ...path);
  if (!existsSync(built)) throw new Error(`${built} is missing: run \`npm run build\` first`);
  return built;
}

/** The built command with these arguments. */
export function nearmiss(...args: readonly string[]): [string, ...string[]] {
  return [builtFile("bin", "nearmiss"), ...args];
}

/** As `nearmiss`, of another version where the environment names its tree: see `scripts/test-versions.cjs`. */
function versionOf(part: "CONTROLLER" | "AGENT", ...args: readonly string[]): [string, ...string[]] {
  const tree = process.env[`NEARMISS_${part}_TREE`];
  return tree ? [process.execPath, join(tree, "dist", "bin", "nearmiss.js"), ...args] : nearmiss(...args);
}

export function authority(address: string): string {
  return address.includes(":") ? `[${address}]:${controllerPort}` : `${address}:${controllerPort}`;
}

export interface ControllerOptions extends ProgramOptions {
  readonly db: string;
  readonly address: string;
  /** With TLS and tokens, instead of `--insecure`. */
  readonly secured: boolean;
}

/** Resolves when it listens. @throws ProcessEndedError, WaitError */
export async function startController(where: Namespace, options: ControllerOptions): Promise<LabProcess> {
  const { db, address, secured, logLevel, preload, extraArgs = [] } = options;
  const level = logLevel === undefined ? [] : ["--log-level", logLevel];
  const mode = secured ? ["--tls", "self"] : ["--insecure"];
  const args = ["--listen", authority(address), ...mode, "--db", db, ...level, ...extraArgs];
  const command = versionOf("CONTROLLER", "controller", ...args);
  const controller = new LabProcess("controller", where, command, preloading(preload));
  try {
    await controller.waitForLog((line) => line.msg === "listening", "its log to say that it listens");
    return controller;
  } catch (error) {
    await controller.stop("SIGKILL");
    throw error;
  }
}

export interface AgentOptions extends ProgramOptions {
  /** The flags for its identity and its controller. */
  readonly identity: readonly string[];
  /** Beside the environment of this process: a join token. */
  readonly env?: Readonly<Record<string, string>>;
  readonly name: string;
  /** Its local socket: hosts of a lab share /run. */
  readonly socket: string;
}

export function startAgent(where: Namespace, options: AgentOptions): LabProcess {
  const { identity, env, name, socket, logLevel = "debug", preload, extraArgs = [] } = options;
  const args = [...identity, "--socket", socket, "--log-level", logLevel, ...extraArgs];
  const command = versionOf("AGENT", "agent", ...args);
  return new LabProcess(`agent ${name}`, where, command, { ...env, ...preloading(preload) });
}

function preloading(file: string | undefined): Readonly<Record<string, string>> {
  return file === undefined ? {} : { NODE_OPTIONS: `--import ${file}` };
}
