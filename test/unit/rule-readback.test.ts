// Rules as nft shows them: what frames leave in a table is no change of its rules.
import { expect, test } from "vitest";
import { readTable } from "../../node-agent/guard/readback.ts";

const table = (...offenders: object[]) => {
  // The order of nft 1.0.6: elements stand before the statement of their set, and nothing in their place where there are none.
  const elem = offenders.length > 0 ? { elem: offenders } : {};
  const set = {
    family: "bridge",
    name: "offenders",
    table: "nearmiss",
    type: "ifname",
    handle: 15,
    timeout: 3600,
    ...elem,
  };
  return readTable(
    JSON.stringify({
      nftables: [
        { counter: { name: "dropped_mac", packets: offenders.length } },
        { set: { ...set, stmt: [{ counter: null }] } },
        { set: { family: "bridge", name: "macs", table: "nearmiss", elem: [["vnet0", "52:54:00:00:00:01"]] } },
      ],
    }),
  );
};

test("the first frame that a set of offenders counts is not taken for another program's change", () => {
  const [before, after] = [table(), table({ elem: { val: "vnet0", counter: { packets: 7, bytes: 294 } } })];
  expect(after.offenders).toEqual(new Map([["vnet0", 7]]));
  expect(after.dropped).toEqual(new Map([["mac", 1]]));
  expect(after.fingerprint).toBe(before.fingerprint);
});
