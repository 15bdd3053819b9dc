// Recent questions of agents and answer times: up to a day in memory, in steps, for charts.
// Programs take the counters of /metrics instead.
import type { MissTimes } from "../../schema/agent/index.ts";
import { type RateRange, rateRanges } from "../../schema/plain/index.ts";
import type { AnswerCounts } from "./answer-counts.ts";
import { cellsOf, type Grain, RateRing, type Series } from "./rate-ring.ts";

/** Of all hosts together: 45,504 bytes in all, with 64 bytes a step. */
export const fleetGrains: Readonly<Record<RateRange, Grain>> = {
  "15m": { stepMs: 5_000, steps: 180 },
  "2h": { stepMs: 30_000, steps: 240 },
  "24h": { stepMs: 300_000, steps: 288 },
};
/** A quarter of an hour. A host's ring takes 2 kB, so that 10,000 hosts take no more than 20 MB. */
export const hostGrain: Grain = { stepMs: 15_000, steps: 60 };

export class Rates {
  private readonly startMs: number;
  private readonly fleet: Readonly<Record<RateRange, RateRing>>;
  private readonly hosts = new Map<string, RateRing>();

  /** @param nowMs monotonic */
  constructor(private readonly nowMs: () => number) {
    const startMs = nowMs();
    this.startMs = startMs;
    // In 64 bits: 32 count one by one to 16 million only, and a fleet asks more in five minutes.
    const ringOf = (grain: Grain) => new RateRing(grain, startMs, new Float64Array(cellsOf(grain)));
    this.fleet = {
      "15m": ringOf(fleetGrains["15m"]),
      "2h": ringOf(fleetGrains["2h"]),
      "24h": ringOf(fleetGrains["24h"]),
    };
  }

  /** @param tookMs from reading a frame of questions to handing its answers to the socket */
  answered(host: string, counts: AnswerCounts, tookMs: number): void {
    const found = counts.knownIps + counts.knownMacs;
    const missing = counts.unknownIps + counts.unknownMacs;
    const nowMs = this.nowMs();
    for (const range of rateRanges) this.fleet[range].addFrame(nowMs, found, missing, tookMs);
    this.of(host).addFrame(nowMs, found, missing, tookMs);
  }

  /** An agent's word of misses that it has seen through. */
  programmed(host: string, times: MissTimes): void {
    const nowMs = this.nowMs();
    for (const range of rateRanges) this.fleet[range].addProgrammed(nowMs, times);
    this.of(host).addProgrammed(nowMs, times);
  }

  /** Of all hosts together. */
  read(range: RateRange): Series {
    return this.fleet[range].read(this.nowMs());
  }

  /** A quarter of an hour of one host. */
  readHost(host: string): Series {
    return (this.hosts.get(host) ?? this.hostRing()).read(this.nowMs());
  }

  forget(host: string): void {
    this.hosts.delete(host);
  }

  private of(host: string): RateRing {
    let ring = this.hosts.get(host);
    if (!ring) {
      ring = this.hostRing();
      this.hosts.set(host, ring);
    }
    return ring;
  }

  private hostRing(): RateRing {
    return new RateRing(hostGrain, this.startMs, new Float32Array(cellsOf(hostGrain)));
  }
}
