import { expect, test } from "vitest";
import { TokenBucket } from "../../common/token-bucket.ts";

const rate = { perSecond: 10, burst: 5 };

test("a bucket is full at first, and again after a while, but no fuller", () => {
  const bucket = new TokenBucket(rate, 1_000);
  expect(bucket.isFull(1_000)).toBe(true);
  bucket.spend(2, 1_000);
  expect([bucket.left(1_000), bucket.left(1_100), bucket.left(1_200), bucket.left(9_000)]).toEqual([3, 4, 5, 5]);
  expect([bucket.isFull(1_199), bucket.isFull(1_200)]).toEqual([false, true]);
});

test("a debt is paid at the rate of the refill", () => {
  const bucket = new TokenBucket(rate, 0);
  bucket.spend(8, 0);
  expect(bucket.left(0)).toBe(-3);
  expect([bucket.waitMs(0, 0), bucket.waitMs(1, 0), bucket.waitMs(1, 400), bucket.waitMs(1, 500)]).toEqual([
    300, 400, 0, 0,
  ]);
});
