// A page that is searched in steps, while others change the list.
import { expect, test } from "vitest";
import { NamedIndex } from "../../controller/inventory/named-index.ts";
import { type Listing, pageOf } from "../../controller/inventory/page.ts";
import { atOnce } from "../../controller/inventory/steps.ts";

const listed = (n: number, labels = {}) => ({ name: `vm-${String(n).padStart(5, "0")}`, labels });
const all = <T extends ReturnType<typeof listed>>(index: NamedIndex<T>): Listing<T> => ({
  from: (name) => index.entries(name),
  fits: () => true,
});
const rare = [{ key: "rare", kind: "present", value: "" }] as const;

test("items present from first to last step are found once, whatever is added or removed between the steps", () => {
  const index = new NamedIndex<ReturnType<typeof listed>>();
  for (let n = 0; n < 4_000; n += 2) index.set(listed(n, n % 1_000 === 0 ? { rare: "" } : {}));
  const steps = pageOf(all(index), { prefix: "", labels: rare, limit: 10 });
  let between = 0;
  for (;;) {
    const step = steps.next();
    if (step.done) {
      expect(step.value.items.map(({ name }) => name)).toEqual(["vm-00000", "vm-01000", "vm-02000", "vm-03000"]);
      break;
    }
    between += 1;
    // After and before the position of the search, and at that position.
    for (let n = 1; n < 4_000; n += 2) index.set(listed(n));
    for (let n = 2; n < 4_000; n += 1_000) for (let i = 0; i < 990; i += 2) index.delete(listed(n + i).name);
  }
  expect(between).toBeGreaterThan(1);
});

test("the page ends when it is full, and at the end of the prefix or the list, and says whether more follows", () => {
  const index = new NamedIndex<ReturnType<typeof listed>>();
  for (let n = 0; n < 1_500; n++) index.set(listed(n));
  const page = (prefix: string, limit: number, after?: string) => {
    const steps = pageOf(all(index), { prefix, labels: [], limit, ...(after === undefined ? {} : { after }) });
    for (;;) {
      const { done, value } = steps.next();
      if (done) return [value.items.length, value.items.at(-1)?.name, value.last];
    }
  };
  expect(page("", 1_000)).toEqual([1_000, "vm-00999", "vm-00999"]);
  expect(page("", 1_000, "vm-00999")).toEqual([500, "vm-01499", undefined]);
  expect(page("vm-000", 100)).toEqual([100, "vm-00099", undefined]);
  // A multiple of the stretch, and one more.
  expect(page("", 1_024, "vm-00475")).toEqual([1_024, "vm-01499", undefined]);
  expect(page("vm-1", 5)).toEqual([0, undefined, undefined]);
});

test("a page of a prefix begins with it, whatever stands before", () => {
  const index = new NamedIndex<ReturnType<typeof listed>>();
  for (const name of ["a-1", "vm-1", "vm-2", "w-1"]) index.set({ name, labels: {} });
  const page = (after?: string) => {
    const steps = pageOf(all(index), {
      prefix: "vm-",
      labels: [],
      limit: 9,
      ...(after === undefined ? {} : { after }),
    });
    return atOnce(steps).items.map(({ name }) => name);
  };
  expect([page(), page("a-1"), page("vm-1"), page("w-1")]).toEqual([["vm-1", "vm-2"], ["vm-1", "vm-2"], ["vm-2"], []]);
});
