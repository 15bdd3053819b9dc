// A controller as a process of its own, on a free port of 127.0.0.1, with a fresh database.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../lab/wait.ts";
import { peakRssMib } from "./process-usage.ts";

const program = join(import.meta.dirname, "../bin/nearmiss.js");

/** How late an event loop was, ms, of looks every 10 ms. */
export interface Lag {
  readonly max: number;
  readonly p99: number;
}

export class BenchController {
  private child: ChildProcess;

  private constructor(
    readonly base: string,
    private readonly secured: boolean,
    private readonly directory: string,
  ) {
    this.child = this.run();
  }

  /** @param options secured: with tokens, and over plain HTTP all the same, so that TLS is not what is measured */
  static async start({ secured = false } = {}): Promise<BenchController> {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
    const controller = new BenchController(`127.0.0.1:${await freePort()}`, secured, directory);
    await controller.listening();
    return controller;
  }

  /** Empty where it is not secured. */
  get adminToken(): string {
    return this.secured ? readFileSync(`${this.db}.admin-token`, "utf8").trim() : "";
  }

  private get db(): string {
    return join(this.directory, "nearmiss.db");
  }

  /** `nearmiss backup` of its database, to the end. */
  backUp(): Promise<void> {
    const args = [program, "backup", join(this.directory, "backup.db"), "--db", this.db];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    return new Promise((resolve, reject) => {
      child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`the backup ended with ${code}`))));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Highest resident set so far, MiB. */
  peakRssMib(): number {
    return peakRssMib(this.pid);
  }

  /** Since it was last asked. */
  async lagMs(): Promise<Lag> {
    const text = await (await fetch(`http://${this.base}/metrics`)).text();
    const of = (name: string) =>
      Math.round(Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds (\\S+)`, "m").exec(text)?.[1]) * 1_000);
    return { max: of("max"), p99: of("p99") };
  }

  /** One import, to its end. */
  async import(lines: Buffer): Promise<void> {
    const headers = { "content-type": "application/x-ndjson" };
    const response = await fetch(`http://${this.base}/v1/import`, { method: "POST", headers, body: lines });
    let tail = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? [])
      tail = (tail + decoder.decode(chunk, { stream: true })).slice(-2_000);
    if (!response.ok) throw new Error(`import: ${response.status} ${tail}`);
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** The next run has the same address and database, and none of what this one did. */
  async restart(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.end(signal);
    this.child = this.run();
    await this.listening();
  }

  private run(): ChildProcess {
    const mode = this.secured ? [] : ["--insecure"];
    const args = [program, "controller", "--listen", this.base, "--db", this.db, ...mode, "--log-level", "error"];
    return spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], env: process.env });
  }

  private async listening(): Promise<void> {
    const isLive = async () => (await fetch(`http://${this.base}/livez`)).ok;
    await waitFor(isLive, { what: "the controller", deadlineMs: 20_000 });
  }

  private async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    await ended;
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
