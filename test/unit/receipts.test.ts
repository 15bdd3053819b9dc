import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Receipts } from "../../controller/write/receipts.ts";

const limits = { ageMs: 1_000, count: 10 };
const head = (caller: string, n: number, atMs = n) => ({
  key: `token ${caller} (a note) ${n}`,
  fingerprint: "f",
  atMs,
});
const filled = (...heads: ReturnType<typeof head>[]) => {
  const receipts = new Receipts([], limits);
  for (const each of heads) receipts.add(each);
  return receipts;
};
const many = (caller: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => head(caller, from + i));

describe("receipts", () => {
  test("of one caller fill all the room, and the newest are kept", () => {
    const receipts = filled(...many("a", 25));
    const known = many("a", 25).filter(({ key }) => receipts.find(key, 25));
    expect(known).toEqual(many("a", 10, 15));
    expect(receipts.takeEvicted()).toEqual(many("a", 15).map(({ key }) => key));
    expect(receipts.takeEvicted()).toEqual([]);
  });

  test("of one caller are not displaced by those of another, however many", () => {
    const receipts = filled(...many("a", 5), ...many("b", 500));
    for (const { key } of many("a", 5)) expect(receipts.find(key, 500)).toBeDefined();
    expect(many("b", 500).filter(({ key }) => receipts.find(key, 500))).toEqual(many("b", 5, 495));
  });

  test("are deleted after a day, for every caller", () => {
    const receipts = filled(head("a", 0), head("b", 1_001));
    expect(receipts.find(head("a", 0).key, 1_001)).toBeUndefined();
    expect(receipts.find(head("b", 1_001).key, 1_001)).toBeDefined();
  });

  test("in any sequence, a caller within its share of the room loses none, and memory and store agree", () =>
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 200 }), (callers) => {
        const receipts = new Receipts([], limits);
        const stored = new Map<string, ReturnType<typeof head>>();
        const sent = new Map<string, number>();
        for (const [i, caller] of callers.entries()) {
          for (const key of receipts.takeEvicted()) stored.delete(key);
          const each = head(caller, i, 0);
          stored.set(each.key, each);
          receipts.add(each);
          sent.set(caller, (sent.get(caller) ?? 0) + 1);
          expect(stored.size).toBeLessThanOrEqual(limits.count + 1);
          const share = Math.floor(limits.count / sent.size);
          for (const name of sent.keys()) {
            const kept = [...stored.values()].filter(
              ({ key }) => key.startsWith(`token ${name} `) && receipts.find(key, 0),
            );
            expect(kept.length).toBeGreaterThanOrEqual(Math.min(share, sent.get(name) ?? 0));
          }
        }
        const again = new Receipts([...stored.values()], limits);
        for (const { key } of stored.values())
          expect(again.find(key, 0) !== undefined).toBe(receipts.find(key, 0) !== undefined);
      }),
    ));
});
