import { getHeapStatistics } from "node:v8";
import { expect, test } from "vitest";
import { trimHeap } from "../../common/trim-heap.ts";

const mebibyte = 1024 * 1024;
const used = () => getHeapStatistics().used_heap_size;

/** Old garbage of some 40 MiB, made in a function so that no variable keeps it. */
function litter(): void {
  let lists: number[][] = [];
  for (let i = 0; i < 400; i++) lists.push(new Array<number>(13_000).fill(i + 0.5));
  lists = [];
}

test("garbage is collected at once, and programs do not get a function for it", () => {
  litter();
  const before = used();
  trimHeap(Number.POSITIVE_INFINITY);
  expect(before - used()).toBeGreaterThan(20 * mebibyte);
  expect(globalThis.gc).toBeUndefined();
});

test("a heap that is larger than that is left as it is", () => {
  trimHeap(Number.POSITIVE_INFINITY);
  litter();
  const before = used();
  trimHeap(before - 1);
  expect(before - used()).toBeLessThan(10 * mebibyte);
});
