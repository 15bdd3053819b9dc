// What a host makes of the answers that it has: entries, knowledge, keys of its interest, and what it evicts.
import { describe, expect, test } from "vitest";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import type { Answer, Binding, BindingKey, IpAddress, MacAddress } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const red = vni(200);
const macOf = (n: number): MacAddress => mac(`52:54:00:00:00:0${n}`);
const ipOf = (n: number): IpAddress => ip(`10.0.0.${n}`);
const macKey = (n: number, on = blue): BindingKey => ({ kind: "mac", vni: on, mac: macOf(n) });
const ipKey = (n: number, on = blue): BindingKey => ({ kind: "ip", vni: on, ip: ipOf(n) });

const remote = (n: number, more: Partial<Binding> = {}): Binding => ({
  mac: macOf(n),
  host: "b",
  vtep: vtep("192.0.2.2"),
  vtepPort: 4789,
  ...more,
});
const answer = (key: BindingKey, binding: Binding | null, revision = 1): Answer => ({
  key,
  revision: rev(revision),
  binding,
});
const own = answer(macKey(9), remote(9, { host: "a", local: true }));

const tunnel = (n: number, more = {}) => ({
  kind: "tunnel",
  vni: 100,
  mac: macOf(n),
  vtep: "192.0.2.2",
  vtepPort: 4789,
  ...more,
});
const bridge = (n: number) => ({ kind: "bridge", vni: 100, mac: macOf(n) });
const neighbour = (address: number, n: number) => ({ kind: "neighbour", vni: 100, ip: ipOf(address), mac: macOf(n) });

/** Of a network in which the host has a VM of its own. */
function heldWith(...answers: Answer[]): HeldAnswers {
  const held = new HeldAnswers();
  held.take([own, ...answers], 1_000);
  return held;
}

describe("the entries of an answer", () => {
  test("for an address are its neighbour, and tunnel and bridge entry of its MAC; for a MAC only these", () => {
    expect([
      ...heldWith(answer(ipKey(1), remote(1)))
        .desired(blue)
        .values(),
    ]).toStrictEqual([tunnel(1), bridge(1), neighbour(1, 1)]);
    expect([
      ...heldWith(answer(macKey(1), remote(1)))
        .desired(blue)
        .values(),
    ]).toStrictEqual([tunnel(1), bridge(1)]);
  });

  test("to a router say so in the tunnel", () => {
    const held = heldWith(answer(ipKey(1), remote(1, { router: true, vtepPort: 8472 })));
    expect(held.desiredAt({ kind: "tunnel", vni: blue, mac: macOf(1) })).toStrictEqual(
      tunnel(1, { vtepPort: 8472, router: true }),
    );
  });

  test("are found by their place", () => {
    const held = heldWith(answer(ipKey(1), remote(1)));
    expect(held.desiredAt({ kind: "tunnel", vni: blue, mac: macOf(1) })).toStrictEqual(tunnel(1));
    expect(held.desiredAt({ kind: "bridge", vni: blue, mac: macOf(1) })).toStrictEqual(bridge(1));
    expect(held.desiredAt({ kind: "neighbour", vni: blue, ip: ipOf(1) })).toStrictEqual(neighbour(1, 1));
    for (const place of [
      { kind: "tunnel", vni: red, mac: macOf(1) },
      { kind: "tunnel", vni: blue, mac: macOf(2) },
      { kind: "bridge", vni: blue, mac: macOf(9) },
      { kind: "neighbour", vni: blue, ip: ipOf(2) },
    ] as const) {
      expect(held.desiredAt(place)).toBeUndefined();
    }
  });

  test("are none for this host's own VMs and for networks without answers", () => {
    expect(heldWith(answer(ipKey(9), remote(9, { local: true }))).desired(blue).size).toBe(0);
    expect(heldWith().desired(red).size).toBe(0);
    expect(heldWith().desiredOf(red)).toBeUndefined();
    expect(heldWith().vnis()).toEqual([100]);
  });

  test("go when their network is forgotten", () => {
    const held = heldWith(answer(ipKey(1), remote(1)));
    held.forgetNetwork(blue);
    expect([held.vnis(), held.keys(), held.size]).toEqual([[], [], 0]);
  });
});

