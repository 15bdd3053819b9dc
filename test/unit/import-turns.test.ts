import { expect, test } from "vitest";
import { ImportTurns } from "../../controller/bulk/import-turns.ts";

test.each([true, false])(
  "one import runs at a time, and callers alternate however many imports each has waiting",
  async (isSmall) => {
    const turns = new ImportTurns();
    const ran: string[] = [];
    let running = 0;
    const one = async (caller: string, name: string) => {
      const end = await turns.take(caller, isSmall);
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
  },
);

test("a small import does not wait for a large one", async () => {
  const turns = new ImportTurns();
  const endLarge = await turns.take("a", false);
  const endSmall = await turns.take("a", true);
  let isRunning = false;
  const next = turns.take("b", false).then((end) => {
    isRunning = true;
    return end;
  });
  endSmall();
  await Promise.resolve();
  expect(isRunning).toBe(false);
  endLarge();
  (await next)();
  expect(isRunning).toBe(true);
});
