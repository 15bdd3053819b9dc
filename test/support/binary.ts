// The built `nearmiss` as its users have it: a controller as a process, and commands as processes.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { waitUntil } from "../../lab/wait.ts";

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

/** A command that goes on until it is stopped, with what it has printed so far. */
export function startNearmiss(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [binary, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  onTestFinished(() => stop(child));
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const shows = (read: () => string, text: string | RegExp) =>
    waitUntil(read, (seen) => seen.search(text) >= 0, {
      what: `"${text}" of nearmiss ${args.join(" ")}`,
      deadlineMs: 20_000,
    });
  return {
    /** What it has printed, once that is in it. @throws WaitError */
    shows: (text: string | RegExp) => shows(() => stdout, text),
    complains: (text: string | RegExp) => shows(() => stderr, text),
  };
}

/** A controller with an empty database that asks for tokens, until the end. */
export async function startControllerProcess(atEnd: AtEnd = onTestFinished) {
  const directory = temporaryDirectory(atEnd);
  const db = join(directory, "nearmiss.db");
  let child: ChildProcess | undefined;
  const start = async (port: number): Promise<number> => {
    const args = [binary, "controller", "--listen", `127.0.0.1:${port}`, "--db", db];
    child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"], env: cleanEnvironment(directory) });
    return (await firstLine(child, (line) => line.msg === "listening")).port;
  };
  const end = async () => void (child && (await stop(child)));
  atEnd(end);
  const port = await start(0);
  const env = {
    ...cleanEnvironment(directory),
    NEARMISS_CONTROLLER: `http://127.0.0.1:${port}`,
    NEARMISS_TOKEN_FILE: `${db}.admin-token`,
  };
  return {
    directory,
    env,
    url: env.NEARMISS_CONTROLLER,
    /** On the same port and database. */
    restart: async () => {
      await end();
      await start(port);
    },
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