describe("what is known of an address", () => {
  test("is its entries: of an IP its own neighbour alone, of a MAC all of them", () => {
    const held = heldWith(answer(ipKey(1), remote(1)), answer(ipKey(2), remote(1)));
    expect(held.lookUp(ipKey(1), 0)).toStrictEqual({
      kind: "remote",
      entries: [tunnel(1), bridge(1), neighbour(1, 1)],
    });
    expect(held.lookUp(macKey(1), 0)).toStrictEqual({
      kind: "remote",
      entries: [tunnel(1), bridge(1), neighbour(1, 1), neighbour(2, 1)],
    });
  });

  test("is that its VM is local, that nothing is registered there, or nothing", () => {
    const held = heldWith(answer(ipKey(1), null), answer(ipKey(9), remote(9, { local: true })));
    expect([held.lookUp(macKey(9), 0), held.lookUp(ipKey(9), 0)]).toEqual([{ kind: "local" }, { kind: "local" }]);
    expect(held.lookUp(ipKey(1), 1_500)).toEqual({ kind: "absent", forMs: 500, times: 1 });
    expect(held.lookUp(ipKey(2), 0)).toEqual({ kind: "nothing" });
    expect(held.lookUp(ipKey(1, red), 0)).toEqual({ kind: "nothing" });
  });

  test("counts how often in a row nothing was registered there, from the last time on", () => {
    const held = heldWith(answer(ipKey(1), null));
    held.take([answer(ipKey(1), null, 2)], 2_000);
    expect(held.lookUp(ipKey(1), 2_000)).toEqual({ kind: "absent", forMs: 0, times: 2 });
    held.take([answer(ipKey(1), remote(1), 3)], 3_000);
    held.take([answer(ipKey(1), null, 4)], 4_000);
    expect(held.lookUp(ipKey(1), 4_000)).toEqual({ kind: "absent", forMs: 0, times: 1 });
  });

  test("is no longer that a MAC is unknown when an address leads to it", () => {
    const held = heldWith(answer(macKey(1), null));
    held.take([answer(ipKey(1), remote(1), 2)], 0);
    expect(held.keys()).toEqual([ipKey(1), macKey(9)]);
    expect(held.lookUp(macKey(1), 0).kind).toBe("remote");
  });

  test("can be asked for with revision and time, also for a MAC to which only an address led", () => {
    const held = heldWith(answer(ipKey(1), remote(1, { router: true }), 5), answer(ipKey(2), null, 3));
    const place = { kind: "remote", vtep: "192.0.2.2", vtepPort: 4789, router: true, mac: macOf(1) };
    expect(held.find(ipKey(1))).toStrictEqual({ key: ipKey(1), revision: 5, sinceMs: 1_000, ...place });
    expect(held.find(macKey(1))).toStrictEqual({ key: macKey(1), revision: 5, sinceMs: 1_000, ...place });
    expect(held.find(ipKey(2))).toStrictEqual({ key: ipKey(2), kind: "absent", revision: 3, sinceMs: 1_000 });
    expect(held.find(macKey(9))).toStrictEqual({
      key: macKey(9),
      kind: "local",
      revision: 1,
      sinceMs: 1_000,
      mac: macOf(9),
    });
    expect([held.find(ipKey(3)), held.find(ipKey(1, red))]).toEqual([undefined, undefined]);
  });

  test("is as new as the newer of its two facts, and was sent when its own was", () => {
    const held = heldWith(answer(ipKey(1), remote(1), 5));
    held.take([answer(macKey(1), remote(1, { vtep: vtep("192.0.2.3") }), 7)], 2_000);
    expect(held.find(ipKey(1))).toMatchObject({ revision: 7, sinceMs: 1_000, vtep: "192.0.2.3" });
    expect(held.find(macKey(1))).toMatchObject({ revision: 7, sinceMs: 2_000 });
    held.take([answer(ipKey(3), remote(3), 5)], 2_000);
    held.take([answer(ipKey(4), remote(3), 8)], 2_500);
    expect(held.find(ipKey(3))).toMatchObject({ revision: 8, sinceMs: 2_000 });
    held.take([answer(ipKey(1), remote(1, { vtep: vtep("192.0.2.4") }), 6)], 3_000);
    expect(held.find(ipKey(1))).toMatchObject({ revision: 7, sinceMs: 3_000, vtep: "192.0.2.3" });
  });
});

