// Lists in another order than that of names, and how many match.
import fc from "fast-check";
import { expect, test } from "vitest";
import { NamedIndex } from "../../controller/inventory/named-index.ts";
import type { Listing } from "../../controller/inventory/page.ts";
import {
  countOf,
  maxLookedAt,
  type Position,
  type SortKey,
  sortedPageOf,
} from "../../controller/inventory/sorted-page.ts";
import { atOnce } from "../../controller/inventory/steps.ts";

interface Item {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly key: SortKey;
}
const listingOf = (items: readonly Item[]): Listing<Item> => {
  const index = new NamedIndex<Item>();
  for (const item of items) index.set(item);
  return { from: (name) => index.entries(name), fits: ({ key }) => key !== "hidden" };
};
const all = { prefix: "", labels: [] };

test("pages that follow each other are all that fit, each once, by key and then by name, in both directions", () => {
  const item = fc.record({
    name: fc.stringMatching(/^[ab][a-z0-9]{0,3}$/),
    key: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom("x", "y", "hidden")),
    labels: fc.constantFrom({}, { tier: "web" }),
  });
  const items = fc.uniqueArray(item, { selector: ({ name }) => name, maxLength: 60 });
  fc.assert(
    fc.property(
      items,
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      fc.constantFrom("", "a"),
      (list, limit, isDescending, prefix) => {
        const wanted = list.filter(({ key, name }) => key !== "hidden" && name.startsWith(prefix));
        const rank = ({ key }: Item) => (typeof key === "number" ? 0 : 1);
        const byKey = (a: Item, b: Item) => rank(a) - rank(b) || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
        const sorted = wanted
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
          .toSorted((a, b) => (isDescending ? byKey(b, a) : byKey(a, b)));
        const listing = listingOf(list);
        const found: string[] = [];
        let after: Position | undefined;
        do {
          const order = { keyOf: ({ key }: Item) => key, isDescending, ...(after ? { after } : {}) };
          const page = atOnce(sortedPageOf(listing, { ...all, prefix, limit }, order));
          expect(page?.total).toBe(wanted.length);
          found.push(...(page?.items ?? []).map(({ name }) => name));
          after = page?.last === undefined ? undefined : { name: page.last, key: page.lastKey ?? "" };
        } while (after);
        expect(found).toEqual(sorted.map(({ name }) => name));
      },
    ),
  );
});

test("a page of a long list is right though rows are cut in between, and a label or prefix leaves others out of the total", () => {
  const items = Array.from({ length: 5_000 }, (_, n) => ({
    name: `vm-${String(n).padStart(5, "0")}`,
    labels: n % 2 === 0 ? { even: "" } : ({} as Record<string, string>),
    key: (n * 7_919) % 5_000,
  }));
  const order = { keyOf: ({ key }: Item) => key, isDescending: true };
  const labels = [{ key: "even", kind: "present", value: "" }] as const;
  const page = atOnce(sortedPageOf(listingOf(items), { prefix: "vm-0", labels: [...labels], limit: 3 }, order));
  const expected = items
    .filter(({ labels: { even } }) => even !== undefined)
    .sort((a, b) => b.key - a.key)
    .map(({ name }) => name);
  expect(page).toMatchObject({ total: 2_500, last: expected[2] });
  expect(page?.items.map(({ name }) => name)).toEqual(expected.slice(0, 3));
  expect(atOnce(countOf(listingOf(items), { prefix: "vm-04", labels: [...labels] }))).toBe(500);
});

test("no more than a bound are looked at, and others have their turn in between", () => {
  let looked = 0;
  const endless: Listing<Item> = {
    *from(name) {
      for (let n = name === "" ? 0 : Number(name.slice(1)); ; n++) {
        looked += 1;
        const each = { name: `n${String(n).padStart(9, "0")}`, labels: {}, key: n };
        yield [each.name, each];
      }
    },
    fits: () => true,
  };
  const steps = countOf(endless, all);
  let between = 0;
  for (;;) {
    const step = steps.next();
    if (step.done) {
      expect(step.value).toBeUndefined();
      break;
    }
    between += 1;
  }
  expect(between).toBeGreaterThan(100);
  expect(looked).toBeLessThan(maxLookedAt * 1.01);
});
