import { describe, expect, test } from "vitest";
import { ignoredMs, Scanners } from "../../node-agent/misses/scanners.ts";
import { mac } from "../support/addresses.ts";

const allowance = { perSecond: 10, burst: 20 };
const [one, other] = [mac("52:54:00:00:00:01"), mac("52:54:00:00:00:02")];

/** Asks so many times, `everyMs` apart. @returns the number of questions that counted as a scan */
function ask(scanners: Scanners, guest: typeof one, times: number, everyMs = 0, fromMs = 0): number {
  return Array.from({ length: times }, (_, i) => scanners.heard(guest, fromMs + i * everyMs)).filter(Boolean).length;
}

describe("scanners", () => {
  test("a burst within the allowance, and a steady rate within it, are no scan", () => {
    const scanners = new Scanners(allowance);
    expect(ask(scanners, one, 20)).toBe(0);
    expect(ask(scanners, other, 1_000, 100)).toBe(0);
    expect(scanners.list()).toEqual([]);
  });

  test("more than that is one, and reported once", () => {
    const scanners = new Scanners(allowance);
    expect(ask(scanners, one, 100)).toBe(1);
    expect(scanners.isOne(one)).toBe(true);
    expect(scanners.isOne(other)).toBe(false);
  });

  test("the last guest found comes first: unheard questions are most likely its own", () => {
    const scanners = new Scanners(allowance);
    ask(scanners, one, 100);
    ask(scanners, other, 100);
    expect(scanners.list()).toEqual([other, one]);
    expect(scanners.add(one, 0)).toBe(false);
    expect(scanners.list()).toEqual([one, other]);
  });

  test("it is read again after a while, and found again as soon as it continues", () => {
    const scanners = new Scanners(allowance);
    ask(scanners, one, 100);
    expect(scanners.forget(ignoredMs - 1)).toBe(false);
    expect(scanners.forget(ignoredMs)).toBe(true);
    expect(scanners.size).toBe(0);
    expect(ask(scanners, one, 100, 0, ignoredMs)).toBe(1);
  });
});
