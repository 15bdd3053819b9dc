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

test("tasks of a queue share its slices, and get their results and errors", async () => {
  const turns = new TurnQueue(2);
  let rounds = 0;
  let done = false;
  const look = (): void => {
    rounds += 1;
    if (!done) setImmediate(look);
  };
  setImmediate(look);
  function* steps(n: number): Generator<void, number, void> {
    for (let i = 0; i < 500; i++) {
      yield;
      work(0.01);
    }
    if (n === 3) throw new Error("the third");
    return n;
  }
  const results = await Promise.allSettled([0, 1, 2, 3, 4, 5].map((n) => turns.run(steps(n))));
  done = true;
  expect(results.map((each) => (each.status === "fulfilled" ? each.value : String(each.reason)))).toEqual([
    0,
    1,
    2,
    "Error: the third",
    4,
    5,
  ]);
  // 30 ms of work: a slice of each task in every round would need a third of the rounds.
  expect(rounds).toBeGreaterThanOrEqual(8);
});
