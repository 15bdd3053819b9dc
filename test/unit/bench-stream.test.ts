// How the bench of the event stream counts.
import fc from "fast-check";
import { expect, test } from "vitest";
import { webSocketFraming } from "../../controller/events/framing.ts";
import { compare, keepsUp, lowerRate } from "../../testkit/bench/stream/bench.ts";
import { changeLines, furnishLines } from "../../testkit/bench/stream/changes.ts";
import { FrameCounter } from "../../testkit/bench/stream/frames.ts";
import { reportStream } from "../../testkit/bench/stream/report.ts";
import type { StreamSide } from "../../testkit/bench/stream/side.ts";

test("events are counted however the frames are split, and data shorter than an event is not", () => {
  const lengths = fc.array(fc.constantFrom(1, 125, 126, 349, 350, 700, 65_535, 65_536), { maxLength: 12 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 5_000 }), (sizes, step) => {
      const bytes = Buffer.concat(sizes.map((size) => webSocketFraming.frame({ text: "x".repeat(size) })));
      const counter = new FrameCounter();
      let counted = 0;
      for (let at = 0; at < bytes.length; at += step) counted += counter.take(bytes.subarray(at, at + step));
      expect(counted).toBe(sizes.filter((size) => size >= 350).length);
      expect(counter.events).toBe(counted);
    }),
  );
});

test("each batch moves every VM to the other host", () => {
  const hosts = (lines: string) =>
    lines
      .trim()
      .split("\n")
      .flatMap((line) => JSON.parse(line).host ?? []);
  expect(hosts(furnishLines(3))).toEqual(["host-1", "host-1", "host-1"]);
  expect(hosts(changeLines(3, 0))).toEqual(["host-0", "host-0", "host-0"]);
  expect(hosts(changeLines(3, 1))).toEqual(["host-1", "host-1", "host-1"]);
});

const side = (rate: number, more: Partial<StreamSide> = {}): StreamSide => ({
  delivered: 1,
  received: 1_000,
  ended: 0,
  rate,
  behindMs: 20,
  medianMs: 10,
  p99Ms: 20,
  cpuSeconds: 2,
  restingRssMib: 100,
  peakRssMib: 150,
  ...more,
});

test.each<[string, StreamSide, boolean]>([
  ["everything in time", side(100), true],
  ["later and later", side(90, { behindMs: 1_001 }), false],
  ["not all of it", side(100, { delivered: 0.999 }), false],
  ["one was cut off", side(100, { ended: 1 }), false],
])("a rate is kept if all events arrived in time: %s", (_what, measured, kept) => {
  expect(keepsUp(measured)).toBe(kept);
});

test("delays are compared only if both kept the rate, costs by the events delivered", () => {
  const quick = side(100, { cpuSeconds: 1 });
  const slow = side(40, { received: 400, p99Ms: 900, behindMs: 9_000 });
  expect(compare({ rate: 100, batch: 5 }, quick, side(100)).ratios).toEqual({ p99: 1, cpu: 0.5, peak: 1, grown: 1 });
  const uneven = compare({ rate: 100, batch: 5 }, quick, slow);
  expect(uneven.ratios).toEqual({ cpu: 0.2, peak: 1, grown: 1 });
  expect(lowerRate(uneven)).toBe(20);
  expect(
    reportStream({ consumers: 10, rate: 100, seconds: 1, batch: 5, bytesPerEvent: 700, rounds: [uneven] }),
  ).toMatch(/bare ws +only 40 .*–.*–/);
});
