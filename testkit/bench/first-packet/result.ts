// The result of the bench, as printed by `--json`. Pure.
import { toThousandths } from "../../../common/round.ts";
import { distribution } from "../../statistics.ts";
import type { Family } from "../addresses.ts";
import { missedOf } from "../bounds.ts";
import type { ModeName } from "../modes/mode.ts";
import type { AgentTimes } from "./agent-times.ts";
import type { ReplicatedFrames } from "./replication.ts";
import type { Step } from "./steps.ts";
import type { Trial } from "./trial.ts";

export interface ModeResult {
  readonly mode: ModeName;
  readonly family: Family;
  readonly trials: number;
  /** Questions that the controller answered during the trials; 0 without a controller. */
  readonly resolves: number;
  /** Misses of the VMs' addresses during the trials; null where they are not counted. */
  readonly misses: number | null;
  /** On a busy machine the fastest tenth says what programs and kernel take; the rest is waiting. */
  readonly p10Ms: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Trials in which a guest had to ask again. */
  readonly retried: number;
}

/** Of medians; null where one of the two modes did not run. */
export interface Ratios {
  readonly family: Family;
  /** nearmiss-announce-off : nearmiss, how many times faster. */
  readonly vsAnnounceOff: number | null;
  /** nearmiss : static, how many times slower. */
  readonly vsStatic: number | null;
  /** nearmiss's own p99 : median. */
  readonly p99VsMedian: number | null;
}

/** What a run must not exceed. */
export interface FirstPacketCeilings {
  /** Medians of networks in memory, of one in the kernel, and of one on demand, to that of static entries. */
  readonly memory: number;
  readonly prefetch: number;
  readonly demand: number;
  /** At least: median of announce off to that on demand. */
  readonly announce: number;
  /** p95 of networks in memory to the median of static entries; their p99 to their own median; their median with IPv6 to that with IPv4. */
  readonly p95: number;
  readonly p99: number;
  readonly ipv6: number;
  /** First packets of networks in memory that were sent again. */
  readonly retried: number;
}

/** Of one mode of nearmiss; null where the other mode or family did not run. */
export interface Comparison {
  readonly mode: ModeName;
  readonly family: Family;
  readonly medianVsStatic: number | null;
  readonly p95VsStatic: number | null;
  readonly p99VsMedian: number | null;
  /** Median with IPv6 to that with IPv4; null for IPv4. */
  readonly vsIpv4: number | null;
  readonly retried: number;
  readonly misses: number | null;
}

export interface FirstPacketResult {
  readonly comparisons: readonly Comparison[];
  /** Ceilings that were exceeded. */
  readonly missed: readonly string[];
  readonly modes: readonly ModeResult[];
  readonly ratios: readonly Ratios[];
  readonly replicatedFrames: readonly ReplicatedFrames[];
  /** Only where asked for. */
  readonly steps?: readonly Step[];
  readonly agent?: readonly AgentTimes[];
}

/** Modes and families in the order given; those without trials are left out. */
export function summarizeModes(
  trials: readonly Trial[],
  modes: readonly ModeName[],
  families: readonly Family[],
): ModeResult[] {
  return modes.flatMap((mode) =>
    families.flatMap((family): ModeResult[] => {
      const own = trials.filter((trial) => trial.mode === mode && trial.family === family);
      if (own.length === 0) return [];
      const {
        trials: count,
        p10Ms,
        medianMs,
        p90Ms,
        p95Ms,
        p99Ms,
        maxMs,
        retried,
      } = distribution(own.map(({ timeMs }) => timeMs));
      const resolves = own.reduce((sum, trial) => sum + trial.resolves, 0);
      const misses = sumOf(own.map((trial) => trial.misses));
      return [{ mode, family, trials: count, resolves, misses, p10Ms, medianMs, p90Ms, p95Ms, p99Ms, maxMs, retried }];
    }),
  );
}

/** null where one is */
function sumOf(counts: readonly (number | null)[]): number | null {
  return counts.reduce((sum, each) => (sum === null || each === null ? null : sum + each), 0);
}

export function ratios(modes: readonly ModeResult[], families: readonly Family[]): Ratios[] {
  return families.map((family) => {
    const of = (mode: ModeName) => modes.find((each) => each.mode === mode && each.family === family);
    const nearmiss = of("nearmiss");
    return {
      family,
      vsAnnounceOff: ratio(of("nearmiss-announce-off")?.medianMs, nearmiss?.medianMs),
      vsStatic: ratio(nearmiss?.medianMs, of("static")?.medianMs),
      p99VsMedian: ratio(nearmiss?.p99Ms, nearmiss?.medianMs),
    };
  });
}

export const inMemory: readonly ModeName[] = ["replicate", "replicate-alone", "prefetch"];
export const onDemand: readonly ModeName[] = ["nearmiss", "on-demand-cold", "on-demand-far"];

/** Of networks in memory and on demand, in the order of `modes`. */
export function compareModes(modes: readonly ModeResult[]): Comparison[] {
  const find = (mode: ModeName, family: Family) => modes.find((each) => each.mode === mode && each.family === family);
  return modes
    .filter(({ mode }) => onDemand.includes(mode) || inMemory.includes(mode))
    .map(({ mode, family, medianMs, p95Ms, p99Ms, retried, misses }) => ({
      mode,
      family,
      retried,
      misses,
      medianVsStatic: ratio(medianMs, find("static", family)?.medianMs),
      p95VsStatic: ratio(p95Ms, find("static", family)?.medianMs),
      p99VsMedian: ratio(p99Ms, medianMs),
      vsIpv4: family === 4 ? null : ratio(medianMs, find(mode, 4)?.medianMs),
    }));
}

/** @returns a sentence for each ceiling that was exceeded */
export function judgeModes(
  comparisons: readonly Comparison[],
  ratios: readonly Ratios[],
  ceilings: FirstPacketCeilings,
): string[] {
  const fasterThanOff = ratios.map(({ family, vsAnnounceOff }) => ({
    what: `IPv${family}: median of announce off : on demand`,
    ratio: vsAnnounceOff,
    least: ceilings.announce,
  }));
  return [...comparisons.flatMap((each) => judgeMode(each, ceilings)), ...missedOf(fasterThanOff)];
}

function judgeMode(comparison: Comparison, ceilings: FirstPacketCeilings): string[] {
  const { mode, family, medianVsStatic, p95VsStatic, p99VsMedian, vsIpv4, retried, misses } = comparison;
  // Its median has the way in it; the other is there to compare with.
  if (mode === "on-demand-far" || mode === "on-demand-cold") return [];
  const who = `${mode}, IPv${family}`;
  const isInMemory = inMemory.includes(mode);
  const most = mode === "prefetch" ? ceilings.prefetch : isInMemory ? ceilings.memory : ceilings.demand;
  const first = { what: `${who}: median : that of static entries`, ratio: medianVsStatic, most };
  if (!isInMemory) return missedOf([first]);
  const format = String;
  return missedOf([
    first,
    { what: `${who}: p95 : median of static entries`, ratio: p95VsStatic, most: ceilings.p95 },
    { what: `${who}: p99 : its own median`, ratio: p99VsMedian, most: ceilings.p99 },
    { what: `${who}: median : that with IPv4`, ratio: vsIpv4, most: ceilings.ipv6 },
    { what: `${who}: packets that were sent again`, ratio: retried, most: ceilings.retried, format },
    { what: `${who}: misses of registered addresses`, ratio: misses, most: 0, format },
  ]);
}

function ratio(of: number | undefined, to: number | undefined): number | null {
  return of === undefined || to === undefined ? null : toThousandths(of / to);
}
