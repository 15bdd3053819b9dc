import { describe, expect, test } from "vitest";
import { Allowances } from "../../common/allowances.ts";

describe("allowances", () => {
  const rate = { perSecond: 10, burst: 3 };

  test("a burst at once, then one after the other as time passes", () => {
    const allowances = new Allowances(rate, 10);
    expect([1, 2, 3, 4].map(() => allowances.take("a", 0))).toEqual([true, true, true, false]);
    expect(allowances.waitMs("a", 0)).toBe(100);
    expect(allowances.take("a", 99)).toBe(false);
    expect(allowances.take("a", 100)).toBe(true);
    expect(allowances.take("a", 100)).toBe(false);
    expect(allowances.waitMs("b", 100)).toBe(0);
  });

  test("what is spent beyond is a debt, at most as large as the burst", () => {
    const allowances = new Allowances(rate, 10);
    allowances.spend("a", 5, 0);
    expect(allowances.waitMs("a", 0)).toBe(300);
    allowances.spend("a", 1_000, 0);
    expect(allowances.waitMs("a", 0)).toBe(400);
  });

  test("rest saves up no more than the burst", () => {
    const allowances = new Allowances(rate, 10);
    allowances.spend("a", 1, 0);
    expect([1, 2, 3, 4].map(() => allowances.take("a", 3_600_000))).toEqual([true, true, true, false]);
  });

  test("a key with a debt is not dropped for others", () => {
    const allowances = new Allowances(rate, 2);
    allowances.spend("a", 6, 0);
    for (let n = 0; n < 100; n++) allowances.spend(`k${n}`, 1, 2 * n);
    expect(allowances.take("a", 300)).toBe(false);
    expect(allowances.take("a", 400)).toBe(true);
  });
});
