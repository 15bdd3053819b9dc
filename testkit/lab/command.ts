// Runs a command to its end. Each gets its own process group, so that Ctrl-C at the terminal reaches the program that
// owns the lab and not the `ip` that is removing the lab.
import { spawn } from "node:child_process";

/** A command that exited with another status than 0, was killed, or did not start. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  constructor(
    readonly command: string,
    readonly status: number | string,
    readonly stdout: string,
    readonly stderr: string,
  ) {
    super(`\`${command}\` ended with ${status}${stderr ? `: ${stderr.trim()}` : ""}`);
  }
}

export interface RunOptions {
  /** Text for standard input, which is empty otherwise. */
  readonly input?: string;
  /** Killed when it takes longer; default 30,000. */
  readonly deadlineMs?: number;
  /** Beside the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** @returns standard output. @throws CommandError */
export function run(command: readonly [string, ...string[]], options: RunOptions = {}): Promise<string> {
  const [file, ...args] = command;
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...options.env };
    const child = spawn(file, args, { stdio: "pipe", detached: true, env });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), options.deadlineMs ?? 30_000);
    const fail = (status: number | string) => reject(new CommandError(command.join(" "), status, stdout, stderr));
    child.on("error", (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(stdout);
      else fail(code ?? signal ?? "unknown");
    });
    // A command that ends without reading its input is not an error: its status counts.
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/** Many `ip` commands in one process, inside `namespace` where given. Stops at the first that fails. @throws CommandError */
export async function ipBatch(lines: readonly string[], namespace?: string): Promise<void> {
  if (lines.length === 0) return;
  const where = namespace === undefined ? [] : ["-n", namespace];
  try {
    await run(["ip", ...where, "-batch", "-"], { input: `${lines.join("\n")}\n` });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const failed = /Command failed -:(\d+)/.exec(error.stderr)?.[1];
    const line = failed === undefined ? undefined : lines[Number(failed) - 1];
    throw new CommandError(`ip ${[...where, line ?? "-batch"].join(" ")}`, error.status, error.stdout, error.stderr);
  }
}
