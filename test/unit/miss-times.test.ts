// What is kept of misses for people: their times for the controller, and the last of them for `nearmiss agent status`.
import { describe, expect, test } from "vitest";
import { type FinishedMiss, RecentMisses } from "../../node-agent/misses/recent.ts";
import { describeTimeline } from "../../node-agent/misses/timeline.ts";
import { TimesOfMisses } from "../../node-agent/misses/times.ts";
import { ip, mac, vni } from "../support/addresses.ts";

const miss = { kind: "l3miss", vni: vni(100), ip: ip("10.0.0.1") } as const;

describe("the times of misses", () => {
  test("are counted, summed and compared since the last call, to a thousandth", () => {
    const times = new TimesOfMisses();
    expect(times.take()).toBeUndefined();
    for (const ms of [1.0004, 3.0004, 2]) times.add(ms);
    expect(times.take()).toEqual({ count: 3, sumMs: 6.001, maxMs: 3 });
    expect(times.take()).toBeUndefined();
    times.add(0.5);
    expect(times.take()).toEqual({ count: 1, sumMs: 0.5, maxMs: 0.5 });
  });

  test("of one miss are those of its steps", () => {
    const timeline = { miss, missedMs: 10, askedMs: 11.00049, answeredMs: 14 };
    expect(describeTimeline(timeline, 15, 17.5, 18)).toEqual({
      kind: "l3miss",
      vni: 100,
      key: "10.0.0.1",
      askMs: 3,
      programMs: 2.5,
      announceMs: 0.5,
      totalMs: 7.5,
    });
  });

  test("of a miss that needed no question begin with its reading; without waiting guests nothing was announced", () => {
    const other = { kind: "l2miss", vni: vni(100), mac: mac("52:54:00:00:00:01") } as const;
    expect(describeTimeline({ miss: other, missedMs: 10 }, 12, 13)).toEqual({
      kind: "l2miss",
      vni: 100,
      key: "52:54:00:00:00:01",
      askMs: 2,
      programMs: 1,
      totalMs: 3,
    });
  });
});

describe("recent misses", () => {
  const finished = (missedMs: number): FinishedMiss => ({ miss, missedMs, outcome: "answered" });
  const listed = (recent: RecentMisses) => recent.list().map(({ missedMs }) => missedMs);

  test("are listed from the newest on", () => {
    const recent = new RecentMisses(3);
    expect(listed(recent)).toEqual([]);
    for (const ms of [1, 2]) recent.push(finished(ms));
    expect(listed(recent)).toEqual([2, 1]);
  });

  test("are so many at most: the oldest make room", () => {
    const recent = new RecentMisses(3);
    for (const ms of [1, 2, 3]) recent.push(finished(ms));
    expect(listed(recent)).toEqual([3, 2, 1]);
    for (const ms of [4, 5]) recent.push(finished(ms));
    expect(listed(recent)).toEqual([5, 4, 3]);
  });

  test("are 256 if nothing else is said", () => {
    const recent = new RecentMisses();
    for (let ms = 0; ms < 300; ms++) recent.push(finished(ms));
    expect(listed(recent)).toEqual(Array.from({ length: 256 }, (_, i) => 299 - i));
  });
});
