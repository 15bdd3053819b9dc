// A controller as a process of its own, on a free port of 127.0.0.1, with a fresh database.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../../lab/wait.ts";
import { peakRssMib } from "../process-usage.ts";

const program = join(import.meta.dirname, "../../bin/nearmiss.js");

export class BenchController {
  private constructor(
    readonly base: string,
    /** Empty where it is not secured. */
    readonly adminToken: string,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  /**
   * @param options directory: of an earlier run, to go on with its database; secured: with tokens, and over plain HTTP all the
   * same, so that TLS is not what is measured
   */
  static async start({
    directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-")),
    secured = false,
  } = {}): Promise<BenchController> {
    const base = `127.0.0.1:${await freePort()}`;
    const db = join(directory, "nearmiss.db");
    const mode = secured ? [] : ["--insecure"];
    const args = [program, "controller", "--listen", base, "--db", db, ...mode, "--log-level", "error"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], env: process.env });
    await waitFor(async () => (await fetch(`http://${base}/livez`)).ok, { what: "the controller", deadlineMs: 20_000 });
    const token = secured ? readFileSync(`${db}.admin-token`, "utf8").trim() : "";
    return new BenchController(base, token, child, directory);
  }

  /** `nearmiss backup` of its database, to the end. */
  backUp(): Promise<void> {
    const args = [program, "backup", join(this.directory, "backup.db"), "--db", join(this.directory, "nearmiss.db")];
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

  /** Longest time, ms, that the event loop was late since it was last asked. */
  async maxLagMs(): Promise<number> {
    const text = await (await fetch(`http://${this.base}/metrics`)).text();
    return Math.round(Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(text)?.[1]) * 1_000);
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** The next run has the same database, and none of what this one did. */
  async restart(): Promise<BenchController> {
    await this.end();
    return BenchController.start({ directory: this.directory });
  }

  private async end(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
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
