// The bare server as a process that can be killed and started again in its place.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../../lab/wait.ts";
import { freePort, type Lag } from "../controller.ts";

const program = join(import.meta.dirname, "bare-server.js");

export class BareServer {
  private constructor(
    readonly base: string,
    private readonly directory: string,
    private child: ChildProcess,
  ) {}

  /** @param frames what each agent is sent */
  static async start(frames: readonly string[]): Promise<BareServer> {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
    writeFileSync(join(directory, "frames"), frames.join("\n"));
    const port = await freePort();
    const server = new BareServer(`127.0.0.1:${port}`, directory, run(port, directory));
    await server.listening();
    return server;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async lagMs(): Promise<Lag> {
    return (await (await fetch(`http://${this.base}/`)).json()) as Lag;
  }

  async restart(): Promise<void> {
    await this.end();
    this.child = run(Number(this.base.split(":")[1]), this.directory);
    await this.listening();
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true });
  }

  private async listening(): Promise<void> {
    await waitFor(async () => (await fetch(`http://${this.base}/`)).ok, {
      what: "the bare server",
      deadlineMs: 20_000,
    });
  }

  private async end(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await ended;
  }
}

function run(port: number, directory: string): ChildProcess {
  const args = [program, String(port), join(directory, "frames")];
  return spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
}
