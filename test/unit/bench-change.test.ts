// How the bench of changes judges what it has measured.
import { describe, expect, test } from "vitest";
import { type ChangePoint, fitLine, judgeChanges } from "../../testkit/bench/change/bench.ts";
import { reportChanges } from "../../testkit/bench/change/report.ts";

const bounds = { linear: 1.2, fleet: 1.2 };
const point = (hosts: number, fleet: number, cpuUs: number, more: Partial<ChangePoint> = {}): ChangePoint => ({
  knowledge: "replicate",
  hosts,
  fleet,
  cpuUs,
  notified: hosts,
  bytes: 250,
  frames: 1,
  ...more,
});

describe("the cost of a change", () => {
  test("may grow with the hosts of the network, and not faster, nor with the fleet", () => {
    const linear = [point(16, 100, 800), point(100, 100, 2_500), point(16, 1_000, 850), point(100, 1_000, 2_600)];
    expect(judgeChanges(linear, bounds)).toEqual([]);
    const faster = [point(16, 100, 800), point(100, 100, 8_000, { bytes: 400 })];
    expect(judgeChanges(faster, bounds)).toEqual([
      "CPU time for each host, 100 hosts of a network : 16, in a fleet of 100, is 1.60 ×, asked at most 1.20 ×",
      "bytes for each host, 100 hosts of a network : 16, in a fleet of 100, is 1.60 ×, asked at most 1.20 ×",
    ]);
    expect(judgeChanges([point(16, 100, 800), point(16, 1_000, 1_600)], bounds)).toEqual([
      "CPU time of a change in a network of 16 hosts, in a fleet of 1000 : 100, is 2.00 ×, asked at most 1.20 ×",
    ]);
  });

  test("on demand is there to compare with", () => {
    const onDemand = { knowledge: "on-demand" } as const;
    expect(judgeChanges([point(16, 100, 100, onDemand), point(100, 1_000, 9_000, onDemand)], bounds)).toEqual([]);
  });

  test("is a line over the hosts", () => {
    expect(fitLine([point(10, 1, 500), point(20, 1, 700), point(40, 1, 1_100)])).toEqual({ fixedUs: 300, eachUs: 20 });
    const points = [point(10, 100, 500), point(40, 100, 1_100)];
    const text = reportChanges({ asked: 4, changes: 10, points, missed: [] });
    expect(text).toContain("replicate, fleet of 100: 300 µs, and 20.0 µs for each host of the network");
    expect(text).toMatch(/^ {2}replicate +40 +100 +40 +1,100 µs +27\.5 µs +250 B +1\.00 +▇{30}$/m);
  });
});
