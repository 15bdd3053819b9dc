import { describe, expect, test } from "vitest";
import { Crowds, crowdedMs } from "../../node-agent/misses/crowds.ts";

const allowance = { perSecond: 100, burst: 200 };

/** @returns how many of the misses, `everyMs` apart, began a crowd */
const miss = (crowds: Crowds, name: string, times: number, everyMs = 0, fromMs = 0): number =>
  Array.from({ length: times }, (_, i) => crowds.count(name, fromMs + i * everyMs)).filter(Boolean).length;

describe("crowds", () => {
  test("a burst within the allowance, and a steady rate within it, are not crowds", () => {
    const crowds = new Crowds(allowance);
    expect(miss(crowds, "l3miss 100", 200)).toBe(0);
    expect(miss(crowds, "l3miss 200", 2_000, 10)).toBe(0);
    expect(crowds.list()).toEqual([]);
  });

  test("more than that is one, reported once per period", () => {
    const crowds = new Crowds(allowance);
    expect(miss(crowds, "l3miss 100", 1_000)).toBe(1);
    expect(crowds.list()).toEqual(["l3miss 100"]);
    expect(crowds.forget(crowdedMs - 1)).toBe(false);
    expect(crowds.forget(crowdedMs)).toBe(true);
    expect(crowds.list()).toEqual([]);
    expect(miss(crowds, "l3miss 100", 10_000, 0, crowdedMs)).toBe(1);
  });

  test("if misses were lost, the network with most of the others is one, however slowly they were read", () => {
    const crowds = new Crowds(allowance);
    miss(crowds, "l3miss 100", 90);
    miss(crowds, "l3miss 200", 10);
    expect(crowds.look(true, 0)).toBe("l3miss 100");
    expect(crowds.list()).toEqual(["l3miss 100"]);
    miss(crowds, "l3miss 100", 90);
    expect(crowds.look(true, 1)).toBeUndefined();
  });

  test("several are found in successive checks, as long as misses are lost", () => {
    const crowds = new Crowds(allowance);
    const look = (atMs: number) => {
      const left = [100, 200, 300].filter((vni) => !crowds.list().includes(`l3miss ${vni}`));
      for (const vni of left) miss(crowds, `l3miss ${vni}`, 65, 1, atMs);
      return crowds.look(true, atMs + 250);
    };
    const found = [look(10_000), look(20_000), look(30_000)];
    expect(found.sort()).toEqual(["l3miss 100", "l3miss 200", "l3miss 300"]);
  });

  test("the one with the most misses is the crowd, whichever was read first", () => {
    for (const names of [
      ["l3miss 100", "l3miss 200"],
      ["l3miss 200", "l3miss 100"],
    ]) {
      const crowds = new Crowds(allowance);
      for (const name of names) miss(crowds, name, name === "l3miss 200" ? 90 : 70);
      expect(crowds.look(true, 0)).toBe("l3miss 200");
    }
  });

  test("64 misses are enough for one, and without any there is none", () => {
    const crowds = new Crowds(allowance);
    expect(crowds.look(true, 0)).toBeUndefined();
    miss(crowds, "l3miss 100", 63);
    expect(crowds.look(true, 0)).toBeUndefined();
    miss(crowds, "l3miss 100", 64);
    expect(crowds.look(true, 0)).toBe("l3miss 100");
  });

  test("the allowance of every network is 8,192 misses at once, and 4,000 a second", () => {
    const crowds = new Crowds();
    expect(miss(crowds, "l3miss 100", 8_192)).toBe(0);
    expect(miss(crowds, "l3miss 100", 4_000, 0, 1_000)).toBe(0);
    expect(miss(crowds, "l3miss 100", 1, 0, 1_000)).toBe(1);
  });

  test("no network is one if none were lost, or few were read", () => {
    const crowds = new Crowds(allowance);
    miss(crowds, "l3miss 100", 90);
    expect(crowds.look(false, 0)).toBeUndefined();
    miss(crowds, "l3miss 100", 60);
    expect(crowds.look(true, 0)).toBeUndefined();
    expect(crowds.list()).toEqual([]);
  });
});
