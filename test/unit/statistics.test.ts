import { expect, test } from "vitest";
import { distribution, median, percentile } from "../../testkit/statistics.ts";

const oneToHundred = Array.from({ length: 100 }, (_, i) => 100 - i);

test.each([
  [0.5, 50],
  [0.99, 99],
  [1, 100],
  [0, 1],
])("the percentile %d is that of the nearest rank", (p, value) => {
  expect(percentile(oneToHundred, p)).toBe(value);
});

test("a median is one of the values, whatever their order", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2);
  expect(median([])).toBeNaN();
});

test("trials above 900 ms count as the guest's retry", () => {
  expect(distribution([0.1234, 900, 901, 2_040])).toEqual({
    trials: 4,
    p10Ms: 0.123,
    medianMs: 900,
    p90Ms: 2_040,
    p95Ms: 2_040,
    p99Ms: 2_040,
    maxMs: 2_040,
    retried: 2,
  });
});
