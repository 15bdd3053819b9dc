import { expect, test } from "vitest";
import { ImportTurns } from "../../controller/bulk/import-turns.ts";

test("one import runs at a time, and callers alternate however many imports each has waiting", async () => {
  const turns = new ImportTurns();
  const ran: string[] = [];
  let running = 0;
  const one = async (caller: string, name: string) => {
    const end = await turns.take(caller);
    running += 1;
    expect(running).toBe(1);
    ran.push(name);
    await Promise.resolve();
    running -= 1;
    end();
  };
  await Promise.all([one("a", "a1"), one("a", "a2"), one("a", "a3"), one("b", "b1"), one("c", "c1"), one("b", "b2")]);
  expect(ran).toEqual(["a1", "b1", "a2", "c1", "a3", "b2"]);
  await one("a", "again");
  expect(ran.at(-1)).toBe("again");
});
