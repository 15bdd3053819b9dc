// `idle`: what agents and the controller take while nothing happens, beside an empty Node process: processor time, how often they wake up, and
// resident memory. Agents have networks in memory; they differ in their fast path, and one may watch nothing of the kernel, which shows what
// watching takes.
import { type ChildProcess, spawn } from "node:child_process";
import { toThousandths } from "../../../common/round.ts";
import { createLab, type Lab } from "../../lab/lab.ts";
import { builtFile } from "../../lab/programs.ts";
import { pause } from "../../lab/wait.ts";
import { missedOf } from "../bounds.ts";
import { call, registerVm, untilComplete, untilConnected } from "../modes/nearmiss.ts";
import { cpuSeconds, mainThreadCpuSeconds, rssMib, wakeUps } from "../process-usage.ts";
import type { Progress } from "../progress.ts";
import { formatPercent } from "../table.ts";

export interface IdleOptions {
  /** Networks in memory, with a VM on each host. */
  readonly networks: number;
  /** What their agents know. */
  readonly knowledge: "replicate" | "prefetch" | "on-demand";
  /** A further agent, that watches nothing. */
  readonly watching: boolean;
  /** Before the measurement, and how long it takes. */
  readonly settle: number;
  readonly seconds: number;
  readonly bounds: IdleBounds;
}

export interface IdleBounds {
  /** Processor time of an agent that keeps its fast path warm, %. */
  readonly cpu: number;
  /** Resident memory of an agent, and of the controller, to that of an empty Node process. */
  readonly agent: number;
  readonly controller: number;
  /** Processor time of watching the kernel, %. */
  readonly watching: number;
}

export interface IdleSide {
  readonly name: string;
  /** Of one processor, %. */
  readonly cpuPercent: number;
  /** The part of its main thread; the rest are the thread of the fast path, and those of Node. */
  readonly mainPercent: number;
  /** Of all its threads. */
  readonly wakeUpsPerSecond: number;
  readonly rssMib: number;
  /** To that of an empty Node process. */
  readonly rssRatio: number;
}

export interface IdleResult extends Omit<IdleOptions, "bounds"> {
  readonly sides: readonly IdleSide[];
  /** Processor time of an agent beside the same that watches nothing, %; null where that was not measured. */
  readonly watchingPercent: number | null;
  readonly missed: readonly string[];
}

const fastPaths = ["warm", "cold", "off"] as const;
const warmAgent = "agent, fast path warm";
/** It watches as all do, and has no thread of which the time could differ. */
const watchingAgent = "agent, fast path off";
const unwatchingAgent = "the same, without watching";

interface Measured {
  readonly name: string;
  readonly pid: number;
}

export async function idleBench(options: IdleOptions, progress: Progress): Promise<IdleResult> {
  const lab = await createLab({ hosts: fastPaths.length + (options.watching ? 1 : 0), underlay: 4 });
  let empty: ChildProcess | undefined;
  try {
    progress("starting a controller and agents");
    await fill(lab, options);
    empty = spawn(builtFile("bin", "node"), ["-e", "setInterval(() => {}, 2 ** 30)"], { stdio: "ignore" });
    const processes: Measured[] = [
      { name: "empty Node process", pid: empty.pid ?? 0 },
      ...lab.hosts.map(({ agent }, i) => ({
        name: i < fastPaths.length ? `agent, fast path ${fastPaths[i]}` : unwatchingAgent,
        pid: agent.pid ?? 0,
      })),
      { name: "controller", pid: lab.controller.pid ?? 0 },
    ];
    progress(`settling for ${options.settle} s`);
    await pause(options.settle * 1_000);
    progress(`measuring for ${options.seconds} s`);
    const sides = await measure(processes, options.seconds);
    const { bounds, ...rest } = options;
    return { ...rest, sides, watchingPercent: watchingPercentOf(sides), missed: judgeIdle(sides, bounds) };
  } finally {
    empty?.kill();
    await lab.remove();
  }
}

async function fill(lab: Lab, { networks, knowledge }: IdleOptions): Promise<void> {
  await lab.startController();
  lab.hosts.forEach((host, i) => {
    const preload = i < fastPaths.length ? {} : { preload: builtFile("testkit", "bench", "idle", "unwatching.js") };
    host.startAgent({ logLevel: "info", extraArgs: ["--fast-path", fastPaths[i] ?? "off"], ...preload });
  });
  await untilConnected(lab);
  const vnis = Array.from({ length: networks }, (_, n) => 100 + n);
  for (const vni of vnis) {
    const name = `idle-${vni}`;
    const subnets = [`10.${vni % 250}.0.0/24`];
    await call(lab, "PUT", `/v1/networks/${name}`, { vni, subnets, knowledge });
    for (const host of lab.hosts) await registerVm(lab, `${name}-${host.name}`, host.name, { network: name });
  }
  if (knowledge !== "on-demand") for (const vni of vnis) await untilComplete(lab, vni);
}

async function measure(processes: readonly Measured[], seconds: number): Promise<IdleSide[]> {
  const read = ({ pid }: Measured) => ({
    atMs: performance.now(),
    cpu: cpuSeconds(pid),
    main: mainThreadCpuSeconds(pid),
    wakeUps: wakeUps(pid),
  });
  const before = processes.map(read);
  await pause(seconds * 1_000);
  const emptyMib = rssMib(processes[0]?.pid ?? 0);
  return processes.map((each, i) => {
    const [first, last] = [before[i] ?? read(each), read(each)];
    const tookS = (last.atMs - first.atMs) / 1_000;
    const mib = rssMib(each.pid);
    return {
      name: each.name,
      cpuPercent: toThousandths((100 * (last.cpu - first.cpu)) / tookS),
      mainPercent: toThousandths((100 * (last.main - first.main)) / tookS),
      wakeUpsPerSecond: toThousandths((last.wakeUps - first.wakeUps) / tookS),
      rssMib: mib,
      rssRatio: toThousandths(mib / emptyMib),
    };
  });
}

/** Pure. */
export function watchingPercentOf(sides: readonly IdleSide[]): number | null {
  const [whole, without] = [watchingAgent, unwatchingAgent].map((name) => sides.find((each) => each.name === name));
  return whole && without ? toThousandths(whole.cpuPercent - without.cpuPercent) : null;
}

/** @returns a sentence for each ceiling that was exceeded. Pure. */
export function judgeIdle(sides: readonly IdleSide[], { cpu, agent, controller, watching }: IdleBounds): string[] {
  const ofWatching = {
    what: "processor time of watching the kernel",
    ratio: watchingPercentOf(sides),
    most: watching,
    format: formatPercent,
  };
  const ofSides = sides.flatMap(({ name, cpuPercent, rssRatio }) => {
    const memory = `resident memory, ${name} : empty Node process,`;
    if (name === "controller") return missedOf([{ what: memory, ratio: rssRatio, most: controller }]);
    if (name !== warmAgent) return [];
    return missedOf([
      { what: `processor time, ${name},`, ratio: cpuPercent, most: cpu, format: formatPercent },
      { what: memory, ratio: rssRatio, most: agent },
    ]);
  });
  return [...ofSides, ...missedOf([ofWatching])];
}
