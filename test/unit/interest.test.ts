import { describe, expect, test } from "vitest";
import { InterestIndex } from "../../controller/agents/interest.ts";
import type { Answer, Binding, BindingKey } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const red = vni(200);
const ipKey = (n: number, network = blue): BindingKey => ({ kind: "ip", vni: network, ip: ip(`10.0.0.${n}`) });
const macKey = (n: number, network = blue): BindingKey => ({
  kind: "mac",
  vni: network,
  mac: mac(`52:54:00:00:00:0${n}`),
});

const holders = (index: InterestIndex, key: BindingKey) => [...index.holdersOf(key)].sort();

describe("an answer that a host has", () => {
  const binding = (n: number, local = false): Binding => ({
    mac: mac(`52:54:00:00:00:0${n}`),
    host: "b",
    vtep: vtep("192.0.2.2"),
    vtepPort: 4789,
    ...(local ? { local } : {}),
  });
  const answer = (key: BindingKey, to: Binding | null): Answer => ({ key, revision: rev(1), binding: to });

  test("for an IP reveals its MAC, for a MAC nothing more", () => {
    const index = new InterestIndex();
    index.holdAnswer("a", answer(ipKey(1), binding(2)), { asked: true });
    expect([index.knows("a", ipKey(1)), index.knows("a", macKey(2)), index.size]).toEqual([true, true, 2]);
    index.holdAnswer("b", answer(macKey(3), binding(4)), { asked: false });
    expect([index.knows("b", macKey(3)), index.knows("b", macKey(4)), index.size]).toEqual([true, false, 3]);
  });

  test("that nothing is registered is interest in the key, and no knowledge", () => {
    const index = new InterestIndex();
    index.holdAnswer("a", answer(ipKey(1), null), { asked: true });
    expect([holders(index, ipKey(1)), index.knows("a", ipKey(1)), index.size]).toEqual([["a"], false, 1]);
  });

  test("about its own VM is recorded only if it asked", () => {
    const index = new InterestIndex();
    index.holdAnswer("a", answer(macKey(1), binding(1, true)), { asked: false });
    expect(index.size).toBe(0);
    index.holdAnswer("a", answer(macKey(1), binding(1, true)), { asked: true });
    expect(holders(index, macKey(1))).toEqual(["a"]);
  });
});

describe("the holders of a key", () => {
  test("are the hosts that were notified of it and have not released it", () => {
    const index = new InterestIndex();
    expect(holders(index, ipKey(1))).toEqual([]);
    index.hold("a", ipKey(1), true, true);
    index.hold("b", ipKey(1), true, false);
    index.hold("b", macKey(1), true, false);
    expect(holders(index, ipKey(1))).toEqual(["a", "b"]);
    expect(holders(index, macKey(1))).toEqual(["b"]);
    expect(holders(index, ipKey(1, red))).toEqual([]);
    index.release("a", ipKey(1));
    expect(holders(index, ipKey(1))).toEqual(["b"]);
    index.release("b", ipKey(1));
    expect(holders(index, ipKey(1))).toEqual([]);
    expect(holders(index, macKey(1))).toEqual(["b"]);
  });

  test("are counted once for each host and key, however often the host is notified", () => {
    const index = new InterestIndex();
    for (const host of ["a", "a", "b"]) index.hold(host, ipKey(1), true, true);
    index.hold("a", ipKey(2), false, true);
    expect(index.size).toBe(3);
    for (let i = 0; i < 2; i++) index.release("a", ipKey(1));
    expect(index.size).toBe(2);
    index.forget("a");
    expect(index.size).toBe(1);
  });

  test("stay as they are when a host releases what it does not hold", () => {
    const index = new InterestIndex();
    index.hold("a", ipKey(1), true, true);
    index.release("b", ipKey(1));
    index.hold("b", ipKey(2), true, true);
    index.release("b", ipKey(1));
    expect(holders(index, ipKey(1))).toEqual(["a"]);
    expect(index.size).toBe(2);
  });

  test("leave no trace when the last one has gone", () => {
    const index = new InterestIndex();
    index.hold("a", ipKey(1), true, true);
    index.hold("b", ipKey(1), true, true);
    index.release("a", ipKey(1));
    index.release("b", ipKey(1));
    // Otherwise the memory of the controller grows with every key that was ever asked for.
    expect((index as unknown as { keys: { size: number } }).keys.size).toBe(0);
  });
});