describe("an answer that is older than the known one", () => {
  test("is dropped, tombstones included; one of the same revision is taken", () => {
    const held = heldWith(answer(ipKey(1), remote(1), 5));
    expect(held.take([answer(ipKey(1), null, 4)], 0).taken).toEqual([]);
    expect(held.take([answer(ipKey(1), remote(2), 4)], 0).taken).toEqual([]);
    expect(held.take([answer(ipKey(1), remote(1), 5)], 0).taken).toHaveLength(1);
    const gone = heldWith(answer(ipKey(1), null, 5));
    expect(gone.take([answer(ipKey(1), remote(1), 4)], 0).taken).toEqual([]);
    expect(gone.take([answer(ipKey(1), remote(1), 5)], 0).taken).toHaveLength(1);
  });

  test("releases nothing: the host has no interest in the MAC that it names", () => {
    const held = heldWith(answer(ipKey(1), remote(1), 5));
    expect(held.take([answer(ipKey(1), remote(2), 4)], 0).released).toEqual([]);
  });

  test("is none in a network without a VM of this host, where tombstones are not kept", () => {
    expect(heldWith().take([answer(ipKey(1, red), null)], 0).taken).toEqual([]);
  });

  test("of the same address moves no VM back that the controller has moved on", () => {
    const held = heldWith(answer(ipKey(1), remote(1), 3));
    held.take([answer(macKey(1), remote(1, { vtep: vtep("192.0.2.3") }), 5)], 0, "told");
    held.take([answer(ipKey(1), remote(1), 4)], 0);
    expect(held.desiredAt({ kind: "tunnel", vni: blue, mac: macOf(1) })).toMatchObject({ vtep: "192.0.2.3" });
  });

  test("moves no VM back that another answer has moved on", () => {
    const held = heldWith(answer(macKey(1), remote(1, { vtep: vtep("192.0.2.3") }), 5));
    held.take([answer(ipKey(1), remote(1), 4)], 0);
    expect(held.desiredAt({ kind: "tunnel", vni: blue, mac: macOf(1) })).toMatchObject({ vtep: "192.0.2.3" });
    expect(held.desiredAt({ kind: "neighbour", vni: blue, ip: ipOf(1) })).toBeDefined();
  });
});

