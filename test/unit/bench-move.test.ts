// How the bench of moves compares and reports.
import { expect, test } from "vitest";
import { compare, judge } from "../../testkit/bench/move/bench.ts";
import { reportMove } from "../../testkit/bench/move/report.ts";

const few = compare(100, { nearmiss: [4, 5, 90], frr: [50, 60, 70] });
const many = compare(10_000, { nearmiss: [7, 8, 9], frr: [60] });
const alone = compare(100, { nearmiss: [4], frr: [] });
const bounds = { ms: 5, frr: 10, agents: 1.2 };

test("medians are compared, and not at all where FRR is absent", () => {
  expect(few).toMatchObject({ agents: 100, nearmiss: { medianMs: 5, maxMs: 90 }, frr: { medianMs: 60 }, ratio: 12 });
  expect(alone).toMatchObject({ frr: null, ratio: null });
});

test("with one number of agents there is no spread", () => {
  expect(judge([few], bounds)).toEqual({ spread: null, missed: [] });
  expect(judge([alone], bounds)).toEqual({ spread: null, missed: [] });
  expect(judge([few, many], bounds)).toEqual({
    spread: 1.6,
    missed: [
      "the median move beside 10,000 agents, is 8.00 ms, asked at most 5.00 ms",
      "FRR : nearmiss, beside 10,000 agents, is 7.50 ×, asked at least 10.0 ×",
      "the slowest : the fastest number of agents is 1.60 ×, asked at most 1.20 ×",
    ],
  });
});

test("the result has a row for each side, and says what is absent", () => {
  const text = reportMove({ moves: 3, sizes: [few, alone], ...judge([few, alone], bounds) });
  expect(text).toMatch(/^ {2}nearmiss +100 +5\.00 ms +90\.0 ms +90\.0 ms$/m);
  expect(text).toMatch(/^ {2}FRR EVPN, in turns +60\.0 ms +70\.0 ms +70\.0 ms +12\.0 ×$/m);
  expect(text).toMatch(/^ {2}FRR EVPN, in turns +absent: FRR is not installed$/m);
});
