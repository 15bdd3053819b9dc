// The scanning guest as the bench sees it: goes on, pauses, and tells how fast it was.
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Guest, guestDevice } from "../../lab/guest.ts";
import type { Spawned } from "../../lab/namespace.ts";
import { type Endpoint, scannedSubnet } from "../addresses.ts";

export interface ScanCount {
  readonly questions: number;
  readonly ms: number;
}

export class Scan {
  private constructor(
    private readonly child: Spawned,
    private readonly lines: AsyncIterator<string>,
  ) {}

  /** @param rate questions a second; 0: as fast as they are taken */
  static async start(guest: Guest, { mac, ip }: Endpoint, rate: number): Promise<Scan> {
    const scanner = fileURLToPath(new URL("./scanner.js", import.meta.url));
    const ifindex = await guest.ifindexOf(guestDevice);
    const { firstIp, size } = scannedSubnet;
    const args = [ifindex, mac, ip, firstIp, size, rate].map(String);
    const child = guest.spawn([process.execPath, scanner, ...args]);
    child.stderr.pipe(process.stderr);
    const scan = new Scan(child, createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    await scan.#nextLine();
    return scan;
  }

  go(): void {
    this.child.kill("SIGUSR2");
  }

  async pause(): Promise<ScanCount> {
    this.child.kill("SIGUSR1");
    const [questions = 0, ms = 0] = (await this.#nextLine()).split(" ").map(Number);
    return { questions, ms };
  }

  end(): void {
    this.child.stdin.end();
  }

  async #nextLine(): Promise<string> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error("the scanner ended");
    return value;
  }
}
