// The bare server as a process that can be killed and started again in its place.
import { type ChildProcess, spawn } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { issueServerCertificate, makeCa, validityFrom } from "../../../controller/pki/x509.ts";
import { waitFor } from "../../lab/wait.ts";
import { ask } from "../ask.ts";
import { freePort, type Lag } from "../controller.ts";

const program = join(import.meta.dirname, "bare-server.js");

export class BareServer {
  private constructor(
    readonly url: string,
    readonly ca: string,
    private readonly directory: string,
    private child: ChildProcess,
  ) {}

  /**
   * @param frames that each agent is sent
   * @param tls a certificate is shown, and each agent is asked for its own
   */
  static async start(frames: readonly string[], tls: boolean): Promise<BareServer> {
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
    writeFileSync(join(directory, "frames"), frames.join("\n"));
    const ca = tls ? await writeCertificate(directory) : "";
    const url = `${tls ? "https" : "http"}://127.0.0.1:${await freePort()}`;
    const server = new BareServer(url, ca, directory, run(url, directory));
    await server.listening();
    return server;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async lagMs(): Promise<Lag> {
    return JSON.parse((await ask({ url: this.url, ca: this.ca })).text) as Lag;
  }

  async restart(): Promise<void> {
    await this.end();
    this.child = run(this.url, this.directory);
    await this.listening();
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true });
  }

  private async listening(): Promise<void> {
    await waitFor(async () => (await ask({ url: this.url, ca: this.ca })).status === 200, {
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

function run(url: string, directory: string): ChildProcess {
  return spawn(process.execPath, [program, url, directory], { stdio: ["ignore", "ignore", "inherit"] });
}

/** For 127.0.0.1, into the files that the program reads. @returns its CA, PEM */
async function writeCertificate(directory: string): Promise<string> {
  const validity = validityFrom(new Date(), 86_400_000);
  const ca = await makeCa("nearmiss bench", validity);
  const issuer = { certificate: new X509Certificate(ca.certificate), key: createPrivateKey(ca.key) };
  const pair = await issueServerCertificate(issuer, ["127.0.0.1"], validity);
  writeFileSync(join(directory, "certificate"), pair.certificate);
  writeFileSync(join(directory, "key"), pair.key);
  return ca.certificate;
}
