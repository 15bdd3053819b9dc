// `stream`: many consumers of the event stream while changes are made, beside a bare `ws` server that sends the same messages to
// as many. Where one of them cannot keep the rate, both are measured again at a rate that both keep: the delays of a queue
// that only grows say how long was measured, and nothing else.
import { toThousandths } from "../../../common/round.ts";
import type { Progress } from "../progress.ts";
import type { StreamOptions } from "./options.ts";
import { measureBare, measureNearmiss, type StreamSide } from "./side.ts";

export interface StreamRound {
  /** Events a second that were asked for. */
  readonly rate: number;
  readonly batch: number;
  readonly nearmiss: StreamSide;
  readonly bare: StreamSide;
  /**
   * nearmiss : bare. CPU per delivered event, memory above that of the process without consumers. Delays only if both
   * kept the rate.
   */
  readonly ratios: { readonly p99?: number; readonly cpu: number; readonly peak: number; readonly grown: number };
}

export interface StreamResult extends StreamOptions {
  readonly bytesPerEvent: number;
  /** At the rate that was asked for; then, where one did not keep that, at one that both keep. */
  readonly rounds: readonly StreamRound[];
}

/** How often the rate is lowered until both keep it. */
const maxRounds = 4;

export async function streamBench(options: StreamOptions, progress: Progress): Promise<StreamResult> {
  const rounds: StreamRound[] = [];
  let bytesPerEvent = 0;
  for (let rate = options.rate; rounds.length < maxRounds; ) {
    const asked = { ...options, rate, batch: Math.max(1, Math.min(options.batch, Math.floor(rate / 20))) };
    const { side: nearmiss, messages } = await measureNearmiss(asked, progress);
    const bare = await measureBare(asked, messages, progress);
    const latest = compare(asked, nearmiss, bare);
    rounds.push(latest);
    bytesPerEvent = Math.round(messages.reduce((sum, text) => sum + text.length, 0) / messages.length);
    if (latest.ratios.p99 !== undefined) break;
    rate = lowerRate(latest);
  }
  return { ...options, bytesPerEvent, rounds };
}

/** Pure. */
export function compare(
  { rate, batch }: Pick<StreamOptions, "rate" | "batch">,
  nearmiss: StreamSide,
  bare: StreamSide,
): StreamRound {
  const ratio = (of: (side: StreamSide) => number) => toThousandths(of(nearmiss) / of(bare));
  const ratios = {
    cpu: ratio(({ cpuSeconds, received }) => cpuSeconds / received),
    peak: ratio(({ peakRssMib }) => peakRssMib),
    grown: ratio(({ peakRssMib, restingRssMib }) => Math.max(1, peakRssMib - restingRssMib)),
  };
  const kept = keepsUp(nearmiss) && keepsUp(bare);
  return { rate, batch, nearmiss, bare, ratios: kept ? { p99: ratio(({ p99Ms }) => p99Ms), ...ratios } : ratios };
}

/** The rate was kept: all events arrived, and the last within a second of its due time. Pure. */
export function keepsUp({ delivered, ended, behindMs }: StreamSide): boolean {
  return delivered === 1 && ended === 0 && behindMs <= 1_000;
}

/** Half of the slower one's rate. Pure. */
export function lowerRate({ rate, nearmiss, bare }: StreamRound): number {
  return Math.max(1, Math.floor(Math.min(rate, nearmiss.rate, bare.rate) / 2));
}
