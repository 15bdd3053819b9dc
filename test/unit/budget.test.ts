import { describe, expect, test } from "vitest";
import { Budget } from "../../node-agent/misses/budget.ts";

const allowance = { perSecond: 10, burst: 3 };
const spend = (budget: Budget, name: string, times: number, nowMs: number) => {
  for (let i = 0; i < times; i++) budget.spend(name, nowMs);
};

describe("a budget", () => {
  test("allows a burst, then one query for each refill, to the millisecond", () => {
    const budget = new Budget(allowance);
    spend(budget, "a", 2, 0);
    expect(budget.allows("a", 0)).toBe(true);
    budget.spend("a", 0);
    expect(budget.allows("a", 0)).toBe(false);
    expect(budget.allows("a", 99)).toBe(false);
    expect(budget.allows("a", 100)).toBe(true);
    budget.spend("a", 100);
    expect(budget.allows("a", 150)).toBe(false);
  });

  test("fills up to its burst, however long nothing is asked", () => {
    const budget = new Budget(allowance);
    spend(budget, "a", 3, 0);
    spend(budget, "a", 3, 3_600_000);
    expect(budget.allows("a", 3_600_000)).toBe(false);
  });

  test("is of each name its own", () => {
    const budget = new Budget(allowance);
    spend(budget, "a", 3, 0);
    expect(budget.allows("b", 0)).toBe(true);
  });

  test("tells what is left, in whole queries, and asking for it changes nothing", () => {
    const budget = new Budget(allowance);
    spend(budget, "a", 3, 0);
    budget.spend("b", 0);
    expect([...budget.left(150)]).toEqual([
      ["a", 1],
      ["b", 3],
    ]);
    expect([...budget.left(0)]).toEqual([
      ["a", 0],
      ["b", 2],
    ]);
    expect([...budget.left(60_000)]).toEqual([
      ["a", 3],
      ["b", 3],
    ]);
  });

  test("remembers so many names at most, and gives up the one that was used least recently", () => {
    const budget = new Budget(allowance, 2);
    budget.spend("a", 0);
    budget.spend("b", 0);
    budget.allows("a", 0);
    expect([...budget.left(0).keys()]).toEqual(["b", "a"]);
    budget.spend("c", 0);
    expect([...budget.left(0)]).toEqual([
      ["a", 2],
      ["c", 2],
    ]);
  });
});
