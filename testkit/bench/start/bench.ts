// `start`: how long commands take that need no controller, beside an empty Node process, in turns.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { toThousandths } from "../../../common/round.ts";
import { builtFile } from "../../lab/programs.ts";
import { median } from "../../statistics.ts";
import { missedOf } from "../bounds.ts";
import type { Progress } from "../progress.ts";
import { interleave } from "../schedule.ts";

export interface StartOptions {
  /** Of each. */
  readonly runs: number;
  /** Ceilings: median of a command : median of `node -e 0`. */
  readonly bounds: { readonly bare: number; readonly command: number };
}

export interface StartResult {
  readonly runs: number;
  /** `node -e 0`. */
  readonly emptyMs: number;
  readonly commands: readonly { readonly line: string; readonly ms: number; readonly ratio: number }[];
  readonly missed: readonly string[];
}

/** Those that need no command of ours, and those that do. */
const bare = ["--version", "--help", "vmm"];
const commands = ["vm --help", "vm list --help", "vm list --nosuch", "complete -- v", "complete -- vm l"];

export async function startBench({ runs, bounds }: StartOptions, progress: Progress): Promise<StartResult> {
  const program = builtFile("bin", "nearmiss");
  const empty = [builtFile("bin", "node"), "-e", "0"];
  const lines = [empty, ...[...bare, ...commands].map((line) => [program, ...line.split(" ")])];
  const times = lines.map((): number[] => []);
  // The first one reads files that are not cached yet.
  for (const line of lines) timeOf(line);
  let done = 0;
  for (const index of interleave(
    lines.map((_, item) => ({ item, times: runs })),
    Math.random,
  )) {
    if (done++ % lines.length === 0) progress(`${done} of ${runs * lines.length} processes`);
    times[index]?.push(timeOf(lines[index] ?? empty));
  }
  const emptyMs = median(times[0] ?? []);
  const measured = [...bare, ...commands].map((line, index) => {
    const ms = median(times[index + 1] ?? []);
    return { line, ms: toThousandths(ms), ratio: toThousandths(ms / emptyMs) };
  });
  const missed = missedOf(
    measured.map(({ line, ratio }) => ({
      what: `nearmiss ${line} : an empty process`,
      ratio,
      most: bare.includes(line) ? bounds.bare : bounds.command,
    })),
  );
  return { runs, emptyMs: toThousandths(emptyMs), commands: measured, missed };
}

/** From the start of the process to its end, ms. */
function timeOf([program = "", ...args]: readonly string[]): number {
  const before = performance.now();
  const { error } = spawnSync(program, args, { stdio: "ignore", cwd: join(import.meta.dirname) });
  if (error) throw error;
  return performance.now() - before;
}
