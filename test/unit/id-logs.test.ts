// Ids in the order in which they came, and the room that dropped ones take.
import { expect, test } from "vitest";
import { IdLogs, newIdLog } from "../../controller/agents/id-logs.ts";

test("a log has no more room than a few times what is left in it, however much came and went", () => {
  const logs = new IdLogs();
  const log = newIdLog();
  const held = new Set<number>();
  const isHeld = (id: number) => held.has(id);
  const add = (id: number) => {
    held.add(id);
    logs.add(log, id, isHeld);
  };
  const kept = Array.from({ length: 40 }, (_, n) => n);
  for (const id of kept) add(id);
  for (let id = 1_000; id < 11_000; id++) {
    add(id);
    held.delete(id);
    logs.drop(log);
  }
  expect(logs.list(log, isHeld)).toEqual(kept);
  expect(logs.room).toBeLessThan(4 * kept.length);
});

test("an id that was dropped and came again is in the place where it came last", () => {
  const logs = new IdLogs();
  const log = newIdLog();
  for (const id of [1, 2, 1, 3]) logs.add(log, id, () => true);
  expect(logs.list(log, () => true)).toEqual([2, 1, 3]);
});
