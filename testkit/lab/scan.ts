// A guest that scans, for benches and fault tests: continues, pauses, and reports its rate.
import { createInterface } from "node:readline";
import { type Guest, guestDevice } from "./guest.ts";
import type { Spawned } from "./namespace.ts";
import { builtFile } from "./programs.ts";

export interface ScanOptions {
  /** The guest's own. */
  readonly mac: string;
  readonly ip: string;
  readonly firstIp: string;
  /** How many addresses, from the first on, again and again. */
  readonly size: number;
  /** Questions a second; 0: as fast as they are taken. */
  readonly rate: number;
}

export interface ScanCount {
  readonly questions: number;
  readonly ms: number;
}

export class Scan {
  private constructor(
    private readonly child: Spawned,
    private readonly lines: AsyncIterator<string>,
  ) {}

  static async start(guest: Guest, { mac, ip, firstIp, size, rate }: ScanOptions): Promise<Scan> {
    const ifindex = await guest.ifindexOf(guestDevice);
    const args = [ifindex, mac, ip, firstIp, size, rate].map(String);
    const child = guest.spawn([process.execPath, builtFile("testkit", "lab", "scanner.js"), ...args]);
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
