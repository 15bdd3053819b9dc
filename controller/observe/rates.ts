// Recent questions of agents and answer times: a few minutes in memory, in steps, for charts.
// Programs take the counters of /metrics instead.
import { toThousandths } from "../../common/round.ts";
import type { Answer } from "../../schema/address/index.ts";
import type { MissTimes } from "../../schema/agent/index.ts";

/** How finely, and how far back. */
export interface Grain {
  readonly stepMs: number;
  readonly steps: number;
}

/** A quarter of an hour each. A host's ring takes 2 kB, so that 10,000 hosts take no more than 20 MB. */
export const fleetGrain: Grain = { stepMs: 5_000, steps: 180 };
export const hostGrain: Grain = { stepMs: 15_000, steps: 60 };

/** One value per step, oldest first; only whole steps. */
export interface Series {
  readonly stepMs: number;
  /** Questions per second, by result. */
  readonly known: number[];
  readonly unknown: number[];
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

const columns = 8;
const [known, unknown, frames, answerMs, answerMaxMs, programmed, programmedMs, programmedMaxMs] = [
  0, 1, 2, 3, 4, 5, 6, 7,
];

/** By column; the maximum of a step is not summed. */
type Counts = Readonly<Record<number, number>>;
const maxima: ReadonlySet<number> = new Set([answerMaxMs, programmedMaxMs]);

class Ring {
  private readonly cells: Float32Array;
  private newest = -1;

  constructor(private readonly grain: Grain) {
    // One more for the step that is not over.
    this.cells = new Float32Array((grain.steps + 1) * columns);
  }

  add(nowMs: number, counts: Counts): void {
    const row = this.row(this.advance(nowMs));
    for (const [key, value] of Object.entries(counts)) {
      const column = Number(key);
      const before = row[column] ?? 0;
      row[column] = maxima.has(column) ? Math.max(before, value) : before + value;
    }
  }

  read(nowMs: number): Series {
    this.advance(nowMs);
    const { stepMs, steps } = this.grain;
    const rows = Array.from({ length: steps }, (_, i) => this.row(this.newest - steps + i));
    const perSecond = (column: number) => rows.map((row) => ((row[column] ?? 0) * 1_000) / stepMs);
    const mean = (sum: number, count: number) =>
      rows.map((row) => (row[count] ? toThousandths((row[sum] ?? 0) / row[count]) : null));
    const largest = (column: number, count: number) =>
      rows.map((row) => (row[count] ? toThousandths(row[column] ?? 0) : null));
    return {
      stepMs,
      known: perSecond(known),
      unknown: perSecond(unknown),
      meanMs: mean(answerMs, frames),
      slowestMs: largest(answerMaxMs, frames),
      programmedMeanMs: mean(programmedMs, programmed),
      programmedSlowestMs: largest(programmedMaxMs, programmed),
    };
  }

  private row(step: number): Float32Array {
    const size = this.grain.steps + 1;
    const at = (((step % size) + size) % size) * columns;
    return this.cells.subarray(at, at + columns);
  }

  /** Empties the steps that have begun since. @returns the present one */
  private advance(nowMs: number): number {
    const size = this.grain.steps + 1;
    const step = Math.floor(nowMs / this.grain.stepMs);
    for (let each = Math.max(this.newest + 1, step - size + 1); each <= step; each += 1) this.row(each).fill(0);
    this.newest = Math.max(this.newest, step);
    return this.newest;
  }
}

export class Rates {
  private readonly fleet = new Ring(fleetGrain);
  private readonly hosts = new Map<string, Ring>();

  /** @param nowMs monotonic */
  constructor(private readonly nowMs: () => number) {}

  answered(host: string, answers: readonly Answer[], tookMs: number): void {
    const found = answers.reduce((sum, { binding }) => sum + (binding ? 1 : 0), 0);
    this.add(host, {
      [known]: found,
      [unknown]: answers.length - found,
      [frames]: 1,
      [answerMs]: tookMs,
      [answerMaxMs]: tookMs,
    });
  }

  /** An agent's word of misses that it has seen through. */
  programmed(host: string, { count, sumMs, maxMs }: MissTimes): void {
    this.add(host, { [programmed]: count, [programmedMs]: sumMs, [programmedMaxMs]: maxMs });
  }

  private add(host: string, counts: Counts): void {
    const now = this.nowMs();
    let ring = this.hosts.get(host);
    if (!ring) {
      ring = new Ring(hostGrain);
      this.hosts.set(host, ring);
    }
    for (const each of [this.fleet, ring]) each.add(now, counts);
  }

  /** Of one host, or of all together. */
  read(host?: string): Series {
    const ring = host === undefined ? this.fleet : (this.hosts.get(host) ?? new Ring(hostGrain));
    return ring.read(this.nowMs());
  }

  forget(host: string): void {
    this.hosts.delete(host);
  }
}
