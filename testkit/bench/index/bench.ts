// `index`: what the inventory of a controller takes, by its number of VMs: memory, the CPU of a start beside a plain scan of the same
// tables, and look-ups beside a plain Map of objects. Each size in processes of its own, in turns.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { toThousandths } from "../../../common/round.ts";
import { median } from "../../statistics.ts";
import type { Progress } from "../progress.ts";
import { writeDatabase } from "./database.ts";
import type { LookUpReport } from "./look-ups.ts";
import type { StartReport } from "./start.ts";

export interface IndexOptions {
  /** Numbers of VMs, one after the other. */
  readonly vms: readonly number[];
  readonly rounds: number;
}

export interface IndexResult extends IndexOptions {
  readonly sizes: readonly {
    readonly vms: number;
    /** Of one VM: objects and buffers, and resident memory; medians. */
    readonly heapBytes: number;
    readonly residentBytes: number;
    /** Of the whole process: store, inventory and committer. */
    readonly rssMib: number;
    /** CPU, medians. */
    readonly startSeconds: number;
    readonly scanSeconds: number;
    readonly startRatio: number;
    /** A CPU second. */
    readonly lookUps: LookUpReport;
    readonly lookUpRatio: number;
  }[];
}

const mebibyte = 1_048_576;

export async function indexBench(options: IndexOptions, progress: Progress): Promise<IndexResult> {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
  try {
    const sizes = [];
    for (const vms of options.vms) {
      progress(`${vms} VMs: writing the database`);
      const file = join(directory, `${vms}.db`);
      await writeDatabase(file, vms);
      const loads: StartReport[] = [];
      const scans: StartReport[] = [];
      for (let n = 1; n <= options.rounds; n++) {
        progress(`${vms} VMs: start ${n} of ${options.rounds}`);
        loads.push(await run<StartReport>("start.js", file, "load"));
        scans.push(await run<StartReport>("start.js", file, "scan"));
      }
      progress(`${vms} VMs: look-ups`);
      const lookUps = await run<LookUpReport>("look-ups.js", String(vms), String(options.rounds));
      sizes.push(summarize(vms, { loads, scans, lookUps }));
    }
    return { ...options, sizes };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Measured {
  readonly loads: readonly StartReport[];
  readonly scans: readonly StartReport[];
  readonly lookUps: LookUpReport;
}

function summarize(vms: number, { loads, scans, lookUps }: Measured): IndexResult["sizes"][number] {
  const of = (reports: readonly StartReport[], field: keyof StartReport) =>
    median(reports.map((report) => report[field]));
  const [startSeconds, scanSeconds] = [of(loads, "cpuSeconds"), of(scans, "cpuSeconds")];
  return {
    vms,
    heapBytes: Math.round(of(loads, "heapBytes") / vms),
    residentBytes: Math.round(of(loads, "residentBytes") / vms),
    rssMib: Math.round(of(loads, "rssBytes") / mebibyte),
    startSeconds: toThousandths(startSeconds),
    scanSeconds: toThousandths(scanSeconds),
    startRatio: toThousandths(startSeconds / scanSeconds),
    lookUps,
    lookUpRatio: toThousandths(lookUps.packed / lookUps.map),
  };
}

async function run<Report>(program: string, ...args: readonly string[]): Promise<Report> {
  // The plain Map of a million VMs takes gigabytes.
  const flags = ["--expose-gc", "--max-old-space-size=8192"];
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...flags,
    join(import.meta.dirname, program),
    ...args,
  ]);
  return JSON.parse(stdout);
}
