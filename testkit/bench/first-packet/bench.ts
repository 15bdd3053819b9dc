// `first-packet`: all modes alive at once, their trials interleaved.
import { closeSocket, openSocket, SOCK_CLOEXEC } from "../../../node-agent/kernel/sockets/libc.ts";
import { Addresses, type Family } from "../addresses.ts";
import { enableTimestamps } from "../clock.ts";
import { inGroups } from "../groups.ts";
import { modeNamed } from "../modes/all.ts";
import type { ModeName } from "../modes/mode.ts";
import type { Progress } from "../progress.ts";
import { interleave } from "../schedule.ts";
import { Stand } from "../stand.ts";
import { type AgentTimes, agentTimes } from "./agent-times.ts";
import { countReplicated, type ReplicatedFrames } from "./replication.ts";
import {
  compareModes,
  type FirstPacketCeilings,
  type FirstPacketResult,
  judgeModes,
  onDemand,
  ratios,
  summarizeModes,
} from "./result.ts";
import { type Step, StepWatch } from "./steps.ts";
import { runTrial, type Trial } from "./trial.ts";

export interface FirstPacketOptions {
  readonly modes: readonly ModeName[];
  readonly families: readonly Family[];
  /** Per mode and family. */
  readonly trials: number;
  /** The same for modes that wait for the guest's own next try. */
  readonly slowTrials: number;
  /** Numbers of hosts to count replicated frames with. */
  readonly hosts: readonly number[];
  /** Follow the frames of networks on demand and in memory on their way. */
  readonly steps: boolean;
  readonly ceilings: FirstPacketCeilings;
}

const AF_INET = 2;
const SOCK_DGRAM = 2;

/** Modes whose packets wait for a program. */
const followed: readonly ModeName[] = [...onDemand, "replicate", "replicate-alone"];

/** Up to here the agents of all modes fit into any machine's memory together. Frames are counted, not timed. */
const fewHosts = 8;

export async function firstPacket(options: FirstPacketOptions, progress: Progress): Promise<FirstPacketResult> {
  const addresses = new Addresses();
  const { trials, ...followed } = await runTrials(options, addresses, progress);
  const replicatedFrames: ReplicatedFrames[] = [];
  for (const hosts of options.hosts) {
    progress(`replicated frames with ${hosts} hosts`);
    const work = (name: ModeName) => countReplicated(modeNamed(name), hosts, options.families, addresses);
    replicatedFrames.push(...(await inGroups(options.modes, hosts > fewHosts ? 1 : options.modes.length, work)));
  }
  const modes = summarizeModes(trials, options.modes, options.families);
  const comparisons = compareModes(modes);
  const beside = ratios(modes, options.families);
  const missed = judgeModes(comparisons, beside, options.ceilings);
  return { modes, comparisons, missed, ratios: beside, replicatedFrames, ...followed };
}

interface Measured {
  readonly trials: readonly Trial[];
  readonly steps?: readonly Step[];
  readonly agent?: readonly AgentTimes[];
}

async function runTrials(options: FirstPacketOptions, addresses: Addresses, progress: Progress): Promise<Measured> {
  const stands: Stand[] = [];
  const watches = new Map<Stand, StepWatch>();
  // Every ping turns the kernel's time stamps of packets on and off, which takes a millisecond around the measured packet: now they stay on.
  const stamps = openSocket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  enableTimestamps(stamps);
  try {
    for (const name of options.modes) {
      progress(`building ${name}`);
      stands.push(await Stand.build(modeNamed(name, options.steps ? "debug" : undefined), 2, [0, 1]));
    }
    await warmUp(stands, options.families, addresses);
    const schedule = interleave(
      stands.flatMap((stand) =>
        options.families.map((family) => ({
          item: { stand, family },
          times: stand.mode.slow ? options.slowTrials : options.trials,
        })),
      ),
      Math.random,
    );
    const watched = options.steps ? stands.filter(({ mode }) => followed.includes(mode.name)) : [];
    for (const stand of watched) watches.set(stand, await StepWatch.open(stand, onDemand.includes(stand.mode.name)));
    const trials: Trial[] = [];
    for (const { stand, family } of schedule) {
      if (trials.length % 20 === 0) progress(`trial ${trials.length} of ${schedule.length}`);
      trials.push(await runTrial(stand, family, addresses, watches.get(stand)));
    }
    if (!options.steps) return { trials };
    const steps = [...watches].flatMap(([{ mode }, watch]) => watch.steps(mode.name, options.families));
    const asking = watched.filter(({ mode }) => onDemand.includes(mode.name));
    const agent = asking.flatMap(({ mode, lab, guests: [first] }) =>
      first ? agentTimes(mode.name, lab.host(first.host.name).agent.logs, options.families) : [],
    );
    return { trials, steps, agent };
  } finally {
    for (const watch of watches.values()) watch.close();
    closeSocket(stamps);
    for (const stand of stands) await stand.remove();
  }
}

/** The first ones include one-time compilation and loading of the process; modes that wait need none. */
async function warmUp(stands: readonly Stand[], families: readonly Family[], addresses: Addresses): Promise<void> {
  for (const stand of stands.filter(({ mode }) => !mode.slow)) {
    for (const family of families) await runTrial(stand, family, addresses);
  }
}
