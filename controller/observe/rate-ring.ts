// Counts of the recent past in steps of equal length, in a ring of fixed size. Pure: the clock is an argument.
import { toThousandths } from "../../common/round.ts";
import type { MissTimes } from "../../schema/agent/index.ts";

/** How finely, and how far back. */
export interface Grain {
  readonly stepMs: number;
  readonly steps: number;
}

/** One value per step, oldest first; only whole steps. */
export interface Series {
  readonly stepMs: number;
  /** Since the end of the last step. */
  readonly endedAgoMs: number;
  /** Questions per second, by result; null before the start of counting. */
  readonly known: (number | null)[];
  readonly unknown: (number | null)[];
  /** From reading a frame of questions to handing its answers to the socket, ms; null where nothing was asked. */
  readonly meanMs: (number | null)[];
  readonly slowestMs: (number | null)[];
  /**
   * From reading a miss on its host to its entries in the kernel, ms, in the step of the agent's report; null if there
   * was none.
   */
  readonly programmedMeanMs: (number | null)[];
  readonly programmedSlowestMs: (number | null)[];
}

export const columns = 8;
const known = 0;
const unknown = 1;
/** Each is followed by the sum of their durations, ms, and by the longest. */
const frames = 2;
const programmed = 5;

export class RateRing {
  /** Steps are numbered from the start of counting, so that the first one, too, is counted as a whole. */
  private newest = 0;

  /**
   * @param startMs of counting
   * @param cells of `cellsOf(grain)` zeros
   */
  constructor(
    private readonly grain: Grain,
    private readonly startMs: number,
    private readonly cells: Float32Array | Float64Array,
  ) {}

  addFrame(nowMs: number, found: number, missing: number, tookMs: number): void {
    const at = this.at(this.advance(nowMs));
    this.increase(at + known, found);
    this.increase(at + unknown, missing);
    this.addTimes(at + frames, 1, tookMs, tookMs);
  }

  addProgrammed(nowMs: number, { count, sumMs, maxMs }: MissTimes): void {
    this.addTimes(this.at(this.advance(nowMs)) + programmed, count, sumMs, maxMs);
  }

  read(nowMs: number): Series {
    this.advance(nowMs);
    const { stepMs, steps } = this.grain;
    const rows = Array.from({ length: steps }, (_, i) => this.row(this.newest - steps + i));
    const perSecond = (column: number) => rows.map((row) => row && ((row[column] ?? 0) * 1_000) / stepMs);
    const mean = (column: number) =>
      rows.map((row) => (row?.[column] ? toThousandths((row[column + 1] ?? 0) / row[column]) : null));
    const longest = (column: number) => rows.map((row) => (row?.[column] ? toThousandths(row[column + 2] ?? 0) : null));
    return {
      stepMs,
      endedAgoMs: Math.max(0, nowMs - this.startMs - this.newest * stepMs),
      known: perSecond(known),
      unknown: perSecond(unknown),
      meanMs: mean(frames),
      slowestMs: longest(frames),
      programmedMeanMs: mean(programmed),
      programmedSlowestMs: longest(programmed),
    };
  }

  private addTimes(at: number, count: number, sumMs: number, maxMs: number): void {
    this.increase(at, count);
    this.increase(at + 1, sumMs);
    this.cells[at + 2] = Math.max(this.cells[at + 2] ?? 0, maxMs);
  }

  private increase(at: number, by: number): void {
    this.cells[at] = (this.cells[at] ?? 0) + by;
  }

  /** Null: before the start of counting. */
  private row(step: number): Float32Array | Float64Array | null {
    if (step < 0) return null;
    const at = this.at(step);
    return this.cells.subarray(at, at + columns);
  }

  /** Where the cells of the step begin. */
  private at(step: number): number {
    return (step % (this.grain.steps + 1)) * columns;
  }

  /** Empties the steps that have begun since. @returns the present one: a clock that goes back stays in it */
  private advance(nowMs: number): number {
    const step = Math.floor((nowMs - this.startMs) / this.grain.stepMs);
    for (let each = Math.max(this.newest + 1, step - this.grain.steps); each <= step; each += 1)
      this.row(each)?.fill(0);
    this.newest = Math.max(this.newest, step);
    return this.newest;
  }
}

/** One step more than is read, for the one that is not over. */
export function cellsOf({ steps }: Grain): number {
  return (steps + 1) * columns;
}