describe("the interest of this host", () => {
  test("is every address that it asked for or was sent, and no MAC that only an address led to", () => {
    const held = heldWith(answer(ipKey(1), remote(1)), answer(macKey(2), remote(2)), answer(ipKey(3), null));
    expect(held.keys()).toEqual([ipKey(1), macKey(9), macKey(2), ipKey(3)]);
  });

  test("includes a MAC that was sent alone, or that was asked for after an address had led to it", () => {
    const held = new HeldAnswers();
    held.take([own], 0);
    held.take([answer(macKey(1), remote(1))], 0, "told");
    held.take([answer(ipKey(2), remote(2))], 0, "told");
    held.take([answer(macKey(2), remote(2))], 0, "told");
    expect(held.keys()).toEqual([ipKey(2), macKey(9), macKey(1)]);
    held.take([answer(macKey(2), remote(2))], 0, "asked");
    expect(held.keys()).toEqual([ipKey(2), macKey(9), macKey(1), macKey(2)]);
    // An interface of this host is always of interest.
    held.take([answer(ipKey(3), remote(3, { local: true }))], 0, "told");
    held.take([answer(macKey(3), remote(3, { local: true }))], 0, "told");
    expect(held.keys()).toContainEqual(macKey(3));
  });

  test("ends for a MAC with the last address that led to it", () => {
    const held = heldWith(answer(ipKey(1), remote(1)), answer(ipKey(2), remote(1)));
    const first = held.take([answer(ipKey(1), remote(2), 2)], 0);
    expect(first.released).toEqual([]);
    const second = held.take([answer(ipKey(2), remote(2), 2)], 0);
    expect(second.released).toEqual([macKey(1)]);
    expect(second.operations.map(({ verb, entry }) => `${verb} ${entry.kind}`)).toEqual([
      "put neighbour",
      "delete bridge",
      "delete tunnel",
    ]);
  });

  test("does not end for a MAC that was asked for by itself", () => {
    const held = heldWith(answer(macKey(1), remote(1)), answer(ipKey(1), remote(1)));
    expect(held.take([answer(ipKey(1), remote(2), 2)], 0).released).toEqual([]);
    expect(held.lookUp(macKey(1), 0).kind).toBe("remote");
  });

  test("ends for what was sent unasked and has no room, with the MAC behind it", () => {
    const held = new HeldAnswers({ perNetwork: 2, perHost: 99 });
    held.take([own, answer(ipKey(1), remote(1))], 0);
    expect(held.take([answer(ipKey(2), remote(2))], 0, "told").released).toEqual([ipKey(2), macKey(2)]);
    expect(held.take([answer(macKey(2), remote(2))], 0, "told").released).toEqual([macKey(2)]);
    expect(held.take([answer(ipKey(1), remote(1), 2)], 0, "told").taken).toHaveLength(1);
    expect(held.take([answer(ipKey(2), remote(1))], 0, "told")).toMatchObject({ taken: [], released: [ipKey(2)] });
    expect(held.take([answer(ipKey(3), null)], 0, "told").taken).toHaveLength(1);
    expect(held.take([answer(ipKey(4), remote(4, { local: true }))], 0, "told").taken).toHaveLength(1);
  });

  test("has room for one more MAC where an address with its MAC has none", () => {
    const held = new HeldAnswers({ perNetwork: 3, perHost: 99 });
    held.take([own, answer(ipKey(1), remote(1))], 0);
    expect(held.take([answer(ipKey(2), remote(2))], 0, "told").taken).toEqual([]);
    expect(held.take([answer(macKey(2), remote(2))], 0, "told").taken).toHaveLength(1);
  });

  test("has room of the host too, to the last address", () => {
    const held = new HeldAnswers({ perNetwork: 99, perHost: 3 });
    held.take([own, answer(ipKey(1), remote(1))], 0);
    expect(held.take([answer(ipKey(2), remote(2))], 0, "told").taken).toEqual([]);
    expect(held.take([answer(ipKey(2), remote(1))], 0, "told").taken).toHaveLength(1);
    expect(held.size).toBe(3);
  });
});

describe("addresses whose MAC changes", () => {
  test("are named, so that guests learn it: with the new MAC, and whether it is a router's", () => {
    const held = heldWith(answer(ipKey(1), remote(1)), answer(ipKey(2), remote(2)));
    const { changedMacs } = held.take(
      [
        answer(ipKey(1), remote(3, { router: true }), 2),
        answer(ipKey(2), remote(2), 2),
        answer(ipKey(4), remote(4), 2),
      ],
      0,
    );
    expect(changedMacs).toEqual([{ vni: 100, ip: "10.0.0.1", mac: macOf(3), router: true }]);
    expect(held.take([answer(ipKey(1), remote(4), 3)], 0).changedMacs).toMatchObject([{ router: false }]);
  });

  test("are not named for an answer that was not taken, or for a MAC", () => {
    const held = heldWith(answer(ipKey(1), remote(1), 5));
    expect(held.take([answer(ipKey(1), remote(2), 4)], 0).changedMacs).toEqual([]);
    expect(held.take([answer(macKey(1), remote(1), 6), answer(ipKey(1), null, 6)], 0).changedMacs).toEqual([]);
  });
});

