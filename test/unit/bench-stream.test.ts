// What the bench of the event stream counts by.
import fc from "fast-check";
import { expect, test } from "vitest";
import { changeLines, furnishLines } from "../../bench/stream/changes.ts";
import { FrameCounter } from "../../bench/stream/frames.ts";
import { webSocketFraming } from "../../controller/events/framing.ts";

test("events are counted however the frames are cut, and what is shorter than an event is not", () => {
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
