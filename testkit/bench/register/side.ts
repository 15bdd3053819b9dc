// One turn of `register`: a server that runs, and the clients that post to it.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Distribution } from "../../statistics.ts";
import { cpuSeconds } from "../process-usage.ts";

export interface ClientReport {
  /** From the first connection to the last answer. */
  readonly seconds: number;
  readonly answers: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly times: Distribution;
  /** Answers of the client that got fewest, as a share of the median; 0: it was not served at all. */
  readonly leastServed: number;
}

export interface RawReport {
  readonly rows: number;
  readonly seconds: number;
}

export interface Server {
  readonly port: number;
  readonly pid: number;
  readonly token: string;
}

export interface Turn {
  readonly perSecond: number;
  /** Of the server alone, in all its threads. */
  readonly perCpuSecond: number;
  readonly times: Distribution;
  readonly leastServed: number;
}

const program = (name: string) => join(import.meta.dirname, `${name}.js`);
const run = promisify(execFile);

/** @param first number of the first VM @throws Error where an answer was another than 201 */
export async function takeTurn(server: Server, clients: number, ms: number, first: number): Promise<Turn> {
  const before = cpuSeconds(server.pid);
  const args = [server.port, server.token || "-", clients, ms, first].map(String);
  const { stdout } = await run(process.execPath, [program("client"), ...args]);
  const report = JSON.parse(stdout) as ClientReport;
  const others = Object.keys(report.statuses).filter((status) => status !== "201");
  if (others.length > 0) throw new Error(`answered ${JSON.stringify(report.statuses)}`);
  return {
    perSecond: report.answers / report.seconds,
    perCpuSecond: report.answers / (cpuSeconds(server.pid) - before),
    times: report.times,
    leastServed: report.leastServed,
  };
}

/** @returns rows a second */
export async function insertRaw(file: string, ms: number): Promise<number> {
  const { stdout } = await run(process.execPath, [program("raw-sqlite"), file, String(ms)]);
  const { rows, seconds } = JSON.parse(stdout) as RawReport;
  return rows / seconds;
}
