// Follows the agents' logs: every miss is printed as it happens, and counted.
import type { Host } from "../lab/host.ts";
import type { LogLine } from "../lab/process.ts";
import { waitFor } from "../lab/wait.ts";
import { blue, red } from "./cast.ts";
import { formatMs, type Story } from "./story.ts";

export interface WatchedMiss {
  readonly host: string;
  readonly kind: "l3miss" | "l2miss";
  readonly vni: number;
  /** The address that was asked for. */
  readonly key: string;
  /** From the kernel's message to the entries being in the kernel; undefined if the address is not registered. */
  readonly totalMs: number | undefined;
}

/** A correction that the controller pushed and the host's kernel took, or the end of a network on that host. */
export interface WatchedChange {
  readonly host: string;
  readonly vni: number;
  /** Undefined: the network left the host with its last VM. */
  readonly key: string | undefined;
  /** Undefined: the address is not registered any more. */
  readonly vtep: string | undefined;
  /** On the clock of `performance.now`. */
  readonly atMs: number;
}

/** The agents' lines arrive through pipes: after so long without one, all have arrived. */
const quietMs = 30;

export class Watch {
  readonly misses: WatchedMiss[] = [];
  readonly changes: WatchedChange[] = [];
  #lastLineMs = 0;

  constructor(
    private readonly story: Story,
    private readonly hostOf: (vtep: string) => string,
  ) {}

  follow(host: Host): void {
    host.agent.onLog((line) => this.#onLine(host.name, line));
  }

  /** Resolves when the agents' logs are quiet, so that their actions are printed before the results. */
  async settled(): Promise<void> {
    this.#lastLineMs = performance.now();
    await waitFor(() => performance.now() - this.#lastLineMs > quietMs, { what: "the agents' logs to be quiet" });
  }

  #onLine(host: string, line: LogLine): void {
    this.#lastLineMs = performance.now();
    const { vni, key } = line;
    if (typeof vni !== "number") return;
    if (line.msg === "seeded") this.#tellSeed(host, line);
    if (line.msg === "miss answered" || line.msg === "miss unknown") this.#onMiss(host, line);
    const left = line.msg.startsWith("network removed");
    if (line.msg !== "change applied" && !left) return;
    const vtep = typeof line.vtep === "string" ? line.vtep : undefined;
    const address = typeof key === "string" ? key : undefined;
    this.changes.push({ host, vni, key: address, vtep, atMs: performance.now() });
  }

  #onMiss(host: string, line: LogLine): void {
    const { kind, vni, key } = line;
    if ((kind !== "l3miss" && kind !== "l2miss") || typeof vni !== "number" || typeof key !== "string") return;
    const totalMs = line.msg === "miss answered" ? milliseconds(line.totalMs) : undefined;
    const miss = { host, kind, vni, key, totalMs } as const;
    this.misses.push(miss);
    this.#tell(miss, line);
  }

  #tellSeed(host: string, line: LogLine): void {
    const where = `behind host ${this.hostOf(String(line.vtep))}, ${String(line.vtep)}`;
    this.story.event(`host ${host}`, "seed", `${String(line.key)} is ${where}: the asker, for the return path`);
  }

  #tell({ host, kind, vni, key, totalMs }: WatchedMiss, line: LogLine): void {
    const network = [blue, red].find((each) => each.vni === vni)?.name ?? `VNI ${vni}`;
    const question = kind === "l3miss" ? `which MAC has ${key} in ${network}?` : `which host is ${key} behind?`;
    this.story.event(`host ${host}`, kind, question);
    if (totalMs === undefined) {
      this.story.event("", "unknown", `the controller knows no ${key} in ${network}: nothing is programmed`);
      return;
    }
    const [asked, wrote] = [line.askMs, line.programMs].map((ms) => milliseconds(ms).toFixed(1));
    const where = `${String(line.mac)} behind host ${this.hostOf(String(line.vtep))}, ${String(line.vtep)}`;
    this.story.event("", "answer", `${where}   ${formatMs(totalMs)} (asked ${asked}, wrote ${wrote})`);
  }
}

function milliseconds(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}
