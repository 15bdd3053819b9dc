// `start`: how long commands take that need no controller, beside an empty Node process, in turns; and `nearmiss status`, which asks one
// for a whole fleet.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { toThousandths } from "../../../common/round.ts";
import { builtFile } from "../../lab/programs.ts";
import { median } from "../../statistics.ts";
import { missedOf } from "../bounds.ts";
import { BenchController } from "../controller.ts";
import { fleetImports } from "../made-up-fleet.ts";
import type { Progress } from "../progress.ts";
import { interleave } from "../schedule.ts";
import { formatMs } from "../table.ts";

export interface StartOptions {
  /** Of each. */
  readonly runs: number;
  /** Registered, with a VM on each and no agent, so that each has a condition. */
  readonly hosts: number;
  /** Ceilings: median of a command : median of `node -e 0`; and ms. */
  readonly bounds: { readonly bare: number; readonly command: number; readonly status: number };
}

export interface StartResult {
  readonly runs: number;
  /** `node -e 0`. */
  readonly emptyMs: number;
  readonly commands: readonly { readonly line: string; readonly ms: number; readonly ratio: number }[];
  /** `nearmiss status` of so many hosts. */
  readonly status: { readonly hosts: number; readonly ms: number };
  readonly missed: readonly string[];
}

/** Those that need no command of ours, and those that do. */
const bare = ["--version", "--help", "vmm"];
const commands = ["vm --help", "vm list --help", "vm list --nosuch", "complete -- v", "complete -- vm l"];

export async function startBench({ runs, hosts, bounds }: StartOptions, progress: Progress): Promise<StartResult> {
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
  const status = { hosts, ms: toThousandths(await timeOfStatus(hosts, runs, progress)) };
  const missed = missedOf([
    ...measured.map(({ line, ratio }) => ({
      what: `nearmiss ${line} : an empty process`,
      ratio,
      most: bare.includes(line) ? bounds.bare : bounds.command,
    })),
    { what: `nearmiss status, of ${hosts} hosts,`, ratio: status.ms, most: bounds.status, format: formatMs },
  ]);
  return { runs, emptyMs: toThousandths(emptyMs), commands: measured, status, missed };
}

async function timeOfStatus(hosts: number, runs: number, progress: Progress): Promise<number> {
  progress(`registering ${hosts} hosts`);
  const controller = await BenchController.start();
  try {
    for (const lines of fleetImports({ hosts, vms: hosts })) await controller.import(lines);
    // 7: something needs attention.
    const line = [builtFile("bin", "nearmiss"), "status", "--controller", controller.url];
    timeOf(line, 7);
    return median(Array.from({ length: runs }, () => timeOf(line, 7)));
  } finally {
    await controller.stop();
  }
}

/** From the start of the process to its end, ms. */
function timeOf([program = "", ...args]: readonly string[], expected?: number): number {
  const before = performance.now();
  const { error, status } = spawnSync(program, args, { stdio: "ignore", cwd: join(import.meta.dirname) });
  if (error) throw error;
  if (expected !== undefined && status !== expected) throw new Error(`${args.join(" ")} ended with ${status}`);
  return performance.now() - before;
}
