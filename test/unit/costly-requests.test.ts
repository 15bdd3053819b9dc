import { describe, expect, test } from "vitest";
import { CostlyRequests } from "../../controller/auth/costly-requests.ts";

const limits = {
  look: { running: 2, waiting: 3, total: 4 },
  bulk: { running: 1, waiting: 0, total: 2 },
} as const;

function setUp() {
  const requests = new CostlyRequests(limits);
  const started: string[] = [];
  /** @returns a callback that ends it, or undefined if it is refused */
  const enter = (identity: string, name: string, cost: "look" | "bulk" = "look") => {
    let end = (): void => {};
    const turn = requests.enter(cost, identity, (listener) => {
      end = listener;
    });
    void turn?.then(() => started.push(name));
    return turn && (() => end());
  };
  /** All settled promises have been handled. */
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { enter, started, settle };
}

describe("costly requests", () => {
  test("of one identity run two at a time, some wait, and the rest are refused", async () => {
    const { enter, started, settle } = setUp();
    const ends = ["1", "2", "3", "4", "5", "6"].map((name) => enter("a", name));
    await settle();
    expect(started).toEqual(["1", "2"]);
    expect(ends.map((end) => end !== undefined)).toEqual([true, true, true, true, true, false]);
    ends[1]?.();
    await settle();
    expect(started).toEqual(["1", "2", "3"]);
  });

  test("alternate between identities when all places are taken", async () => {
    const { enter, started, settle } = setUp();
    const first = ["a1", "a2", "a3", "a4"].map((name) => enter("a", name));
    const second = ["b1", "b2", "b3"].map((name) => enter("b", name));
    enter("c", "c1");
    await settle();
    expect(started).toEqual(["a1", "a2", "b1", "b2"]);
    first[0]?.();
    second[0]?.();
    await settle();
    expect(started.slice(4)).toContain("c1");
  });

  test("that are cancelled before they start make room, and ending twice frees one place", async () => {
    const { enter, started, settle } = setUp();
    const ends = ["1", "2", "3", "4", "5"].map((name) => enter("a", name));
    ends[2]?.();
    ends[0]?.();
    ends[0]?.();
    await settle();
    expect(started).toEqual(["1", "2", "4"]);
    expect(enter("a", "6")).toBeDefined();
  });

  test("of one kind do not wait for another, and a bulk is refused at once", async () => {
    const { enter, started, settle } = setUp();
    enter("a", "export", "bulk");
    expect(enter("a", "another", "bulk")).toBeUndefined();
    enter("a", "look");
    expect(enter("b", "import", "bulk")).toBeDefined();
    await settle();
    expect(started).toEqual(["export", "look", "import"]);
  });
});
