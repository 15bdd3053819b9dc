// Follows the agents' logs: every miss is told as it happens, and counted.
import type { Host } from "../lab/host.ts";
import type { LogLine } from "../lab/process.ts";
import { blue, red } from "./cast.ts";
import { formatMs, type Story } from "./story.ts";

export interface WatchedMiss {
  readonly host: string;
  readonly kind: "l3miss" | "l2miss";
  readonly vni: number;
  /** The address that was asked for. */
  readonly key: string;
  /** From the kernel's message to the entries being in the kernel; undefined where nobody has the address. */
  readonly totalMs: number | undefined;
}

export class Watch {
  readonly misses: WatchedMiss[] = [];
  /** Set while a chapter wants them told. */
  telling = false;

  constructor(
    private readonly story: Story,
    private readonly hostOf: (vtep: string) => string,
  ) {}

  follow(host: Host): void {
    host.agent.onLog((line) => this.#onLine(host.name, line));
  }

  #onLine(host: string, line: LogLine): void {
    const { kind, vni, key } = line;
    if (line.msg !== "miss answered" && line.msg !== "miss unknown") return;
    if ((kind !== "l3miss" && kind !== "l2miss") || typeof vni !== "number" || typeof key !== "string") return;
    const answered = line.msg === "miss answered";
    const miss = { host, kind, vni, key, totalMs: answered ? milliseconds(line.totalMs) : undefined } as const;
    this.misses.push(miss);
    if (this.telling) this.#tell(miss, line);
  }

  #tell({ host, kind, vni, key, totalMs }: WatchedMiss, line: LogLine): void {
    const network = [blue, red].find((each) => each.vni === vni)?.name ?? `VNI ${vni}`;
    const question = kind === "l3miss" ? `which MAC has ${key} in ${network}?` : `which host is ${key} behind?`;
    this.story.event(`host ${host}`, kind, question);
    if (totalMs === undefined) {
      this.story.event("", "unknown", `the controller knows no ${key} in ${network}: nothing is programmed`);
      return;
    }
    const steps = `asked ${formatMs(milliseconds(line.askMs))}, programmed ${formatMs(milliseconds(line.programMs))}`;
    const where = `${String(line.mac)}, behind host ${this.hostOf(String(line.vtep))} (${String(line.vtep)})`;
    this.story.event("", "answer", `${where}   ${formatMs(totalMs)} (${steps})`);
  }
}

function milliseconds(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}
