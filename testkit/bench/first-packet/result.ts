// The result of the bench, as printed by `--json`. Pure.
import { toThousandths } from "../../../common/round.ts";
import { distribution } from "../../statistics.ts";
import type { Family } from "../addresses.ts";
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
  readonly medianMs: number;
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

export interface FirstPacketResult {
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
      const { trials: count, medianMs, p99Ms, maxMs, retried } = distribution(own.map(({ timeMs }) => timeMs));
      const resolves = own.reduce((sum, trial) => sum + trial.resolves, 0);
      return [{ mode, family, trials: count, resolves, medianMs, p99Ms, maxMs, retried }];
    }),
  );
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

function ratio(of: number | undefined, to: number | undefined): number | null {
  return of === undefined || to === undefined ? null : toThousandths(of / to);
}
