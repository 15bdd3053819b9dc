// The built `nearmiss` from an operator's view: commands as processes, and a controller for them.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { waitUntil } from "../../testkit/lab/wait.ts";
import { type AtEnd, ControllerProcess, temporaryDirectory } from "./controller-process.ts";

export const binary = resolve(import.meta.dirname, "../../dist/bin/nearmiss");

interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
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
    const child = execFile(binary, args, { env, timeout: 50_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== "number") return reject(error);
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** A command that runs until it is stopped, with its output so far. */
export function startNearmiss(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"], env });
  onTestFinished(() => stop(child));
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const shows = (read: () => string, text: string | RegExp) => {
    const what = `"${text}" of nearmiss ${args.join(" ")}`;
    return waitUntil(read, (seen) => seen.search(text) >= 0, { what });
  };
  return {
    /** Its output, once that contains the text. @throws WaitError */
    shows: (text: string | RegExp) => shows(() => stdout, text),
    complains: (text: string | RegExp) => shows(() => stderr, text),
  };
}

/** A controller with an empty database that requires tokens, and commands with its admin token. */
export async function startOperated(atEnd: AtEnd = onTestFinished) {
  const directory = temporaryDirectory(atEnd);
  const db = join(directory, "nearmiss.db");
  let controller = await ControllerProcess.start(db, 0, [], atEnd);
  const { url } = controller;
  const env = {
    ...cleanEnvironment(directory),
    NEARMISS_CONTROLLER: url,
    NEARMISS_TOKEN_FILE: `${db}.admin-token`,
  };
  return {
    directory,
    env,
    url,
    /** On the same port and database. */
    restart: async () => {
      await controller.process.stop("SIGTERM");
      controller = await ControllerProcess.start(db, Number(new URL(url).port), [], atEnd);
    },
    run: (args: readonly string[], options: RunOptions = {}) =>
      runNearmiss(args, { ...options, env: { ...env, ...options.env } }),
    /** A command that is to succeed. @returns its standard output */
    ok: async (...args: string[]): Promise<string> => {
      const finished = await runNearmiss(args, { env });
      if (finished.status !== 0) throw new Error(`nearmiss ${args.join(" ")}: ${finished.status} ${finished.stderr}`);
      return finished.stdout;
    },
  };
}

export type Operated = Awaited<ReturnType<typeof startOperated>>;

/** One for all tests of a file: each creates its resources under its own names. Call it outside of tests. */
export function operatedForFile(prepare: (controller: Operated) => Promise<void>): () => Operated {
  const cleans: (() => Promise<void> | void)[] = [];
  let operated: Operated | undefined;
  beforeAll(async () => {
    operated = await startOperated((clean) => cleans.push(clean));
    await prepare(operated);
  });
  afterAll(async () => {
    for (const clean of cleans.reverse()) await clean();
  });
  return () => {
    if (!operated) throw new Error("the controller has not started");
    return operated;
  };
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
