import { expect, test } from "vitest";
import { dayMs, findDurationMs } from "../../common/duration.ts";

const bounds = { minMs: 1_000, maxMs: 7 * dayMs };

test.each([
  ["1s", 1_000],
  ["90s", 90_000],
  ["10m", 600_000],
  ["2h", 7_200_000],
  ["7d", 604_800_000],
  ["604800s", 604_800_000],
])("%s is a duration", (text, ms) => expect(findDurationMs(text, bounds)).toBe(ms));

test.each(["", "1", "s", "-1s", "1.5h", "1 s", "10M", "1w", "1s ", "off"])("%j is not a duration", (text) =>
  expect(findDurationMs(text, bounds)).toBeUndefined(),
);

test.each(["0s", "8d", "169h"])("%s is out of range", (text) => expect(findDurationMs(text, bounds)).toBeUndefined());

test("the number of digits has the caller's limit", () => {
  expect(findDurationMs("0000001s", bounds)).toBeUndefined();
  expect(findDurationMs("000001s", bounds)).toBe(1_000);
  expect(findDurationMs("71280000s", { minMs: 6_000, maxMs: 825 * dayMs, maxDigits: 9 })).toBe(825 * dayMs);
});
