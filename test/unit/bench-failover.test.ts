// The figures of `failover`, and when they miss what nearmiss promises.
import { expect, test } from "vitest";
import { type FailoverRow, kinds, longestRun, missedIn } from "../../testkit/bench/failover/bench.ts";
import { reportFailover } from "../../testkit/bench/failover/report.ts";
import { distribution } from "../../testkit/statistics.ts";

const ceilings = { median: 50, p99: 150 };
const rowsOf = (nearmiss: readonly number[], bridge: readonly number[]): FailoverRow[] =>
  kinds.flatMap((kind): FailoverRow[] => [
    { side: "nearmiss", kind, gaps: distribution(nearmiss) },
    { side: "bridge", kind, gaps: distribution(bridge) },
  ]);

test("gaps may exceed those of one bridge by the ceilings", () => {
  expect(missedIn(rowsOf([350, 350, 450], [300, 300, 300]), ceilings)).toEqual([]);
  expect(missedIn(rowsOf([351, 351, 450], [300, 300, 300]), ceilings)).toHaveLength(3);
  expect(missedIn(rowsOf([300, 300, 451], [300, 300, 300]), ceilings)[0]).toBe(
    "killed: p99 is 151 ms above that of one bridge, allowed are 150",
  );
});

test("what was not measured on both sides is missed", () => {
  expect(missedIn([], ceilings)).toEqual(kinds.map((kind) => `${kind}: not measured on both sides`));
});

test("the gap is the longest run of lost packets", () => {
  expect([[], [3], [1, 2, 5, 6, 7, 9]].map(longestRun)).toEqual([0, 1, 3]);
});

test("the report has both sides, and what is missed", () => {
  const text = reportFailover({ ...ceilings, advert: 100, rows: rowsOf([350], [300]), missed: ["killed: late"] });
  expect(text).toMatch(/guests of three hosts +killed +1 +350 ms/);
  expect(text).toMatch(/on one plain bridge +switch-back +1 +300 ms/);
  expect(text).toContain("Missed: killed: late");
});