describe("a question of a guest", () => {
  test("counts as a use of the MAC that it is answered with, what the controller sends as none", () => {
    const asked = heldWith(answer(ipKey(1), remote(1)));
    asked.take([answer(ipKey(1), remote(1), 2)], 2_000);
    expect(asked.age(blue, new Map(), 3_000, 2_000).released).toEqual([]);
    const told = heldWith(answer(ipKey(1), remote(1)));
    told.take([answer(ipKey(1), remote(1), 2)], 2_000, "told");
    expect(told.age(blue, new Map(), 3_000, 2_000).released).toEqual([ipKey(1), macKey(1)]);
  });

  test("does not make the MAC used that an address has left", () => {
    const held = heldWith(answer(macKey(1), remote(1)), answer(ipKey(1), remote(1)));
    held.take([answer(ipKey(1), remote(2), 2)], 2_000);
    expect(held.age(blue, new Map(), 3_000, 2_000).released).toEqual([macKey(1)]);
  });

  test("in a network without answers ages nothing", () => {
    expect(heldWith().age(red, new Map(), 0, 0)).toEqual({ operations: [], released: [] });
  });
});

describe("a MAC that an address had before", () => {
  test("is remembered of 4,096 addresses that were deleted with their MAC, the last ones", () => {
    const held = new HeldAnswers();
    held.take([own], 0);
    const address = (n: number): BindingKey => ({ kind: "ip", vni: blue, ip: ip(`10.1.${n >> 8}.${n & 255}`) });
    held.take(
      Array.from({ length: 4_097 }, (_, i) => answer(address(i + 1), remote(1))),
      0,
    );
    held.take([answer(macKey(1), null, 2)], 0);
    const changed = (n: number) => held.take([answer(address(n), remote(2), 3)], 0).changedMacs.length;
    expect([changed(1), changed(2), changed(4_097)]).toEqual([0, 1, 1]);
  });

  test("is forgotten with its return", () => {
    const held = heldWith(answer(ipKey(1), remote(1)));
    held.take([answer(macKey(1), null, 2)], 0);
    expect(held.take([answer(ipKey(1), remote(2), 3)], 0).changedMacs).toHaveLength(1);
    expect(held.take([answer(ipKey(1), remote(2), 4)], 0).changedMacs).toEqual([]);
  });
});

describe("unknown addresses", () => {
  test("are 4,096 of a network at most: those that were asked for longest ago are asked again", () => {
    const held = new HeldAnswers();
    held.take([own], 0);
    const address = (n: number): BindingKey => ({ kind: "ip", vni: blue, ip: ip(`10.1.${n >> 8}.${n & 255}`) });
    held.take(
      Array.from({ length: 4_096 }, (_, i) => answer(address(i + 1), null)),
      0,
    );
    held.take([answer(address(1), null)], 0);
    expect(held.lookUp(address(2), 0).kind).toBe("absent");
    held.take([answer(address(5_000), null)], 0);
    expect([1, 2, 3, 5_000].map((n) => held.lookUp(address(n), 0).kind)).toEqual([
      "absent",
      "nothing",
      "absent",
      "absent",
    ]);
  });
});

describe("the VMs of this host", () => {
  test("are listed with their addresses and ports", () => {
    const held = heldWith(
      answer(ipKey(9), remote(9, { local: true })),
      answer(macKey(8), remote(8, { local: true, guestPort: "tap8" })),
      answer(ipKey(1), remote(1)),
    );
    expect(held.locals(blue)).toStrictEqual([
      { mac: macOf(9), ips: [ipOf(9)] },
      { mac: macOf(8), ips: [], port: "tap8" },
    ]);
    expect(held.locals(red)).toEqual([]);
  });

  test("leave the list when they move away or are deleted, and take the tunnel's entries then", () => {
    const held = heldWith();
    const { operations } = held.take([answer(macKey(9), remote(9), 2)], 0);
    expect(operations.map(({ verb, entry }) => `${verb} ${entry.kind}`)).toEqual(["put tunnel", "put bridge"]);
    expect([held.locals(blue), held.size]).toEqual([[], 1]);
    const back = held.take([answer(macKey(9), remote(9, { local: true }), 3)], 0);
    expect(back.operations.map(({ verb, entry }) => `${verb} ${entry.kind}`)).toEqual([
      "delete bridge",
      "delete tunnel",
    ]);
    expect([held.locals(blue).length, held.size]).toEqual([1, 0]);
    held.take([answer(macKey(9), null, 4)], 0);
    expect(held.locals(blue)).toEqual([]);
  });
});

