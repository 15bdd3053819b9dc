// The figures of `broadcast`, and when they miss what nearmiss promises.
import { expect, test } from "vitest";
import { type BroadcastRow, missedIn } from "../../testkit/bench/broadcast/bench.ts";
import { reportBroadcast } from "../../testkit/bench/broadcast/report.ts";

const row: BroadcastRow = {
  side: "nearmiss",
  hosts: 8,
  frames: 1_000,
  toMember: 1_000,
  toOthers: 0,
  received: 1_000,
  usPerFrame: 12.34,
};
const flooding: BroadcastRow = { ...row, side: "flooding", toOthers: 6_000 };

test("copies to hosts without a member, and lost or doubled ones, are missed; flooding is there to compare", () => {
  expect(missedIn([row, flooding])).toEqual([]);
  expect(missedIn([{ ...row, toOthers: 3 }])).toEqual(["8 hosts: 3 copies to hosts without a member"]);
  for (const bad of [{ toMember: 999, received: 999 }, { toMember: 1_001, received: 1_001 }, { received: 998 }])
    expect(missedIn([{ ...row, ...bad }])).toHaveLength(1);
});

test("the report has both sides of each number of hosts", () => {
  const text = reportBroadcast({ rows: [row, flooding], missed: ["8 hosts: 3 copies"] });
  expect(text).toMatch(/broadcast: replicate +8 +1,000 +1,000 +1,000 +0 +12\.3 µs/);
  expect(text).toMatch(/head-end flooding +8 +1,000 +1,000 +1,000 +6,000/);
  expect(text).toContain("Missed: 8 hosts: 3 copies");
});