describe("a host knows", () => {
  test("an answer, and no tombstone, although it gets the changes of both", () => {
    const index = new InterestIndex();
    expect(index.knows("a", ipKey(1))).toBe(false);
    index.hold("a", ipKey(1), true, true);
    index.hold("a", ipKey(2), false, true);
    expect(index.knows("a", ipKey(1))).toBe(true);
    expect(index.knows("a", ipKey(2))).toBe(false);
    expect(index.knows("b", ipKey(1))).toBe(false);
    expect(holders(index, ipKey(2))).toEqual(["a"]);
  });

  test("what was registered after its question, and no longer what it released", () => {
    const index = new InterestIndex();
    index.hold("a", ipKey(1), false, true);
    index.hold("a", ipKey(1), true, false);
    expect(index.knows("a", ipKey(1))).toBe(true);
    index.release("a", ipKey(1));
    expect(index.knows("a", ipKey(1))).toBe(false);
  });

  test("the MACs whose answers it has, in this network alone", () => {
    const index = new InterestIndex();
    expect([...index.macsKnownTo("a", blue)]).toEqual([]);
    index.hold("a", macKey(1), true, true);
    index.hold("a", macKey(2), false, true);
    index.hold("a", ipKey(3), true, true);
    index.hold("a", macKey(4, red), true, true);
    index.hold("b", macKey(5), true, true);
    expect([...index.macsKnownTo("a", blue)]).toEqual([mac("52:54:00:00:00:01")]);
    expect([...index.macsKnownTo("c", blue)]).toEqual([]);
  });
});

describe("beyond the limit of tombstones", () => {
  const full = () => {
    const index = new InterestIndex(2);
    index.hold("a", ipKey(1), false, true);
    index.hold("a", ipKey(2), false, true);
    return index;
  };
  const overflown = (index: InterestIndex) => [...index.overflownIn(blue)];

  test("a host that asked gets every new binding of the network instead", () => {
    const index = full();
    expect(overflown(index)).toEqual([]);
    index.hold("a", ipKey(3), false, true);
    expect(holders(index, ipKey(3))).toEqual([]);
    expect(overflown(index)).toEqual(["a"]);
    expect([...index.overflownIn(red)]).toEqual([]);
  });

  test("a tombstone that the host did not ask for is not recorded, and nothing is promised", () => {
    const index = full();
    index.hold("a", ipKey(3), false, false);
    expect(holders(index, ipKey(3))).toEqual([]);
    expect(overflown(index)).toEqual([]);
    expect(index.size).toBe(2);
  });

  test("a deleted binding of the host is promised still", () => {
    const index = full();
    index.hold("a", ipKey(3), true, true);
    index.hold("a", ipKey(3), false, false);
    expect(index.knows("a", ipKey(3))).toBe(false);
    expect(holders(index, ipKey(3))).toEqual([]);
    expect(overflown(index)).toEqual(["a"]);
  });

  test("bindings and repetitions need no room", () => {
    const index = full();
    index.hold("a", ipKey(2), false, true);
    index.hold("a", ipKey(3), true, true);
    expect(overflown(index)).toEqual([]);
    expect(holders(index, ipKey(2))).toEqual(["a"]);
    expect(index.knows("a", ipKey(2))).toBe(false);
    expect(holders(index, ipKey(3))).toEqual(["a"]);
  });

  test.each<[string, (index: InterestIndex) => void]>([
    ["released", (index) => index.release("a", ipKey(1))],
    ["answered", (index) => index.hold("a", ipKey(1), true, false)],
  ])("a tombstone that is %s makes room for another", (_, make) => {
    const index = full();
    make(index);
    index.hold("a", ipKey(3), false, true);
    expect(holders(index, ipKey(3))).toEqual(["a"]);
    expect(overflown(index)).toEqual([]);
  });

  test("each host and network has room of its own", () => {
    const index = full();
    index.hold("b", ipKey(3), false, true);
    index.hold("a", ipKey(3, red), false, true);
    expect(overflown(index)).toEqual([]);
    expect(index.size).toBe(4);
  });
});

