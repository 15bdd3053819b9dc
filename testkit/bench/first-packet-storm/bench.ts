// `first-packet-storm`: first packets of one guest while another guest of the same host scans a /16, against its first
// packets in peace, taken in turn.
import { toThousandths } from "../../../common/round.ts";
import { Scan, type ScanCount } from "../../lab/scan.ts";
import { pause, waitFor } from "../../lab/wait.ts";
import { type Distribution, distribution } from "../../statistics.ts";
import { Addresses, type Family, scannedSubnet } from "../addresses.ts";
import { runTrial, type Trial } from "../first-packet/trial.ts";
import { modeNamed } from "../modes/all.ts";
import type { ModeName } from "../modes/mode.ts";
import type { Progress } from "../progress.ts";
import { bootQuietGuest } from "../quiet-guest.ts";
import { interleave } from "../schedule.ts";
import { Stand } from "../stand.ts";

export interface StormOptions {
  readonly modes: readonly ModeName[];
  readonly families: readonly Family[];
  /** Per mode and family, each in peace and in the storm. */
  readonly trials: number;
  /** Questions a second; 0: as fast as they are taken. */
  readonly rate: number;
}

export interface StormModeResult {
  readonly mode: ModeName;
  readonly family: Family;
  readonly peace: Distribution;
  readonly storm: Distribution;
  /** Of medians, storm : peace. */
  readonly ratio: number;
  readonly scannedPerSecond: number;
}

export interface StormResult {
  readonly modes: readonly StormModeResult[];
}

interface StormTrial extends Trial {
  readonly scan?: ScanCount;
}

/** The storm has filled every queue that it can fill. */
const leadMs = 100;

export async function firstPacketStorm(options: StormOptions, progress: Progress): Promise<StormResult> {
  const addresses = new Addresses();
  const trials: StormTrial[] = [];
  for (const name of options.modes) trials.push(...(await runMode(name, options, addresses, progress)));
  const modes = options.modes.flatMap((mode) => options.families.map((family) => summarize(trials, mode, family)));
  return { modes };
}

async function runMode(
  name: ModeName,
  { families, trials: times, rate }: StormOptions,
  addresses: Addresses,
  progress: Progress,
): Promise<StormTrial[]> {
  progress(`building ${name}`);
  const stand = await Stand.build(modeNamed(name), 2, [0, 1]);
  try {
    const scan = await startScan(stand, addresses, rate);
    for (const family of families) await runTrial(stand, family, addresses);
    const kinds = families.flatMap((family) => [false, true].map((storm) => ({ item: { family, storm }, times })));
    const trials: StormTrial[] = [];
    for (const { family, storm } of interleave(kinds, Math.random)) {
      if (trials.length % 10 === 0) progress(`${name}: trial ${trials.length} of ${2 * times * families.length}`);
      trials.push(storm ? await stormTrial(stand, family, addresses, scan) : await runTrial(stand, family, addresses));
    }
    scan.end();
    return trials;
  } finally {
    await stand.remove();
  }
}

/** The scanner is a VM like others, beside the guest whose first packets are measured. */
async function startScan(stand: Stand, addresses: Addresses, rate: number): Promise<Scan> {
  const [host] = stand.lab.hosts;
  if (!host) throw new Error("a storm needs a host");
  const endpoint = addresses.fresh(4);
  const guest = await bootQuietGuest(host, stand.guests.length);
  await stand.mode.place(stand.lab, [{ host, endpoint }], []);
  return Scan.start(guest, { ...endpoint, ...scannedSubnet, rate });
}

async function stormTrial(stand: Stand, family: Family, addresses: Addresses, scan: Scan): Promise<StormTrial> {
  let count: ScanCount | undefined;
  const trial = await runTrial(stand, family, addresses, {
    begin: async () => {
      scan.go();
      await pause(leadMs);
    },
    end: async () => {
      count = await scan.pause();
    },
  });
  await calm(stand);
  return { ...trial, ...(count ? { scan: count } : {}) };
}

/** Waits until the agents have handled the misses of the storm: no agent queries the controller any more. */
async function calm(stand: Stand): Promise<void> {
  let last: number | undefined;
  await waitFor(
    async () => {
      const now = await stand.questions();
      const same = now === last;
      last = now;
      return same;
    },
    { what: "the storm to be over", deadlineMs: 30_000, everyMs: 100 },
  );
}

function summarize(trials: readonly StormTrial[], mode: ModeName, family: Family): StormModeResult {
  const own = trials.filter((trial) => trial.mode === mode && trial.family === family);
  const timesOf = (some: readonly Trial[]) => distribution(some.map(({ timeMs }) => timeMs));
  const storm = timesOf(own.filter(({ scan }) => scan !== undefined));
  const peace = timesOf(own.filter(({ scan }) => scan === undefined));
  const scans = own.flatMap(({ scan }) => scan ?? []);
  const questions = scans.reduce((sum, each) => sum + each.questions, 0);
  const seconds = scans.reduce((sum, each) => sum + each.ms, 0) / 1_000;
  const ratio = toThousandths(storm.medianMs / peace.medianMs);
  return { mode, family, peace, storm, ratio, scannedPerSecond: Math.round(questions / seconds) };
}
