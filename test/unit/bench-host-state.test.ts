// How the bench of a host's state draws VMs, counts their use and compares.
import { expect, test } from "vitest";
import { summarize } from "../../testkit/bench/host-state/bench.ts";
import { reportHostState } from "../../testkit/bench/host-state/report.ts";
import { Uses, vmOfRank, Zipf } from "../../testkit/bench/host-state/zipf.ts";

test("ranks are drawn in proportion to 1, 1/2, 1/3 …", () => {
  const zipf = new Zipf(3);
  const draws = Array.from({ length: 11_000 }, (_, n) => zipf.rank(n / 11_000));
  const counts = [0, 1, 2].map((rank) => draws.filter((each) => each === rank).length);
  expect(counts.map((count) => Math.round(count / 100))).toEqual([60, 30, 20]);
  expect([0, 0.999_999].map((random) => new Zipf(1_000_000).rank(random))).toEqual([0, 999_985]);
});

test("popularity moves on: the second VM becomes the first, and the first the last", () => {
  expect([0, 1, 999].map((rank) => vmOfRank(rank, 0, 1_000))).toEqual([0, 1, 999]);
  expect([0, 1, 999].map((rank) => vmOfRank(rank, 1, 1_000))).toEqual([1, 2, 0]);
});

test("a VM counts once, by its last use", () => {
  const uses = new Uses();
  uses.use(1, 0);
  uses.use(2, 10);
  uses.use(1, 20);
  expect([0, 10, 11, 21].map((ms) => uses.since(ms))).toEqual([2, 2, 1, 0]);
});

test("the result compares entries with addresses used, at each look", () => {
  const looks = [
    { used: 100, entries: 105 },
    { used: 100, entries: 120 },
    { used: 200, entries: 208 },
  ];
  const measured = summarize(looks);
  expect(measured).toEqual({ used: 100, entries: 120, ratio: { median: 1.05, max: 1.2 } });
  const sizes = [{ vms: 1_000_000, packets: 9_000, answers: 4_000, ...measured }];
  const text = reportHostState({ idle: 30, rate: 100, drift: 10, sizes, missed: ["entries : used is 1.20 ×"] });
  expect(text).toMatch(/^ {2}1,000,000 +4,000 +100 +120 +1\.05 × +1\.20 ×$/m);
  expect(text).toContain("  missed: entries : used is 1.20 ×\n");
});
