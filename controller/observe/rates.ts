// What agents asked lately and how long answers took: a few minutes in memory, in steps, for people who look at curves.
// Programs take the counters of /metrics instead.
import type { Answer } from "../../schema/index.ts";

/** How finely, and how far back. */
export interface Grain {
  readonly stepMs: number;
  readonly steps: number;
}

/** A quarter of an hour each. A host's ring takes 1.2 kB, so that 10,000 hosts take no more than 12 MB. */
export const fleetGrain: Grain = { stepMs: 5_000, steps: 180 };
export const hostGrain: Grain = { stepMs: 15_000, steps: 60 };

/** One value per step, oldest first; only whole steps. */
export interface Series {
  readonly stepMs: number;
  /** Questions a second, by what came of them. */
  readonly known: number[];
  readonly unknown: number[];
  /** From reading a frame of questions to handing its answers to the socket, ms; null where nothing was asked. */
  readonly meanMs: (number | null)[];
  readonly slowestMs: (number | null)[];
}

const columns = 5;
const [known, unknown, frames, micros, slowest] = [0, 1, 2, 3, 4];

class Ring {
  private readonly cells: Uint32Array;
  private newest = -1;

  constructor(private readonly grain: Grain) {
    // One more for the step that is not over.
    this.cells = new Uint32Array((grain.steps + 1) * columns);
  }

  add(nowMs: number, counts: { readonly known: number; readonly unknown: number }, took: number): void {
    const at = this.advance(nowMs) * columns;
    const bump = (column: number, by: number) => {
      this.cells[at + column] = (this.cells[at + column] ?? 0) + by;
    };
    bump(known, counts.known);
    bump(unknown, counts.unknown);
    bump(frames, 1);
    bump(micros, took);
    this.cells[at + slowest] = Math.max(this.cells[at + slowest] ?? 0, took);
  }

  read(nowMs: number): Series {
    this.advance(nowMs);
    const { stepMs, steps } = this.grain;
    const rows = Array.from({ length: steps }, (_, i) => this.row(this.newest - steps + i));
    const perSecond = (count = 0) => (count * 1_000) / stepMs;
    return {
      stepMs,
      known: rows.map((row) => perSecond(row[known])),
      unknown: rows.map((row) => perSecond(row[unknown])),
      meanMs: rows.map((row) => (row[frames] ? (row[micros] ?? 0) / row[frames] / 1_000 : null)),
      slowestMs: rows.map((row) => (row[frames] ? (row[slowest] ?? 0) / 1_000 : null)),
    };
  }

  private row(step: number): Uint32Array {
    const size = this.grain.steps + 1;
    const at = (((step % size) + size) % size) * columns;
    return this.cells.subarray(at, at + columns);
  }

  /** Empties the steps that have begun since. @returns the present one's place */
  private advance(nowMs: number): number {
    const size = this.grain.steps + 1;
    const step = Math.floor(nowMs / this.grain.stepMs);
    for (let each = Math.max(this.newest + 1, step - size + 1); each <= step; each += 1) this.row(each).fill(0);
    this.newest = Math.max(this.newest, step);
    return this.newest % size;
  }
}

export class Rates {
  private readonly fleet = new Ring(fleetGrain);
  private readonly hosts = new Map<string, Ring>();

  /** @param nowMs monotonic */
  constructor(private readonly nowMs: () => number) {}

  answered(host: string, answers: readonly Answer[], tookMs: number): void {
    const found = answers.reduce((sum, { binding }) => sum + (binding ? 1 : 0), 0);
    const counts = { known: found, unknown: answers.length - found };
    const now = this.nowMs();
    const took = Math.round(tookMs * 1_000);
    this.fleet.add(now, counts, took);
    let ring = this.hosts.get(host);
    if (!ring) {
      ring = new Ring(hostGrain);
      this.hosts.set(host, ring);
    }
    ring.add(now, counts, took);
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
