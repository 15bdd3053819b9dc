// Which keys a host must forget that has a network since a position, and when that is not known any more.
import { expect, test } from "vitest";
import { RemovedKeys } from "../../controller/agents/removed-keys.ts";
import type { BindingKey } from "../../schema/address/index.ts";
import { ip, rev, vni } from "../support/addresses.ts";

const key = (n: number, on = 100): BindingKey => ({ kind: "ip", vni: vni(on), ip: ip(`10.0.0.${n}`) });

test("the keys of the network that were removed behind the position", () => {
  const removed = new RemovedKeys(rev(10));
  removed.add(key(1), rev(11));
  removed.add(key(2, 200), rev(12));
  removed.add(key(3), rev(13));
  expect(removed.find(vni(100), rev(10))).toEqual([key(1), key(3)]);
  expect(removed.find(vni(100), rev(11))).toEqual([key(3)]);
  expect(removed.find(vni(100), rev(13))).toEqual([]);
});

test("unknown before the start, and before what has been dropped", () => {
  const removed = new RemovedKeys(rev(10), 2);
  expect(removed.find(vni(100), rev(9))).toBeUndefined();
  for (const n of [1, 2, 3, 4]) removed.add(key(n), rev(10 + n));
  expect(removed.find(vni(100), rev(11))).toBeUndefined();
  expect(removed.find(vni(100), rev(12))).toEqual([key(3), key(4)]);
});

test("a revision of which a part has been dropped is unknown", () => {
  const removed = new RemovedKeys(rev(10), 2);
  for (const n of [1, 2, 3, 4]) removed.add(key(n), rev(11));
  expect(removed.find(vni(100), rev(10))).toBeUndefined();
  expect(removed.find(vni(100), rev(11))).toEqual([]);
});
