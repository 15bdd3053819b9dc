// Recent rates in steps: which step a question belongs to, what is a gap, and what is forgotten.
import fc from "fast-check";
import { expect, test } from "vitest";
import { cellsOf, RateRing } from "../../controller/observe/rate-ring.ts";
import { fleetGrains, Rates } from "../../controller/observe/rates.ts";
import { countedSince, emptyText, spanOf, timesOf } from "../../dashboard/live/rate-times.ts";
import { rateRanges } from "../../schema/plain/index.ts";

const grain = { stepMs: 1_000, steps: 4 };
const startMs = 500;
const ringOf = (of = grain) => new RateRing(of, startMs, new Float64Array(cellsOf(of)));
const counts = (n: number, missing = 0) => ({ knownIps: n, knownMacs: 0, unknownIps: missing, unknownMacs: 0 });

test("the step that is not over is not shown, and ends with its last millisecond", () => {
  const ring = ringOf();
  ring.addFrame(startMs, 1, 0, 2);
  ring.addFrame(startMs + 999, 2, 1, 4);
  ring.addFrame(startMs + 1_000, 8, 0, 1);
  expect(ring.read(startMs + 1_000)).toMatchObject({ known: [null, null, null, 3], unknown: [null, null, null, 1] });
  expect(ring.read(startMs + 1_999)).toMatchObject({ known: [null, null, null, 3], endedAgoMs: 999 });
  expect(ring.read(startMs + 2_000)).toMatchObject({
    known: [null, null, 3, 8],
    meanMs: [null, null, 3, 1],
    endedAgoMs: 0,
  });
});

test("before the start there are gaps, after it zeros", () => {
  const ring = ringOf();
  expect(ring.read(startMs).known).toEqual([null, null, null, null]);
  expect(ring.read(startMs + 2_500).known).toEqual([null, null, 0, 0]);
  expect(ring.read(startMs + 4_000).known).toEqual([0, 0, 0, 0]);
});

test("a step is forgotten when it is too old, also after a long silence", () => {
  const ring = ringOf();
  ring.addFrame(startMs, 5, 0, 1);
  ring.addProgrammed(startMs, { count: 2, sumMs: 6, maxMs: 4 });
  expect(ring.read(startMs + 4_999)).toMatchObject({ known: [5, 0, 0, 0], programmedMeanMs: [3, null, null, null] });
  expect(ring.read(startMs + 5_000)).toMatchObject({ known: [0, 0, 0, 0], programmedMeanMs: [null, null, null, null] });
  ring.addFrame(startMs + 5_000, 7, 0, 1);
  // The same cells, a million turns later.
  expect(ring.read(startMs + 5_000_000_000 + 5_000).known).toEqual([0, 0, 0, 0]);
});

test("with a clock that goes back, the present step takes what comes, and nothing is lost or counted twice", () => {
  const ring = ringOf();
  ring.addFrame(startMs + 2_100, 1, 0, 1);
  ring.addFrame(startMs + 1_900, 2, 0, 1);
  ring.addFrame(startMs - 9_000, 4, 0, 1);
  expect(ring.read(startMs - 9_000)).toMatchObject({ known: [null, null, 0, 0], endedAgoMs: 0 });
  expect(ring.read(startMs + 3_000).known).toEqual([null, 0, 0, 7]);
});

test("every question is in the step of its time, whatever the times are", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1_500), fc.nat(9)), { maxLength: 40 }), fc.nat(9_000), (asked, waitMs) => {
      const ring = ringOf();
      let nowMs = startMs;
      const at = asked.map(([laterMs, n]) => {
        nowMs += laterMs;
        ring.addFrame(nowMs, n, 0, 1);
        return [Math.floor((nowMs - startMs) / 1_000), n] as const;
      });
      nowMs += waitMs;
      const present = Math.floor((nowMs - startMs) / 1_000);
      const steps = [4, 3, 2, 1].map((back) => present - back);
      const expected = steps.map((step) =>
        step < 0 ? null : at.filter(([of]) => of === step).reduce((sum, [, n]) => sum + n, 0),
      );
      expect(ring.read(nowMs).known).toEqual(expected);
    }),
  );
});

test("all ranges have the same questions, and all hosts together take 45,504 bytes", () => {
  let nowMs = 77;
  const rates = new Rates(() => nowMs);
  nowMs += 3_600_000;
  rates.answered("a", counts(600, 300), 1);
  nowMs += 300_000;
  for (const range of rateRanges) {
    const { stepMs, known, unknown } = rates.read(range);
    const sum = (values: readonly (number | null)[]) =>
      Math.round((values.reduce<number>((all, each) => all + (each ?? 0), 0) * stepMs) / 1_000);
    expect([sum(known), sum(unknown)], range).toEqual([600, 300]);
  }
  expect(rates.read("15m").known).not.toContain(null);
  expect(rates.read("2h").known.filter((value) => value === null)).toHaveLength(240 - 130);
  expect(rates.read("24h").known.filter((value) => value === null)).toHaveLength(288 - 13);
  const bytes = Object.values(fleetGrains).map((each) => new Float64Array(cellsOf(each)).byteLength);
  expect(bytes.reduce((all, each) => all + each, 0)).toBe(45_504);
  // A host that has asked nothing has zeros since the start.
  expect(new Set(rates.readHost("b").known)).toEqual(new Set([0]));
});

test("five busy minutes are counted one by one", () => {
  const ring = ringOf({ stepMs: 300_000, steps: 2 });
  ring.addFrame(startMs, 2 ** 24, 0, 1);
  ring.addFrame(startMs, 1, 0, 1);
  expect(ring.read(startMs + 300_000).known).toEqual([null, (2 ** 24 + 1) / 300]);
});

test("the page places steps in time, and says since when there are figures", () => {
  const until = "2027-01-31T12:00:00.000Z";
  const rates = { until, stepMs: 300_000, known: Array.from({ length: 288 }, (_, i) => (i < 286 ? null : 0)) };
  expect(timesOf(rates).slice(-2)).toEqual([Date.parse("2027-01-31T11:55:00Z") / 1_000, Date.parse(until) / 1_000]);
  expect(spanOf(rates)).toBe("24 hours");
  expect(countedSince(rates)?.toISOString()).toBe("2027-01-31T11:50:00.000Z");
  expect(countedSince({ ...rates, known: [null, null] })?.toISOString()).toBe(until);
  expect(countedSince({ ...rates, known: [0, 0] })).toBeUndefined();
  expect(spanOf({ ...rates, stepMs: 15_000, known: Array(60).fill(0) })).toBe("15 minutes");
  expect(spanOf({ ...rates, stepMs: 30_000, known: Array(240).fill(0) })).toBe("2 hours");
});

test("an empty chart says no more than is known", () => {
  const rates = { until: "2027-01-31T12:00:00.000Z", stepMs: 300_000 };
  expect(emptyText({ ...rates, known: Array(288).fill(0) })).toBe("Nothing was asked in 24 hours");
  expect(emptyText({ ...rates, known: [null, 0] })).toMatch(/^Nothing was asked from .*\d\d:55:00 to .*\d\d:00:00$/);
  expect(emptyText({ ...rates, known: [null, null] })).toBe("The first figures come after 5 minutes");
  expect(emptyText({ ...rates, stepMs: 5_000, known: [null] })).toBe("The first figures come after 5 seconds");
});
