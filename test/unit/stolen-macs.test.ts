// When guests that send with the MAC of another host's VM are a condition, and when they are stragglers of a migration.
import { expect, test } from "vitest";
import { StolenMacs } from "../../node-agent/tables/stolen-macs.ts";
import { mac, vni } from "../support/addresses.ts";

const blue = vni(100);
const stolen = { vni: blue, mac: mac("52:54:00:00:00:02"), portIfindex: 7 };
const always = () => true;

test("a MAC that comes again five seconds later is one, until it is quiet for five minutes", () => {
  const macs = new StolenMacs();
  macs.note(stolen, 0);
  expect(macs.list(always, 1_000)).toEqual([]);
  macs.note(stolen, 4_999);
  expect(macs.list(always, 4_999)).toEqual([]);
  macs.note({ ...stolen, portIfindex: 8 }, 5_000);
  expect(macs.list(always, 5_000)).toMatchObject([{ ...stolen, portIfindex: 8 }]);
  expect(macs.list(always, 304_999)).toHaveLength(1);
  expect(macs.list(always, 305_000)).toEqual([]);
});

test("frames that come minutes apart are none: each may be the last of a VM that has moved away", () => {
  const macs = new StolenMacs();
  for (const atMs of [0, 60_000, 120_000, 180_000]) macs.note(stolen, atMs);
  expect(macs.list(always, 180_000)).toEqual([]);
  macs.note(stolen, 239_999);
  expect(macs.list(always, 239_999)).toHaveLength(1);
});

test("what is registered here by now is none", () => {
  const macs = new StolenMacs();
  macs.note(stolen, 0);
  macs.note(stolen, 6_000);
  expect(macs.list(() => false, 6_000)).toEqual([]);
  expect(macs.list(({ vni: on, mac: of }) => on === blue && of === stolen.mac, 6_000)).toHaveLength(1);
});

test("of any number of MACs 256 are kept, and others once these are quiet", () => {
  const macs = new StolenMacs();
  const numbered = (n: number) => ({
    ...stolen,
    mac: mac(`52:54:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`),
  });
  for (const atMs of [0, 6_000]) for (let n = 0; n < 300; n++) macs.note(numbered(n), atMs);
  expect(macs.list(always, 6_000)).toHaveLength(256);
  for (const atMs of [306_000, 312_000]) macs.note(numbered(299), atMs);
  expect(macs.list(always, 312_000)).toMatchObject([numbered(299)]);
});
