// The built `nearmiss` as its users have it: a controller as a process, and commands as processes.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

export const binary = resolve(import.meta.dirname, "../../dist/bin/nearmiss.js");

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** What to do in the end: of the test, or with `afterAll` of the file. */
type AtEnd = (clean: () => Promise<void> | void) => void;

/** Removed in the end. */
export function temporaryDirectory(atEnd: AtEnd = onTestFinished): string {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-cli-"));
  atEnd(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Nothing of the tester's own settings, terminal or home. */
export function cleanEnvironment(home: string): Record<string, string> {
  const { PATH = "" } = process.env;
  return { PATH, HOME: home, LC_ALL: "C.UTF-8", TZ: "UTC" };
}

export function runNearmiss(
  args: readonly string[],
  { env = cleanEnvironment("/nonexistent"), input = "" }: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [binary, ...args], { env, timeout: 50_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== "number") return reject(error);
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** A controller with an empty database that asks for tokens, until the end. */
export async function startControllerProcess(atEnd: AtEnd = onTestFinished) {
  const directory = temporaryDirectory(atEnd);
  const db = join(directory, "nearmiss.db");
  const args = [binary, "controller", "--listen", "127.0.0.1:0", "--db", db];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: cleanEnvironment(directory),
  });
  atEnd(() => stop(child));
  const { port } = await firstLine(child, (line) => line.msg === "listening");
  const env = {
    ...cleanEnvironment(directory),
    NEARMISS_CONTROLLER: `http://127.0.0.1:${port}`,
    NEARMISS_TOKEN_FILE: `${db}.admin-token`,
  };
  return {
    directory,
    env,
    url: env.NEARMISS_CONTROLLER,
    stop: () => stop(child),
    /** A command that asks this controller as its admin. */
    run: (args: readonly string[], options: RunOptions = {}) =>
      runNearmiss(args, { ...options, env: { ...env, ...options.env } }),
    /** The same, which is to succeed. @returns its standard output */
    ok: async (...args: string[]): Promise<string> => {
      const finished = await runNearmiss(args, { env });
      if (finished.status !== 0) throw new Error(`nearmiss ${args.join(" ")}: ${finished.status} ${finished.stderr}`);
      return finished.stdout;
    },
  };
}

export type ControllerProcess = Awaited<ReturnType<typeof startControllerProcess>>;

interface LogLine {
  readonly msg: string;
  readonly port: number;
}

async function firstLine(child: ChildProcess, fits: (line: LogLine) => boolean): Promise<LogLine> {
  const seen: string[] = [];
  if (!child.stderr) throw new Error("no standard error");
  const lines = createInterface({ input: child.stderr });
  for await (const text of lines) {
    seen.push(text);
    const line = JSON.parse(text) as LogLine;
    if (!fits(line)) continue;
    child.stderr.resume();
    return line;
  }
  throw new Error(`the controller ended: ${seen.join("\n")}`);
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
