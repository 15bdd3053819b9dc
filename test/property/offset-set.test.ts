import fc from "fast-check";
import { expect, test } from "vitest";
import { OffsetSet } from "../../controller/inventory/offset-set.ts";
import { runs } from "../support/property-runs.ts";

/** Around the ends of words and levels, where it could go wrong. */
const offset = fc.oneof(
  fc.integer({ min: 0, max: 70 }),
  fc.constantFrom(31, 32, 1_023, 1_024, 32_767, 32_768, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1),
);
const operation = fc.record({ add: fc.boolean(), at: offset, length: fc.integer({ min: 1, max: 40 }) });

test("finds the next number that is not in it, after any additions and removals", () =>
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), offset, (operations, from) => {
      const set = new OffsetSet();
      const model = new Set<number>();
      for (const { add, at, length } of operations) {
        for (let i = at; i < at + length; i++) {
          if (add) [set.add(i), model.add(i)];
          else [set.delete(i), model.delete(i)];
        }
      }
      let free = from;
      while (model.has(free)) free += 1;
      expect(set.nextFree(from)).toBe(free);
      expect(set.size).toBe(model.size);
      for (const each of model) expect(set.has(each)).toBe(true);
    }),
    { numRuns: runs(500) },
  ));

test("finds the one gap among a million without a search", () => {
  const set = new OffsetSet();
  for (let i = 0; i < 1_000_000; i++) if (i !== 777_777) set.add(i);
  expect(set.nextFree(0)).toBe(777_777);
  set.add(777_777);
  expect(set.nextFree(0)).toBe(1_000_000);
});
