// A controller as a separate process, on a free port of 127.0.0.1, with a fresh database.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { nearmiss } from "../lab/programs.ts";
import { waitFor } from "../lab/wait.ts";
import { ask } from "./ask.ts";
import { peakRssMib } from "./process-usage.ts";

/** How late an event loop was, ms, of looks every 10 ms. */
export interface Lag {
  readonly max: number;
  readonly p99: number;
}

/** Access: without authentication; with tokens, over plain HTTP; with tokens and hosts' certificates, over TLS. */
export type Door = "open" | "tokens" | "tls";

/** With a million VMs, on a machine that others use. */
const maxStartMs = 120_000;
const maxFollowMs = 1_200_000;

const doorFlags = { open: ["--insecure"], tokens: [], tls: ["--tls", "self"] } as const satisfies Record<Door, unknown>;

export class BenchController {
  private child: ChildProcess;

  private constructor(
    readonly base: string,
    private door: Door,
    private readonly flags: readonly string[],
    private readonly directory: string,
  ) {
    this.child = this.run();
  }

  /** @param flags beside those of the door */
  static async start(door: Door = "open", flags: readonly string[] = []): Promise<BenchController> {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
    const controller = new BenchController(`127.0.0.1:${await freePort()}`, door, flags, directory);
    await controller.listening();
    return controller;
  }

  get url(): string {
    return `${this.door === "tls" ? "https" : "http"}://${this.base}`;
  }

  /** Empty where none is asked for. */
  get adminToken(): string {
    return this.door === "open" ? "" : readFileSync(`${this.db}.admin-token`, "utf8").trim();
  }

  /** The CA for checking it; empty without TLS. */
  get ca(): string {
    return this.door === "tls" ? readFileSync(`${this.db}.pki/ca.pem`, "utf8") : "";
  }

  private get db(): string {
    return join(this.directory, "nearmiss.db");
  }

  /** `nearmiss backup` of its database, to the end. */
  backUp(): Promise<void> {
    const [program, ...args] = nearmiss("backup", join(this.directory, "backup.db"), "--db", this.db);
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
    return new Promise((resolve, reject) => {
      child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`the backup ended with ${code}`))));
    });
  }

  /** Waits until the tables of resources have what the log has. */
  async tablesFollow(): Promise<void> {
    const db = new Database(this.db, { readonly: true });
    try {
      const behind = db.prepare("SELECT 1 FROM tables_behind");
      const haveFollowed = () => behind.get() === undefined;
      await waitFor(haveFollowed, { what: "the tables to follow", deadlineMs: maxFollowMs, everyMs: 50 });
    } finally {
      db.close();
    }
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
    const { text } = await ask({ url: `${this.url}/metrics`, ca: this.ca, token: this.adminToken });
    const of = (name: string) =>
      Math.round(Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds (\\S+)`, "m").exec(text)?.[1]) * 1_000);
    return { max: of("max"), p99: of("p99") };
  }

  /** One import, to its end. */
  async import(lines: Buffer): Promise<void> {
    // Not by fetch, which waits no longer than five minutes for the first byte of an answer.
    const options = { method: "POST", headers: { "content-type": "application/x-ndjson" } };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(`${this.url}/v1/import`, options, resolve).once("error", reject).end(lines);
    });
    let tail = "";
    for await (const chunk of response.setEncoding("utf8")) tail = (tail + chunk).slice(-2_000);
    if (response.statusCode !== 200) throw new Error(`import: ${response.statusCode} ${tail}`);
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** The next run has the same address and database, and none of this one's state. */
  async restart(signal: "SIGTERM" | "SIGKILL", door = this.door): Promise<void> {
    await this.end(signal);
    this.door = door;
    this.child = this.run();
    await this.listening();
  }

  private run(): ChildProcess {
    const door = doorFlags[this.door];
    const options = ["--listen", this.base, "--db", this.db, ...door, "--log-level", "error", ...this.flags];
    const [program, ...args] = nearmiss("controller", ...options);
    return spawn(program, args, { stdio: ["ignore", "ignore", "inherit"], env: process.env });
  }

  private async listening(): Promise<void> {
    // Its CA is there no sooner than itself, so nothing is checked.
    const isLive = async () => (await ask({ url: `${this.url}/livez` })).status === 200;
    await waitFor(isLive, { what: "the controller", deadlineMs: maxStartMs });
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
