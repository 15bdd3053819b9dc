import { expect, test } from "vitest";
import { TurnQueue } from "../../common/cooperative.ts";

function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("turns are taken in order, and other work runs in between", async () => {
  const turns = new TurnQueue();
  const order: number[] = [];
  let between = 0;
  let done = false;
  const look = (): void => {
    between += 1;
    if (!done) setImmediate(look);
  };
  setImmediate(look);
  await Promise.all(
    Array.from({ length: 40 }, async (_, n) => {
      await turns.take();
      order.push(n);
      work(1);
    }),
  );
  done = true;
  expect(order).toEqual(Array.from({ length: 40 }, (_, n) => n));
  // 40 ms of work, in slices of four.
  expect(between).toBeGreaterThanOrEqual(8);
});

test("a turn does not start before work that was queued earlier", async () => {
  const turns = new TurnQueue();
  const said: string[] = [];
  const first = turns.take().then(() => said.push("first"));
  const second = turns.take().then(() => said.push("second"));
  await second;
  expect(said).toEqual(["first", "second"]);
  await first;
});
