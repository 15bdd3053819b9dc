import { expect, test } from "vitest";
import { SerialQueue } from "../../common/serial-queue.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("tasks run one at a time, in the order of the calls", async () => {
  const queue = new SerialQueue();
  const log: string[] = [];
  const task = (name: string) => async () => {
    log.push(`${name} begins`);
    await turn();
    log.push(`${name} ends`);
    return name;
  };
  expect(await Promise.all([queue.run(task("a")), queue.run(task("b"))])).toEqual(["a", "b"]);
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends"]);
});

test("idle waits for all tasks that are queued", async () => {
  const queue = new SerialQueue();
  let ended = 0;
  for (let i = 0; i < 3; i++) {
    void queue.run(async () => {
      await turn();
      ended++;
    });
  }
  await queue.idle;
  expect(ended).toBe(3);
});

test("the caller of a task that fails gets its error, and the next task runs", async () => {
  const queue = new SerialQueue();
  const failed = queue.run(async () => {
    throw new Error("no");
  });
  const next = queue.run(async () => "next");
  await expect(failed).rejects.toThrow("no");
  expect(await next).toBe("next");
  await queue.idle;
});

test("if a failure stops the queue, later tasks are rejected without being run", async () => {
  const queue = new SerialQueue("stop");
  let isRun = false;
  const failed = queue.run(async () => {
    throw new Error("no");
  });
  const later = queue.run(async () => {
    isRun = true;
  });
  await expect(failed).rejects.toThrow("no");
  await expect(later).rejects.toThrow("no");
  await expect(queue.idle).rejects.toThrow("no");
  expect(isRun).toBe(false);
});
