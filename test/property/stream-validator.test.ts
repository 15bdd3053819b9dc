// The judge of event streams is itself judged: it passes every true record, and finds every tampering.
import fc from "fast-check";
import { expect, test } from "vitest";
import { endOf, findViolations, type Position, position, type Segment } from "../support/stream-validator.ts";

/** A log of revisions with one to four changes, and which of them are for the consumer. */
const log = fc
  .array(fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 30 })
  .map((revisions) => ({
    expected: revisions.flatMap((fits, r) => fits.flatMap((fit, i) => (fit ? position(r + 1, i) : []))),
    last: endOf(revisions.length),
  }));

const recordOf = (expected: readonly Position[], after: Position, upTo: Position): Segment => {
  const received = expected.filter((at) => at > after && at <= upTo);
  return { after, received, bookmarks: [{ upTo, received: received.length }] };
};

test("a correct record, with snapshots between, has no violation", () => {
  fc.assert(
    fc.property(log, fc.array(fc.nat(40), { maxLength: 4 }), ({ expected, last }, cuts) => {
      const points = [0, ...cuts.map((n) => Math.min(endOf(n), last)).sort((a, b) => a - b), last];
      const segments = points.slice(1).map((upTo, i) => recordOf(expected, points[i] ?? 0, upTo));
      expect(findViolations(segments, expected, last)).toEqual([]);
    }),
  );
});

const tampering: Record<string, (received: Position[], at: number) => void> = {
  "one is missing": (received, at) => void received.splice(at, 1),
  "one came twice": (received, at) => void received.splice(at, 0, received[at] as Position),
  "one came twice, later": (received, at) => void received.push(received[at] as Position),
  "two changed places": (received, at) => {
    const [one, other] = [received[at] as Position, received[at + 1] as Position];
    received.splice(at, 2, other, one);
  },
  "one came that was not for it": (received, at) => void received.splice(at, 0, position(1_000, 0)),
};

test.each(Object.keys(tampering))("is found: %s", (name) => {
  fc.assert(
    fc.property(log, fc.nat(), ({ expected, last }, where) => {
      fc.pre(expected.length >= 2);
      const segment = recordOf(expected, 0, last);
      tampering[name]?.(segment.received, where % (expected.length - 1));
      expect(findViolations([segment], expected, last)).toHaveLength(1);
    }),
  );
});

test("is found: a bookmark that is too high, and a snapshot that goes back", () => {
  const expected = [position(1, 0), position(2, 0), position(3, 0)];
  const early: Segment = { after: 0, received: [...expected], bookmarks: [{ upTo: endOf(2), received: 1 }] };
  expect(findViolations([early], expected, endOf(3))).toEqual([expect.stringContaining("a bookmark says 2.")]);
  const first: Segment = { after: 0, received: expected.slice(0, 2), bookmarks: [] };
  const back: Segment = { after: endOf(1), received: expected.slice(1), bookmarks: [] };
  expect(findViolations([first, back], expected, endOf(3))).toEqual([expect.stringContaining("back")]);
});