describe("a snapshot", () => {
  test("replaces everything, whatever the revisions were", () => {
    const held = heldWith(answer(ipKey(1), remote(1), 9), answer(ipKey(2), remote(2), 9));
    expect(held.replace([own, answer(ipKey(1), remote(3), 1)], 0)).toEqual([]);
    expect(held.keys()).toEqual([ipKey(1), macKey(9)]);
    expect(held.find(ipKey(1))).toMatchObject({ mac: macOf(3), revision: 1 });
  });

  test("keeps the interest in a MAC beside that in its address, and has networks that are new", () => {
    const held = heldWith();
    const inRed = answer(macKey(9, red), remote(9, { host: "a", local: true }));
    held.replace([own, inRed, answer(ipKey(1), remote(1)), answer(macKey(1), remote(1))], 0);
    expect(held.keys()).toEqual([ipKey(1), macKey(9), macKey(1), macKey(9, red)]);
  });

  test("without room for all names the keys that went: the least recently used ones", () => {
    const held = new HeldAnswers({ perNetwork: 4, perHost: 99 });
    held.take([own, answer(ipKey(1), remote(1))], 1_000);
    held.take([answer(ipKey(2), remote(2))], 2_000);
    const all = [own, answer(ipKey(1), remote(1)), answer(ipKey(2), remote(2)), answer(ipKey(3), remote(3))];
    expect(held.replace(all, 3_000)).toEqual([ipKey(1), macKey(1)]);
    expect(held.size).toBe(4);
  });
});

describe("a host near its limits", () => {
  test.each([
    ["of a network", { perNetwork: 8, perHost: 999 }],
    ["of its own", { perNetwork: 999, perHost: 8 }],
  ])("%s reads ages more often from seven eighths on", (_, caps) => {
    const held = new HeldAnswers(caps);
    held.take([own, ...[1, 2, 3].map((n) => answer(ipKey(n), remote(n)))], 0);
    expect([held.size, held.isCrowded()]).toEqual([6, false]);
    held.take([answer(macKey(4), remote(4))], 0);
    expect([held.size, held.isCrowded()]).toEqual([7, true]);
  });

  test("is one where any of its networks is full", () => {
    const held = new HeldAnswers({ perNetwork: 2, perHost: 99 });
    held.take([own, answer(macKey(9, red), remote(9, { host: "a", local: true }))], 0);
    expect(held.isCrowded()).toBe(false);
    held.take([answer(ipKey(1), remote(1))], 0);
    expect(held.isCrowded()).toBe(true);
  });
});

describe("networks whose guests on this host may have changed", () => {
  const local = (n: number, on = blue, revision = 1) =>
    answer(macKey(n, on), remote(n, { host: "a", local: true }), revision);

  test("are those in which one came, was answered again or left, each named once", () => {
    const held = new HeldAnswers();
    expect(held.take([local(1), local(2), local(3, red)], 0).guestsIn).toEqual([blue, red]);
    expect(held.take([local(1, blue, 2)], 0).guestsIn).toEqual([blue]);
    expect(held.take([answer(macKey(3, red), null, 2)], 0).guestsIn).toEqual([red]);
    expect(held.take([answer(macKey(3, red), null, 3)], 0).guestsIn).toEqual([]);
  });

  test("are those in which one moved to another host, or from there", () => {
    const held = heldWith(answer(macKey(1), remote(1)));
    expect(held.take([local(1, blue, 2)], 0).guestsIn).toEqual([blue]);
    expect(held.take([answer(macKey(1), remote(1), 3)], 0).guestsIn).toEqual([blue]);
    expect(held.take([answer(macKey(1), remote(1, { host: "c" }), 4)], 0).guestsIn).toEqual([]);
  });

  test("are those in which one of several changed VMs is a guest", () => {
    const held = new HeldAnswers();
    expect(held.take([answer(macKey(1), remote(1)), local(2)], 0).guestsIn).toEqual([blue]);
  });

  test("are none where only VMs of other hosts changed", () => {
    const held = heldWith();
    expect(held.take([answer(macKey(1), remote(1)), answer(ipKey(2), remote(2))], 0).guestsIn).toEqual([]);
  });
});
