import { describe, expect, test } from "vitest";
import { growthOf, leaksOf, type Usage } from "../../testkit/soak/usage.ts";

const usage = (live: number, resident = 130, descriptors = 28): Usage => ({ live, resident, descriptors });
/** Thirty samples, whose nth is `of(n)`. */
const life = (of: (n: number) => Usage): Usage[] => Array.from({ length: 30 }, (_, n) => of(n));

describe("what a soak calls a leak", () => {
  test("nothing, if all is flat", () => {
    expect(leaksOf(growthOf(life(() => usage(34))), 60)).toEqual([]);
  });

  test("memory that remains after a collection and grows", () => {
    expect(leaksOf(growthOf(life((n) => usage(34 + n))), 1)).toEqual(["live memory, MiB, from 38 to 58"]);
  });

  test("descriptors that are not closed", () => {
    expect(leaksOf(growthOf(life((n) => usage(34, 130, 28 + 2 * n))), 1)).toEqual(["file descriptors from 36 to 76"]);
  });

  test("resident memory in a long run, where it is meaningful", () => {
    const growth = growthOf(life((n) => usage(34, 130 + 5 * n)));
    expect(leaksOf(growth, 1)).toEqual([]);
    expect(leaksOf(growth, 10)).toEqual(["resident memory, MiB, from 150 to 250"]);
  });

  test("no single peak", () => {
    expect(leaksOf(growthOf(life((n) => usage(n === 29 ? 300 : 34))), 1)).toEqual([]);
  });
});
