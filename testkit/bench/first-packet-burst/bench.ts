// `first-packet-burst`: many guests' first pings at the same moment. Guest i pings guest i + 1, which is on the next host:
// every guest asks and is asked for, and no two conversations share an address on a host.
import { toThousandths } from "../../../common/round.ts";
import { WaitError, waitFor } from "../../lab/wait.ts";
import { distribution, median } from "../../statistics.ts";
import { Addresses, type Family } from "../addresses.ts";
import { missedOf } from "../bounds.ts";
import { inMemory } from "../first-packet/result.ts";
import { modeNamed } from "../modes/all.ts";
import type { ModeName } from "../modes/mode.ts";
import type { Progress } from "../progress.ts";
import { type Actor, Stand } from "../stand.ts";
import { EchoSocket } from "./echo-socket.ts";

export interface BurstOptions {
  readonly modes: readonly ModeName[];
  readonly families: readonly Family[];
  readonly guests: number;
  /** Bursts per mode and family, each of new VMs. */
  readonly rounds: number;
  /** Ceiling: p99 of networks in memory to their own median. */
  readonly p99: number;
  /** Ceiling: their first packets that were sent again. */
  readonly retried: number;
}

export interface BurstModeResult {
  readonly mode: ModeName;
  readonly family: Family;
  readonly guests: number;
  readonly rounds: number;
  readonly trials: number;
  /** Questions that the controller answered during the bursts; 0 without a controller. */
  readonly resolves: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** p99 : median. */
  readonly p99VsMedian: number;
  readonly retried: number;
  /** From the first guest's packet to the last one's, median of the rounds. */
  readonly startedWithinMs: number;
}

export interface BurstResult {
  readonly modes: readonly BurstModeResult[];
  /** Ceilings that were exceeded. */
  readonly missed: readonly string[];
}

/** Enough that the VMs that a host asks for differ from those that it is asked for. */
const hostCount = 4;
const deadlineMs = 5_000;

interface Round {
  readonly mode: ModeName;
  readonly family: Family;
  readonly timesMs: readonly number[];
  readonly resolves: number;
  readonly startedWithinMs: number;
}

export async function firstPacketBurst(options: BurstOptions, progress: Progress): Promise<BurstResult> {
  const { modes, families, guests, rounds } = options;
  const addresses = new Addresses();
  const stands: Stand[] = [];
  const measured: Round[] = [];
  try {
    for (const name of modes) {
      progress(`building ${name} with ${guests} guests`);
      const places = Array.from({ length: guests }, (_, i) => i % hostCount);
      stands.push(await Stand.build(modeNamed(name), hostCount, places));
    }
    // The one before the first is not counted: it includes one-time compilation of the process.
    for (let round = 0; round <= rounds; round++) {
      for (const family of families) {
        for (const stand of stands) {
          progress(`burst ${round} of ${rounds}: ${stand.mode.name}, IPv${family}`);
          const result = await burst(stand, family, addresses);
          if (round > 0) measured.push(result);
        }
      }
    }
  } finally {
    for (const stand of stands) await stand.remove();
  }
  const results = modes.flatMap((mode) => families.map((family) => summarize(measured, mode, family, guests)));
  return { modes: results, missed: judgeBursts(results, options) };
}

/** @returns a sentence for each mode in memory with too long a tail, or with guests that asked again. Pure. */
export function judgeBursts(
  results: readonly BurstModeResult[],
  most: Pick<BurstOptions, "p99" | "retried">,
): string[] {
  return results
    .filter(({ mode }) => inMemory.includes(mode))
    .flatMap(({ mode, family, p99VsMedian, retried }) =>
      missedOf([
        { what: `${mode}, IPv${family}: p99 : its own median`, ratio: p99VsMedian, most: most.p99 },
        {
          what: `${mode}, IPv${family}: packets that were sent again`,
          ratio: retried,
          most: most.retried,
          format: String,
        },
      ]),
    );
}

async function burst(stand: Stand, family: Family, addresses: Addresses): Promise<Round> {
  const actors = await stand.recast(stand.guests.map(() => addresses.fresh(family)));
  const sockets = openAll(actors);
  try {
    const before = (await stand.resolves()) ?? 0;
    await stand.mode.begin?.(stand.lab);
    for (const socket of sockets) socket.send();
    const timesMs = await answers(sockets);
    await stand.mode.end?.(stand.lab);
    const after = (await stand.resolves()) ?? 0;
    const sentMs = sockets.map((socket) => socket.sentMs);
    return {
      mode: stand.mode.name,
      family,
      timesMs,
      resolves: after - before,
      startedWithinMs: Math.max(...sentMs) - Math.min(...sentMs),
    };
  } finally {
    for (const socket of sockets) socket.close();
  }
}

function openAll(actors: readonly Actor[]): EchoSocket[] {
  return actors.map(({ guest, endpoint }, i) => {
    const peer = actors[(i + 1) % actors.length];
    if (!peer) throw new Error("a burst needs guests");
    return new EchoSocket(guest, endpoint, peer.endpoint);
  });
}

/** Round trips; packets without an answer by the deadline count with that time. */
async function answers(sockets: readonly EchoSocket[]): Promise<number[]> {
  const read = () => sockets.map((socket) => socket.poll());
  try {
    const all = () => read().every((ms) => ms !== undefined);
    // The kernel records the times, so reading rarely costs no accuracy and leaves the processors to the measured
    // programs.
    await waitFor(all, { what: "all answers", deadlineMs, everyMs: 50 });
  } catch (error) {
    if (!(error instanceof WaitError)) throw error;
  }
  return read().map((ms) => ms ?? deadlineMs);
}

function summarize(measured: readonly Round[], mode: ModeName, family: Family, guests: number): BurstModeResult {
  const own = measured.filter((each) => each.mode === mode && each.family === family);
  const { trials, medianMs, p99Ms, maxMs, retried } = distribution(own.flatMap(({ timesMs }) => timesMs));
  return {
    mode,
    family,
    guests,
    rounds: own.length,
    trials,
    resolves: own.reduce((sum, { resolves }) => sum + resolves, 0),
    medianMs,
    p99Ms,
    maxMs,
    p99VsMedian: toThousandths(p99Ms / medianMs),
    retried,
    startedWithinMs: toThousandths(median(own.map(({ startedWithinMs }) => startedWithinMs))),
  };
}