describe("interest ends", () => {
  const told = () => {
    const index = new InterestIndex(1);
    index.hold("a", ipKey(1), true, true);
    index.hold("a", ipKey(2), false, true);
    index.hold("a", ipKey(3), false, true);
    index.hold("a", ipKey(1, red), true, true);
    index.hold("b", ipKey(1), true, true);
    return index;
  };

  test("in a network that a host has left, and nowhere else", () => {
    const index = told();
    index.revoke("a", blue);
    index.revoke("c", blue);
    expect(holders(index, ipKey(1))).toEqual(["b"]);
    expect(holders(index, ipKey(2))).toEqual([]);
    expect([...index.overflownIn(blue)]).toEqual([]);
    expect(index.knows("a", ipKey(1, red))).toBe(true);
    expect(index.size).toBe(2);
    // A host that comes back has all its room again.
    index.hold("a", ipKey(4), false, true);
    expect(holders(index, ipKey(4))).toEqual(["a"]);
  });

  test("for a host that is deleted, in all networks, and its declaration is void", () => {
    const index = told();
    index.markDeclared("a");
    index.markDeclared("b");
    index.forget("a");
    expect(holders(index, ipKey(1))).toEqual(["b"]);
    expect(holders(index, ipKey(1, red))).toEqual([]);
    expect([...index.overflownIn(blue)]).toEqual([]);
    expect([index.hasDeclared("a"), index.hasDeclared("b")]).toEqual([false, true]);
    expect(index.size).toBe(1);
    index.hold("a", ipKey(4), false, true);
    expect(holders(index, ipKey(4))).toEqual(["a"]);
  });

  test("key by key while a host declares itself again, and its declaration at once", () => {
    const index = told();
    index.markDeclared("a");
    const steps = index.forgetting("a");
    steps.next();
    expect(index.hasDeclared("a")).toBe(false);
    expect(index.size).toBe(4);
    steps.next();
    expect(index.size).toBe(3);
    for (const _ of steps);
    expect(index.size).toBe(1);
  });
});

describe("a host whose interest is forgotten step by step", () => {
  const hold = (index: InterestIndex, host: string, ...keys: readonly BindingKey[]) => {
    for (const key of keys) index.hold(host, key, true, true);
  };
  const all = Array.from({ length: 60 }, (_, n) => ipKey(n + 1));

  test("has none of its keys left, nor those that came in between", () => {
    const index = new InterestIndex();
    hold(index, "a", ...all);
    hold(index, "b", ipKey(1));
    const steps = index.forgetting("a");
    for (let i = 0; i < 30; i++) steps.next();
    hold(index, "a", ipKey(200));
    for (const _ of steps);
    expect([...all, ipKey(200)].flatMap((key) => holders(index, key))).toEqual(["b"]);
    expect(index.size).toBe(1);
  });

  test("keeps the keys that came after a revocation in between", () => {
    const index = new InterestIndex();
    hold(index, "a", ...all);
    const steps = index.forgetting("a");
    steps.next();
    index.revoke("a", blue);
    hold(index, "a", ipKey(3));
    for (const _ of steps);
    expect([holders(index, ipKey(3)), index.size]).toEqual([["a"], 1]);
  });

  test("may release keys in between, whose ids become those of others", () => {
    const index = new InterestIndex();
    hold(index, "a", ...all);
    const steps = index.forgetting("a");
    steps.next();
    index.release("a", ipKey(50));
    for (const _ of steps);
    hold(index, "b", ipKey(101));
    hold(index, "c", ipKey(102));
    expect([holders(index, ipKey(101)), holders(index, ipKey(102)), index.size]).toEqual([["b"], ["c"], 2]);
  });

  test("is forgotten whole where it had released many keys, and others had their ids", () => {
    const index = new InterestIndex();
    hold(index, "a", ...all);
    for (const key of all.slice(0, 40)) index.release("a", key);
    hold(index, "b", ...all.slice(0, 10));
    hold(index, "a", ipKey(201), ipKey(202));
    expect(index.size).toBe(32);
    index.forget("a");
    expect([index.size, holders(index, ipKey(60)), holders(index, ipKey(202))]).toEqual([10, [], []]);
  });
});

test("memory of the logs and of the hosts' names is that of the present keys, however many came and went", () => {
  const index = new InterestIndex();
  const { logs, hosts } = index as unknown as { logs: { room: number }; hosts: { find(name: string): number } };
  const many = Array.from(
    { length: 500 },
    (_, n) => ({ kind: "ip", vni: blue, ip: ip(`10.1.${n >> 8}.${n & 255}`) }) as const,
  );
  index.hold("a", macKey(1), true, true);
  // Another host keeps them, so that their ids are not those of later ones.
  for (const key of many) index.hold("b", key, true, true);
  const ofOther = logs.room;
  for (const key of many) {
    index.hold("a", key, true, true);
    index.release("a", key);
  }
  expect(logs.room - ofOther).toBeLessThan(100);
  index.forget("b");
  index.forget("a");
  expect(logs.room).toBe(0);
  expect(hosts.find("a")).toBe(-1);
});
