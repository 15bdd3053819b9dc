import { expect, test } from "vitest";
import { Looks } from "../../node-agent/watch/looks.ts";
import { vni } from "../support/addresses.ts";

const networks = Array.from({ length: 10 }, (_, n) => vni(100 + n));
const nothingNew = () => "";

test("a network is looked at when something was heard or registered there", () => {
  const looks = new Looks(10);
  looks.step(networks, nothingNew);
  expect(looks.take()).toEqual(networks);
  expect(looks.take()).toEqual([]);
  looks.mark(vni(107));
  looks.mark(vni(107));
  expect(looks.take()).toEqual([vni(107)]);
  looks.step(networks, (each) => (each === 105 ? "52:54:00:00:00:01" : ""));
  expect(looks.take()).toContain(vni(105));
  looks.step(networks, (each) => (each === 105 ? "52:54:00:00:00:01" : ""));
  expect(looks.take()).not.toContain(vni(105));
});

test("and each in its turn, as many at a time as it takes", () => {
  for (const steps of [1, 3, 10, 30]) {
    const looks = new Looks(steps);
    looks.step(networks, nothingNew);
    looks.take();
    const seen: number[] = [];
    let most = 0;
    for (let step = 0; step < steps; step++) {
      looks.step(networks, nothingNew);
      const taken = looks.take();
      most = Math.max(most, taken.length);
      seen.push(...taken);
    }
    expect(new Set(seen)).toEqual(new Set(networks));
    expect(most).toBe(Math.ceil(networks.length / steps));
  }
});

test("one that has left is new when it comes back", () => {
  const looks = new Looks(30);
  looks.step(networks, nothingNew);
  looks.step([], nothingNew);
  looks.take();
  looks.step([vni(100)], nothingNew);
  expect(looks.take()).toEqual([vni(100)]);
});
