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
}

/** The repository, seen from lab/ as well as from dist/lab/. */
function repositoryRoot(): string {
  const here = dirname(dirname(fileURLToPath(import.meta.url)));
  return existsSync(join(here, "package.json")) ? here : dirname(here);
}

/** The built command with these arguments. */
export function nearmiss(...args: readonly string[]): [string, ...string[]] {
  const built = join(repositoryRoot(), "dist", "bin", "nearmiss.js");
  if (!existsSync(built)) throw new Error(`${built} is missing: run \`npm run build\` first`);
  return [process.execPath, built, ...args];
}

export function authority(address: string): string {
  return address.includes(":") ? `[${address}]:${controllerPort}` : `${address}:${controllerPort}`;
}

export interface ControllerOptions extends ProgramOptions {
  readonly db: string;
  readonly address: string;
}

/** Resolves when it listens. @throws ProcessEndedError, WaitError */
export async function startController(where: Namespace, options: ControllerOptions): Promise<LabProcess> {
  const { db, address, logLevel, extraArgs = [] } = options;
  const level = logLevel === undefined ? [] : ["--log-level", logLevel];
  const args = ["--listen", authority(address), "--insecure", "--db", db, ...level, ...extraArgs];
  const controller = new LabProcess("controller", where, nearmiss("controller", ...args));
  try {
    await controller.waitForLog((line) => line.msg === "listening", 20_000, "its log to say that it listens");
    return controller;
  } catch (error) {
    await controller.stop("SIGKILL");
    throw error;
  }
}

export interface AgentOptions extends ProgramOptions {
  readonly controllerUrl: string;
  readonly name: string;
  readonly vtep: string;
  /** Its local socket: hosts of a lab share /run. */
  readonly socket: string;
}

export function startAgent(where: Namespace, options: AgentOptions): LabProcess {
  const { controllerUrl, name, vtep, socket, logLevel = "debug", extraArgs = [] } = options;
  const identity = ["--host", name, "--vtep", vtep, "--socket", socket];
  const args = ["--controller", controllerUrl, ...identity, "--log-level", logLevel, ...extraArgs];
  return new LabProcess(`agent ${name}`, where, nearmiss("agent", ...args));
}
