// Runs the commands of a page as a reader would: one shell, a fresh controller, an empty directory.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ControllerProcess } from "../support/controller-process.ts";
import { asTyped, type Step } from "./console-blocks.ts";

const program = join(import.meta.dirname, "../../dist/bin/nearmiss");
/** Where the pages say that the controller is. */
const shownBase = "127.0.0.1:4788";

/** Programs that the pages' commands need in addition to ours. */
export function missingCommands(): string[] {
  return ["bash", "curl", "jq"].filter((command) => spawnSync(command, ["--version"]).error);
}

export interface Ran {
  readonly output: readonly string[];
  readonly status: number;
}

/** What each step printed, standard error included. */
export async function runSteps(steps: readonly Step[]): Promise<Ran[]> {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-docs-"));
  symlinkSync(program, join(directory, "nearmiss"));
  const controller = ControllerProcess.launch(join(directory, "nearmiss.db"), 0, ["--insecure"], () => {});
  try {
    const { port } = await controller.waitForLog(({ msg }) => msg === "listening", "its log to say that it listens");
    const base = `127.0.0.1:${port}`;
    const env = {
      ...process.env,
      PATH: `${directory}:${process.env.PATH}`,
      NEARMISS_CONTROLLER: `http://${base}`,
      NO_COLOR: "1",
    };
    const marker = `end-of-step-${process.pid}`;
    const script = steps.map((step) => `${asTyped(step)}\nprintf '\\n${marker} %s\\n' "$?"`).join("\n");
    const work = mkdtempSync(join(directory, "work-"));
    const shell = spawn("bash", ["-c", `exec 2>&1\n${script}`], {
      cwd: work,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const text = (await textOf(shell)).replaceAll(base, shownBase);
    return text
      .split(new RegExp(`\\n${marker} (\\d+)\\n`))
      .slice(0, -1)
      .flatMap((part, i, parts): Ran[] =>
        i % 2 === 0 ? [{ output: linesOf(part), status: Number(parts[i + 1]) }] : [],
      );
  } finally {
    await controller.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function linesOf(text: string): string[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

async function textOf(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  await new Promise((resolve) => child.once("close", resolve));
  return text;
}
