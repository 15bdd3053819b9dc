// `fleet`: the server of a whole fleet of agents is killed and started again, and all of them come back at once; beside a bare
// `ws` server that sends as many bytes to as many.
import { toThousandths } from "../../../common/round.ts";
import { percentile } from "../../statistics.ts";
import { BenchController, type Lag } from "../controller.ts";
import { fleetLines } from "../made-up-fleet.ts";
import { cpuSeconds, peakRssMib } from "../process-usage.ts";
import type { Progress } from "../progress.ts";
import { type AgentsData, hello, keysOf, nowMs } from "./agents.ts";
import { BareServer } from "./bare.ts";
import { Crowd } from "./crowd.ts";
import { enrolAll } from "./identities.ts";
import { recordFrames } from "./record.ts";

export interface FleetOptions {
  readonly agents: number;
  /** cached VMs of other hosts per agent: an IP and a MAC each. */
  readonly held: number;
  /** TLS, and a certificate of each agent's own. */
  readonly tls: boolean;
}

export interface FleetSide {
  /** From the kill to the first answer on HTTP. */
  readonly startMs: number;
  /** From that answer until so many agents had a whole snapshot. */
  readonly halfMs: number;
  readonly allMs: number;
  /** Sessions that the kill ended, and failed attempts. */
  readonly ended: number;
  /** Of checks of the event loop every 10 ms, while agents reconnected. */
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  /** Of the server: until it listened, and from then on until all were in sync. */
  readonly startCpuSeconds: number;
  readonly cpuSeconds: number;
  readonly peakRssMib: number;
}

export interface FleetResult extends FleetOptions {
  readonly bytesPerAgent: number;
  readonly nearmiss: FleetSide;
  readonly bare: FleetSide;
  /** nearmiss : bare. */
  readonly ratios: { readonly all: number; readonly cpu: number; readonly rss: number };
}

/** On each of them. */
const ownVms = 2;

/** A server for agents, as a separate process. */
interface Server {
  readonly url: string;
  /** The CA for checking it; empty without TLS. */
  readonly ca: string;
  readonly pid: number;
  lagMs(): Promise<Lag>;
  /** Resolves when it listens again. */
  restart(signal: "SIGKILL"): Promise<void>;
  stop(): Promise<void>;
}

export async function fleetBench(options: FleetOptions, progress: Progress): Promise<FleetResult> {
  const vms = options.agents * ownVms;
  const fleet = { hosts: options.agents, vms, held: options.held };
  const controller = await BenchController.start();
  const {
    frames,
    identities,
    side: nearmiss,
  } = await stopped(controller, async () => {
    progress(`importing ${options.agents} hosts and ${vms} VMs`);
    await controller.import(Buffer.from([...fleetLines({ vms, hosts: options.agents })].join("")));
    const frames = await recordFrames(controller.base, hello(0), keysOf(0, fleet));
    if (options.tls) await controller.restart("SIGTERM", "tls");
    const identities = options.tls ? await enrolAll(controller, options.agents, progress) : [];
    return { frames, identities, side: await measure(controller, { ...fleet, identities }, progress) };
  });
  const bareServer = await BareServer.start(frames, options.tls);
  const bare = await stopped(bareServer, () => measure(bareServer, { ...fleet, identities }, progress));
  const ratio = (of: (side: FleetSide) => number) => toThousandths(of(nearmiss) / of(bare));
  return {
    ...options,
    bytesPerAgent: frames.reduce((sum, text) => sum + text.length, 0),
    nearmiss,
    bare,
    ratios: { all: ratio((s) => s.allMs), cpu: ratio((s) => s.cpuSeconds), rss: ratio((s) => s.peakRssMib) },
  };
}

async function stopped<T>(server: Server, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await server.stop();
  }
}

type Fleet = Omit<AgentsData, "url" | "ca">;

async function measure(server: Server, fleet: Fleet, progress: Progress): Promise<FleetSide> {
  const agents = new Crowd({ url: server.url, ca: server.ca, ...fleet });
  try {
    await agents.allInSync(progress);
    const killedMs = nowMs();
    await server.restart("SIGKILL");
    const listeningMs = nowMs();
    const startCpuSeconds = cpuSeconds(server.pid);
    // Its start is not measured.
    await server.lagMs();
    const reports = await agents.allInSync(progress);
    const { max, p99 } = await server.lagMs();
    const incomplete = reports.reduce((sum, report) => sum + report.incomplete, 0);
    if (incomplete > 0) throw new Error(`${incomplete} snapshots lack an answer`);
    const syncedMs = reports.flatMap(({ syncedAtMs }) => syncedAtMs).map((ms) => ms - listeningMs);
    return {
      startMs: toThousandths(listeningMs - killedMs),
      halfMs: toThousandths(percentile(syncedMs, 0.5)),
      allMs: toThousandths(percentile(syncedMs, 1)),
      ended: reports.reduce((sum, report) => sum + report.ended, 0),
      lagP99Ms: p99,
      lagMaxMs: max,
      startCpuSeconds: toThousandths(startCpuSeconds),
      cpuSeconds: toThousandths(cpuSeconds(server.pid) - startCpuSeconds),
      peakRssMib: peakRssMib(server.pid),
    };
  } finally {
    await agents.end();
  }
}
