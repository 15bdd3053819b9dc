// Clients of a measurement as a process of their own: they connect, say that they are ready, begin when told, and report.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { cpuSeconds } from "./process-usage.ts";

export interface Measured<Report> {
  readonly report: Report;
  /** Of the server alone, in all its threads, from the word to begin to the report. */
  readonly serverCpuSeconds: number;
}

/** Runs a program that uses `serveClients`. @throws Error where it ends without a report */
export async function measureClients<Report>(
  program: string,
  options: object,
  serverPid: number,
): Promise<Measured<Report>> {
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${program} ended before its report`);
    return value;
  };
  try {
    await next();
    const before = cpuSeconds(serverPid);
    child.stdin.write("begin\n");
    const report = JSON.parse(await next()) as Report;
    return { report, serverCpuSeconds: cpuSeconds(serverPid) - before };
  } finally {
    child.kill("SIGKILL");
  }
}

/** The other side: `connect` makes everything ready, and what it returns is run when the measurement begins. */
export async function serveClients<Options, Report>(
  connect: (options: Options) => Promise<() => Promise<Report>>,
): Promise<void> {
  const begin = await connect(JSON.parse(process.argv[2] ?? "{}") as Options);
  const told = new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdout.write("ready\n");
  await told;
  process.stdout.write(`${JSON.stringify(await begin())}\n`);
}
