// `first-packet`: all modes alive at once, their trials interleaved.
import { Addresses, type Family } from "../addresses.ts";
import { inGroups } from "../groups.ts";
import { modeNamed } from "../modes/all.ts";
import type { ModeName } from "../modes/mode.ts";
import type { Progress } from "../progress.ts";
import { interleave } from "../schedule.ts";
import { Stand } from "../stand.ts";
import { type AgentTimes, agentTimes } from "./agent-times.ts";
import { countReplicated, type ReplicatedFrames } from "./replication.ts";
import { type FirstPacketResult, ratios, summarizeModes } from "./result.ts";
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
  /** Follow nearmiss's frames on their way. */
  readonly steps: boolean;
}

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
  return { modes, ratios: ratios(modes, options.families), replicatedFrames, ...followed };
}

interface Measured {
  readonly trials: readonly Trial[];
  readonly steps?: readonly Step[];
  readonly agent?: readonly AgentTimes[];
}

async function runTrials(options: FirstPacketOptions, addresses: Addresses, progress: Progress): Promise<Measured> {
  const stands: Stand[] = [];
  let watch: StepWatch | undefined;
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
    const watched = options.steps ? stands.find(({ mode }) => mode.name === "nearmiss") : undefined;
    watch = watched && (await StepWatch.open(watched));
    const trials: Trial[] = [];
    for (const { stand, family } of schedule) {
      if (trials.length % 20 === 0) progress(`trial ${trials.length} of ${schedule.length}`);
      trials.push(await runTrial(stand, family, addresses, stand === watched ? watch : undefined));
    }
    const [first] = watched?.guests ?? [];
    const logs = (first && watched?.lab.host(first.host.name).agent.logs) ?? [];
    const followed = watch && { steps: watch.steps(options.families), agent: agentTimes(logs, options.families) };
    return { trials, ...followed };
  } finally {
    watch?.close();
    for (const stand of stands) await stand.remove();
  }
}

/** The first ones include one-time compilation and loading of the process; modes that wait need none. */
async function warmUp(stands: readonly Stand[], families: readonly Family[], addresses: Addresses): Promise<void> {
  for (const stand of stands.filter(({ mode }) => !mode.slow)) {
    for (const family of families) await runTrial(stand, family, addresses);
  }
}
