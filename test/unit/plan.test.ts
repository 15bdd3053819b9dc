// From actual to desired entries, place by place: which operation, and in which order.
import { describe, expect, test } from "vitest";
import { isCrowded, LastUse, readAgesEveryMs } from "../../node-agent/tables/ageing.ts";
import { compare, type Desired, nothingDesired, repairOf } from "../../node-agent/tables/comparison.ts";
import { type ActualEntry, broadcastMac, type Entry, entryKey, sameEntry } from "../../node-agent/tables/entry.ts";
import { byKey, operationAt, plan, rankOf } from "../../node-agent/tables/plan.ts";
import { ip, mac, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const one = mac("52:54:00:00:00:01");
const two = mac("52:54:00:00:00:02");
const tunnel = { kind: "tunnel", vni: blue, mac: one, vtep: vtep("192.0.2.1"), vtepPort: 4789 } as const;
const bridge = { kind: "bridge", vni: blue, mac: one } as const;
const neighbour = { kind: "neighbour", vni: blue, ip: ip("10.0.0.1"), mac: one } as const;
const broadcast = { kind: "broadcast", vni: blue, mac: broadcastMac, vtep: vtep("192.0.2.1"), vtepPort: 4789 } as const;
const ours = (entry: Entry): ActualEntry => ({ entry, own: true, lasting: true });

describe("an entry", () => {
  test("has a place of its own by kind, network and address", () => {
    expect([tunnel, bridge, neighbour].map(entryKey)).toEqual([
      "tunnel 100 52:54:00:00:00:01",
      "bridge 100 52:54:00:00:00:01",
      "neighbour 100 10.0.0.1",
    ]);
  });

  test.each<[Entry, Entry]>([
    [tunnel, { ...tunnel, vni: vni(200) }],
    [tunnel, { ...tunnel, mac: two }],
    [tunnel, { ...tunnel, vtep: vtep("192.0.2.2") }],
    [tunnel, { ...tunnel, vtepPort: 8472 }],
    [tunnel, { ...tunnel, router: true }],
    [tunnel, bridge],
    [bridge, tunnel],
    [bridge, { ...bridge, mac: two }],
    [bridge, { ...bridge, vni: vni(200) }],
    [neighbour, { ...neighbour, mac: two }],
    [neighbour, { ...neighbour, ip: ip("10.0.0.2") }],
    [neighbour, bridge],
    [bridge, neighbour],
    [neighbour, tunnel],
    [tunnel, neighbour],
  ])("differs by each of its values: %j, %j", (a, b) => {
    expect(sameEntry(a, b)).toBe(false);
    for (const each of [a, b]) expect(sameEntry(each, { ...each })).toBe(true);
  });
});

describe("the operation of a place", () => {
  const put = (entry: Entry, anew?: true) => ({ verb: "put", entry, ...(anew ? { anew } : {}) });

  test("is none where the desired entry stands, or nothing is desired and nothing of ours stands", () => {
    for (const entry of [tunnel, bridge, neighbour]) expect(operationAt(entry, ours(entry))).toBeUndefined();
    expect(operationAt(undefined, { ...ours(tunnel), own: false })).toBeUndefined();
    expect(operationAt(undefined, undefined)).toBeUndefined();
  });

  test("deletes what is ours and not desired, and puts what is not there", () => {
    expect(operationAt(undefined, ours(tunnel))).toEqual({ verb: "delete", entry: tunnel });
    for (const entry of [tunnel, bridge, neighbour]) expect(operationAt(entry, undefined)).toStrictEqual(put(entry));
  });

  test("puts anew where the kernel keeps flags: FDB entries of others, that age, or of another router flag", () => {
    for (const entry of [tunnel, bridge]) {
      expect(operationAt(entry, { ...ours(entry), own: false })).toStrictEqual(put(entry, true));
      expect(operationAt(entry, { ...ours(entry), lasting: false })).toStrictEqual(put(entry, true));
    }
    const router = { ...tunnel, router: true } as const;
    expect(operationAt(router, ours(tunnel))).toStrictEqual(put(router, true));
    expect(operationAt(tunnel, ours(router))).toStrictEqual(put(tunnel, true));
  });

  test("puts in place what the kernel changes in place: a tunnel's VTEP, and all of a neighbour", () => {
    const moved = { ...tunnel, vtep: vtep("192.0.2.2") };
    expect(operationAt(moved, ours(tunnel))).toStrictEqual(put(moved));
    const router = { ...tunnel, router: true } as const;
    expect(operationAt({ ...router, vtepPort: 8472 }, ours(router))).toStrictEqual(put({ ...router, vtepPort: 8472 }));
    const other = { ...neighbour, mac: two };
    for (const actual of [ours(other), { ...ours(neighbour), own: false }, { ...ours(neighbour), lasting: false }]) {
      expect(operationAt(neighbour, actual)).toStrictEqual(put(neighbour));
    }
  });
});

describe("a plan", () => {
  test("puts a MAC's entries before neighbours, and deletes them after; puts come first", () => {
    const second = [
      { ...tunnel, mac: two },
      { ...bridge, mac: two },
      { ...neighbour, ip: ip("10.0.0.2"), mac: two },
      { ...broadcast, vtep: vtep("192.0.2.2") },
    ];
    const actual = new Map(second.map((entry) => [entryKey(entry), ours(entry)]));
    const operations = plan(byKey([broadcast, neighbour, bridge, tunnel]), actual);
    expect(operations.map(({ verb, entry }) => `${verb} ${entry.kind}`)).toEqual([
      "put tunnel",
      "put bridge",
      "put neighbour",
      "put broadcast",
      "delete broadcast",
      "delete neighbour",
      "delete bridge",
      "delete tunnel",
    ]);
    expect(operations.map(rankOf)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("leaves what stands, and what is not ours", () => {
    const actual = new Map([
      [entryKey(tunnel), ours(tunnel)],
      [entryKey(bridge), { ...ours(bridge), own: false }],
    ]);
    expect(plan(byKey([tunnel]), actual)).toEqual([]);
  });
});

describe("a comparison", () => {
  const desiredOf = (...entries: Entry[]): Desired => {
    const all = byKey(entries);
    return { entryAt: (place) => all.get(entryKey(place)), entries: () => all.values() };
  };
  function differences(desired: Desired, actual: readonly ActualEntry[]) {
    const steps = compare(desired, actual);
    for (let pauses = 0; ; pauses++) {
      const step = steps.next();
      if (step.done) return { found: step.value, pauses };
    }
  }

  test("finds each place that differs once, in the order of a plan, and pauses after every entry", () => {
    const old = { ...bridge, mac: two };
    const { found, pauses } = differences(desiredOf(neighbour, bridge, tunnel), [ours(old), ours(tunnel)]);
    expect(found).toEqual([
      { place: bridge, verb: "put", actual: undefined },
      { place: neighbour, verb: "put", actual: undefined },
      { place: old, verb: "delete", actual: ours(old) },
    ]);
    expect(pauses).toBe(2 + 2 + 3);
  });

  test("of a place that the kernel names twice takes the last", () => {
    const moved = { ...tunnel, vtep: vtep("192.0.2.2") };
    expect(differences(desiredOf(tunnel), [ours(moved), ours(tunnel)]).found).toEqual([]);
  });

  test("with nothing desired finds everything of ours", () => {
    expect(differences(nothingDesired, [ours(tunnel), { ...ours(bridge), own: false }]).found).toEqual([
      { place: tunnel, verb: "delete", actual: ours(tunnel) },
    ]);
    expect(differences(nothingDesired, []).found).toEqual([]);
  });

  test("is judged again when it is repaired: by then something else may be desired", () => {
    const [difference] = differences(desiredOf(), [ours(tunnel)]).found;
    if (!difference) throw new Error("no difference");
    expect(repairOf(difference, desiredOf())).toEqual({ verb: "delete", entry: tunnel });
    expect(repairOf(difference, desiredOf(tunnel))).toBeUndefined();
  });
});

describe("ages", () => {
  test("are read so often that an entry stays a sixteenth of the idle time too long, and no longer than a minute", () => {
    expect([readAgesEveryMs(40_000), readAgesEveryMs(600_000), readAgesEveryMs(1_200_000)]).toEqual([
      2_500, 37_500, 60_000,
    ]);
  });

  test("are read more often from seven eighths of a limit on", () => {
    expect([isCrowded(6, 8), isCrowded(7, 8), isCrowded(8, 8)]).toEqual([false, true, true]);
  });

  test("order MACs by their last use, as far as the kernel says more than is known", () => {
    const use = new LastUse();
    use.touch(one, 1_000);
    use.touch(two, 2_000);
    expect(use.oldest()).toEqual({ mac: one, atMs: 1_000 });
    use.learn(
      new Map([
        [one, 500],
        [two, 9_000],
      ]),
      10_000,
    );
    expect(use.oldest()).toEqual({ mac: two, atMs: 2_000 });
    use.touch(two, 11_000);
    expect(use.oldest()).toEqual({ mac: one, atMs: 9_500 });
    use.forget(one);
    expect([use.has(one), use.has(two), use.oldest()]).toEqual([false, true, { mac: two, atMs: 11_000 }]);
  });

  test("of unknown MACs are ignored", () => {
    const use = new LastUse();
    use.learn(new Map([[one, 0]]), 0);
    expect([use.has(one), use.oldest(), use.idle(9_999, 0)]).toEqual([false, undefined, []]);
  });

  test("make those idle that were last used so long ago, to the millisecond", () => {
    const use = new LastUse();
    use.touch(one, 0);
    use.touch(two, 1);
    expect(use.idle(999, 1_000)).toEqual([]);
    expect(use.idle(1_000, 1_000)).toEqual([one]);
    expect(use.idle(1_001, 1_000)).toEqual([one, two]);
  });

  test("survive a snapshot: what was known is as old as it was, and nothing else is taken over", () => {
    const three = mac("52:54:00:00:00:03");
    const earlier = new LastUse();
    earlier.touch(one, 100);
    earlier.touch(three, 50);
    const use = new LastUse();
    use.touch(one, 900);
    use.touch(two, 800);
    use.restore(earlier);
    expect(use.oldest()).toEqual({ mac: one, atMs: 100 });
    expect(use.has(three)).toBe(false);
    expect(use.idle(900, 100)).toEqual([one, two]);
  });
});
