import fc from "fast-check";
import { expect, test } from "vitest";
import { refusedForMs } from "../../controller/agents/refused-agents.ts";
import { backoffMs, maxRefusedMs, refusedBackoffMs } from "../../node-agent/controller-link/backoff.ts";

const attempts = fc.integer({ min: 0, max: 10_000 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("a delay is random between zero and its limit: a fleet does not return all at once", () => {
  fc.assert(
    fc.property(attempts, random, (attempt, at) => {
      const bound = backoffMs(attempt, 1);
      expect(backoffMs(attempt, at)).toBeCloseTo(at * bound);
    }),
  );
});

test("its limit doubles with each attempt, and a host that was disconnected for long still returns within 5 s", () => {
  expect([0, 1, 2, 3, 4, 5, 100].map((attempt) => backoffMs(attempt, 1))).toEqual([
    250, 500, 1_000, 2_000, 2_500, 2_500, 2_500,
  ]);
});

test("10,000 agents that have lost one controller spread their attempts evenly", () => {
  const perTenth = new Map<number, number>();
  // The same numbers at every run: a linear congruential generator (Numerical Recipes).
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  for (let agent = 0; agent < 10_000; agent++) {
    for (let attempt = 0, ms = backoffMs(0, next()); ms < 10_000; ms += backoffMs(++attempt, next())) {
      const tenth = Math.floor(ms / 100);
      perTenth.set(tenth, (perTenth.get(tenth) ?? 0) + 1);
    }
  }
  const counts = Array.from({ length: 100 }, (_, tenth) => perTenth.get(tenth) ?? 0);
  // On average one in 1.25 s each, once all have reached the longest delays.
  const settled = counts.slice(60);
  expect(Math.max(...settled)).toBeLessThan(1_200);
  expect(Math.min(...settled)).toBeGreaterThan(400);
});

test("an agent that is refused until an operator acts waits longer and longer, minutes at last", () => {
  expect([0, 1, 2, 3, 8, 9, 100].map((attempt) => refusedBackoffMs(attempt, 1))).toEqual([
    1_000,
    2_000,
    4_000,
    8_000,
    256_000,
    maxRefusedMs,
    maxRefusedMs,
  ]);
  expect(refusedBackoffMs(100, 0)).toBe(maxRefusedMs / 2);
  expect(refusedForMs).toBeGreaterThan(2 * maxRefusedMs);
});
