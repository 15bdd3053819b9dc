// `move`: from the request that moves a VM until the kernel of a third host, which sends to it, has the new place; with few and many
// agents connected, and beside FRR, move by move.
import { toThousandths } from "../../../common/round.ts";
import { pause } from "../../lab/wait.ts";
import { type Distribution, distribution } from "../../statistics.ts";
import { missedOf } from "../bounds.ts";
import type { Progress } from "../progress.ts";
import { formatMs } from "../table.ts";
import { FrrMover } from "./frr.ts";
import { NearmissMover } from "./nearmiss.ts";

export interface MoveOptions {
  /** Made-up agents that are connected beside the three, one number after the other. */
  readonly agents: readonly number[];
  readonly moves: number;
  readonly bounds: MoveBounds;
}

interface MoveBounds {
  /** Median, ms. */
  readonly ms: number;
  /** Least median of FRR : median of nearmiss. */
  readonly frr: number;
  /** Most median with any number of agents : that with another. */
  readonly agents: number;
}

export interface SizeResult {
  readonly agents: number;
  readonly nearmiss: Distribution;
  /** null: absent. */
  readonly frr: Distribution | null;
  /** FRR : nearmiss, of medians. */
  readonly ratio: number | null;
}

export interface MoveResult {
  readonly moves: number;
  readonly sizes: readonly SizeResult[];
  /** Largest median of nearmiss : smallest; null with one number of agents. */
  readonly spread: number | null;
  readonly missed: readonly string[];
}

/** Not always at the same phase of a timer. */
const maxPauseMs = 50;
/** What runs for the first time is slow. */
const warmUpMoves = 4;

export async function moveBench({ agents, moves, bounds }: MoveOptions, progress: Progress): Promise<MoveResult> {
  progress("FRR");
  const frr = await FrrMover.start();
  try {
    const sizes: SizeResult[] = [];
    for (const each of agents) sizes.push(await measureSize(each, frr, moves, progress));
    return { moves, sizes, ...judge(sizes, bounds) };
  } finally {
    await frr?.remove();
  }
}

async function measureSize(
  agents: number,
  frr: FrrMover | undefined,
  moves: number,
  progress: Progress,
): Promise<SizeResult> {
  const nearmiss = await NearmissMover.start(agents, progress);
  try {
    const times = { nearmiss: [] as number[], frr: [] as number[] };
    for (let n = -warmUpMoves; n < moves; n++) {
      progress(`${agents} agents: move ${n} of ${moves}`);
      const [ours, theirs] = [await nearmiss.move(), await frr?.move()];
      if (n >= 0) times.nearmiss.push(ours);
      if (n >= 0 && theirs !== undefined) times.frr.push(theirs);
      await pause(Math.random() * maxPauseMs);
    }
    return compare(agents, times);
  } finally {
    await nearmiss.remove();
  }
}

/** @param times ms; none of FRR where it is absent */
export function compare(
  agents: number,
  times: { readonly nearmiss: readonly number[]; readonly frr: readonly number[] },
): SizeResult {
  const nearmiss = distribution(times.nearmiss);
  const frr = times.frr.length > 0 ? distribution(times.frr) : null;
  return { agents, nearmiss, frr, ratio: frr && toThousandths(frr.medianMs / nearmiss.medianMs) };
}

export function judge(sizes: readonly SizeResult[], bounds: MoveBounds): Pick<MoveResult, "spread" | "missed"> {
  const medians = sizes.map(({ nearmiss }) => nearmiss.medianMs);
  const spread = sizes.length < 2 ? null : toThousandths(Math.max(...medians) / Math.min(...medians));
  const missed = missedOf([
    ...sizes.flatMap(({ agents, nearmiss, ratio }) => {
      const beside = `beside ${agents.toLocaleString("en")} agents,`;
      return [
        { what: `the median move ${beside}`, ratio: nearmiss.medianMs, most: bounds.ms, format: formatMs },
        { what: `FRR : nearmiss, ${beside}`, ratio, least: bounds.frr },
      ];
    }),
    { what: "the slowest : the fastest number of agents", ratio: spread, most: bounds.agents },
  ]);
  return { spread, missed };
}
