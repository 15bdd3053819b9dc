// Addresses that the controller assigns: to whom, which, and how long a released one stays in quarantine.
import { describe, expect, test } from "vitest";
import { AddressPools, assignableRanges } from "../../controller/inventory/address-pools.ts";
import { Claims } from "../../controller/inventory/assign.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import type { DecisionContext } from "../../controller/inventory/decision-context.ts";
import { type Inventory, invert } from "../../controller/inventory/inventory.ts";
import { OffsetSet } from "../../controller/inventory/offset-set.ts";
import { addressesAfter, Quarantine, releasedBy } from "../../controller/inventory/quarantine.ts";
import { parseSubnet } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import type { Network, NetworkPutInput, Vm } from "../../schema/rest/index.ts";
import { ip, mac } from "../support/addresses.ts";
import { addressesOf, changesOf, host, network, nic, refusalOf, stateOf, vm } from "../support/decisions.ts";

const base = [network("blue", 100), network("red", 200), host("a", "192.0.2.1")];
const open = (inNetwork = "blue") => ({ network: inNetwork });
const remove = (name: string): Mutation => ({ kind: "vm.delete", name });

function countedMac() {
  let count = 0;
  return () => mac(`52:54:00:fe:00:0${++count}`);
}
const given = (changes: readonly ResourceChange[]) =>
  changes.flatMap((change) => (change.kind === "vm" ? ((change.after as Vm | null)?.interfaces ?? []) : []));
const decided = (state: Inventory, mutations: readonly Mutation[], context: Partial<DecisionContext> = {}) =>
  given(changesOf(state, mutations, { addresses: addressesOf(state), ...context }));

describe("an interface without addresses", () => {
  test("gets a MAC, and the lowest address that is free: the first of a subnet is left to a gateway", () => {
    expect(decided(stateOf(...base), [vm("v1", "a", [open()])])).toEqual([
      { name: "eth0", network: "blue", mac: "52:54:00:ff:00:01", ips: ["10.0.0.2"] },
    ]);
  });

  test("gets one address of each family of its network, from the first subnet with room", () => {
    const subnets = ["10.1.0.0/30", "10.2.0.0/24", "fd00:1::/64", "fd00:2::/64"];
    const state = stateOf(...base, network("wide", 300, { subnets }));
    const [first, second] = decided(state, [vm("v1", "a", [open("wide")]), vm("v2", "a", [open("wide")])]);
    expect(first?.ips).toEqual(["10.1.0.2", "fd00:1::2"]);
    expect(second?.ips).toEqual(["10.2.0.2", "fd00:1::3"]);
  });

  test("keeps what it names: a MAC, addresses, none, and everything else", () => {
    const wanted = [
      { network: "blue", mac: "52:54:00:00:00:07", port: "tap7" },
      { network: "blue", ips: ["10.0.0.9"], router: true },
      { network: "blue", ips: [] },
    ];
    expect(decided(stateOf(...base), [vm("v1", "a", wanted)])).toEqual([
      { name: "eth0", network: "blue", mac: "52:54:00:00:00:07", ips: ["10.0.0.2"], port: "tap7" },
      { name: "eth1", network: "blue", mac: "52:54:00:ff:00:01", ips: ["10.0.0.9"], router: true },
      { name: "eth2", network: "blue", mac: "52:54:00:ff:00:02", ips: [] },
    ]);
  });

  test("gets nothing that another of the change set names or was given, whichever comes first", () => {
    const named = vm("v2", "a", [nic(2, "blue", { mac: "52:54:00:ff:00:01" })]);
    const interfaces = decided(stateOf(...base), [vm("v1", "a", [open(), open()]), named]);
    expect(interfaces.map((each) => [each.mac, each.ips])).toEqual([
      ["52:54:00:ff:00:02", ["10.0.0.3"]],
      ["52:54:00:ff:00:03", ["10.0.0.4"]],
      ["52:54:00:ff:00:01", ["10.0.0.2"]],
    ]);
  });

  test("gets no MAC that an interface of its network has; in another network it may be the same", () => {
    const state = stateOf(...base, vm("v1", "a", [nic(9, "blue", { mac: "52:54:00:ff:00:01" })]));
    expect(decided(state, [vm("v2", "a", [open()])])[0]?.mac).toBe("52:54:00:ff:00:02");
    expect(decided(state, [vm("v2", "a", [open("red")])])[0]?.mac).toBe("52:54:00:ff:00:01");
  });

  test("gets no MAC twice in one change set, however random MACs fall", () => {
    const state = stateOf(...base);
    const random = [1, 1, 2].map((n) => mac(`52:54:00:ff:00:0${n}`));
    const addresses = { ...addressesOf(state), newMac: () => random.shift() ?? mac("52:54:00:ff:00:09") };
    const interfaces = decided(state, [vm("v1", "a", [open(), open()])], { addresses });
    expect(interfaces.map((each) => each.mac)).toEqual(["52:54:00:ff:00:01", "52:54:00:ff:00:02"]);
  });

  test("is in a network that exists and that the caller may use", () => {
    const refused = (name: string) => `unknown-reference: VM "v1", interface "eth0": no network is named "${name}"`;
    const state = stateOf(...base);
    const addresses = addressesOf(state);
    const scope = new Set(["blue"]);
    expect(refusalOf(state, vm("v1", "a", [open("green")]), { addresses })).toBe(refused("green"));
    expect(refusalOf(state, vm("v1", "a", [open("red")]), { addresses, scope })).toBe(refused("red"));
    expect(refusalOf(state, vm("v1", "a", [open()]), { addresses, scope })).toBeUndefined();
  });

  test("is a mistake of ours where there is nothing to assign from", () => {
    expect(() => changesOf(stateOf(...base), [vm("v1", "a", [open()])])).toThrow("no source to assign addresses from");
  });

  test("that is put again as it was keeps what it was given", () => {
    const asked = vm("v1", "a", [open(), { network: "red", ips: [] }]);
    const state = stateOf(...base, asked);
    expect(changesOf(state, [asked], { addresses: addressesOf(state) })).toEqual([]);
    const [kept, whole] = decided(state, [vm("v1", "a", [open(), nic(9, "red")])]);
    expect(kept).toEqual({ name: "eth0", network: "blue", mac: "52:54:00:ff:00:01", ips: ["10.0.0.2"] });
    expect(whole).toMatchObject(nic(9, "red"));
    const twice = vm("v9", "a", [open(), open()]);
    state.apply(changesOf(state, [twice], { addresses: { ...addressesOf(state), newMac: countedMac() } }));
    expect(changesOf(state, [twice], { addresses: addressesOf(state) })).toEqual([]);
    // In another network it is another interface.
    state.apply(changesOf(state, [network("green", 300, { subnets: ["10.3.0.0/24"] })]));
    expect(decided(state, [vm("v1", "a", [open("green")])])[0]?.ips).toEqual(["10.3.0.2"]);
    const [partly] = decided(state, [vm("v1", "a", [{ network: "blue", ips: ["10.0.0.77"] }])]);
    expect(partly).toMatchObject({ mac: "52:54:00:ff:00:01", ips: ["10.0.0.77"] });
  });
});

describe("a network without a free address", () => {
  const small = (subnets: string[]) =>
    stateOf(...base, network("small", 300, { subnets }), vm("v1", "a", [open("small")]));
  const words = (reasons: string) =>
    `addresses-exhausted: VM "v2", interface "eth0": no address is left in network "small": ${reasons}. Add a subnet, release ` +
    "addresses, or name one in ips";
  const refused = (state: Inventory, nowMs = 0) =>
    refusalOf(state, vm("v2", "a", [open("small")]), { addresses: addressesOf(state, nowMs) });

  test("says how full each subnet is", () => {
    expect(refused(small(["10.1.0.0/30"]))).toBe(words("10.1.0.0/30 has 1 address taken, and 1 to assign from"));
    const two = small(["10.1.0.0/30", "10.2.0.0/30"]);
    two.apply(changesOf(two, [vm("v3", "a", [nic(3, "small", { ips: ["10.2.0.2", "10.2.0.1"] })])]));
    expect(refused(two)).toBe(
      words(
        "10.1.0.0/30 has 1 address taken, and 1 to assign from; 10.2.0.0/30 has 2 addresses taken, and 1 to assign from",
      ),
    );
  });

  test("says how many of them are in quarantine, and assigns one when its time is over", () => {
    const state = small(["10.1.0.0/30"]);
    const pools = new AddressPools(state);
    const changes = changesOf(state, [remove("v1")]);
    state.apply(changes);
    pools.apply(changes, 1_000);
    const at = (nowMs: number) => ({ addresses: { ...addressesOf(state, nowMs), pools } });
    expect(refusalOf(state, vm("v2", "a", [open("small")]), at(300_999))).toBe(
      words("10.1.0.0/30 has 1 address taken, 1 of them in quarantine after their release, and 1 to assign from"),
    );
    expect(refusalOf(state, vm("v2", "a", [open("small")]), at(301_000))).toBeUndefined();
  });
});

describe("the addresses that a subnet assigns", () => {
  const ranges = (subnet: string, more: Partial<NetworkPutInput> = {}) => {
    const state = stateOf(network("n", 1, { subnets: [subnet], ...more }));
    return assignableRanges(state.findNetwork("n") as Network, parseSubnet(subnet));
  };

  test.each<[string, [number, number][]]>([
    ["10.0.0.0/24", [[2, 254]]],
    ["10.0.0.0/30", [[2, 2]]],
    ["10.0.0.0/31", [[0, 1]]],
    ["10.0.0.0/32", [[0, 0]]],
    ["fd00::/126", [[2, 3]]],
    ["fd00::/127", [[0, 1]]],
    ["fd00::/128", [[0, 0]]],
    ["fd00::/64", [[2, 2 ** 48 - 1]]],
  ])("are without its ends and the first one, which is left to a gateway: %s", (subnet, expected) => {
    expect(ranges(subnet)).toEqual(expected);
  });

  test("are without named gateways and reserved ranges, in whatever order these are named", () => {
    expect(ranges("10.0.0.0/28", { gateways: ["10.0.0.14"] })).toEqual([[1, 13]]);
    expect(ranges("10.0.0.0/28", { gateways: ["10.0.0.5", "10.0.0.1"] })).toEqual([
      [2, 4],
      [6, 14],
    ]);
    expect(ranges("10.0.0.0/28", { reserved: ["10.0.0.10-10.0.0.12", "10.0.0.4-10.0.0.6"] })).toEqual([
      [2, 3],
      [7, 9],
      [13, 14],
    ]);
    expect(ranges("10.0.0.0/28", { gateways: ["10.0.0.5"], reserved: ["10.0.0.3-10.0.0.8"] })).toEqual([
      [1, 2],
      [9, 14],
    ]);
    expect(ranges("10.0.0.0/28", { reserved: ["10.0.0.2-10.0.0.14"] })).toEqual([]);
  });

  test("are not those of other subnets", () => {
    const state = stateOf(network("n", 1, { subnets: ["10.0.0.0/28", "10.1.0.0/28"], gateways: ["10.1.0.1"] }));
    const found = state.findNetwork("n") as Network;
    expect(assignableRanges(found, parseSubnet("10.0.0.0/28"))).toEqual([[1, 14]]);
    expect(assignableRanges(found, parseSubnet("10.1.0.0/28"))).toEqual([[2, 14]]);
  });
});

describe("the pools", () => {
  const subnet = parseSubnet("10.0.0.0/29");
  const small = network("blue", 100, { subnets: ["10.0.0.0/29"] });
  const world = (...vms: Mutation[]) => {
    const state = stateOf(small, host("a", "192.0.2.1"), ...vms);
    const pools = new AddressPools(state);
    const free = (nowMs = 0) => pools.findFree(state, state.findNetwork("blue") as Network, subnet, nowMs, () => true);
    const change = (nowMs: number, ...mutations: Mutation[]) => {
      const changes = changesOf(state, mutations);
      state.apply(changes);
      return { changes, ended: pools.apply(changes, nowMs) };
    };
    const revert = ({ changes, ended }: ReturnType<typeof change>) => {
      state.apply(invert(changes));
      pools.revert(state, changes, ended);
    };
    return { state, pools, free, change, revert };
  };

  test("follow what VMs take and give up, before and after they are first asked", () => {
    const { free, change } = world(vm("v1", "a", [nic(2)]));
    expect(free()).toBe("10.0.0.3");
    change(0, vm("v2", "a", [nic(3)]));
    expect(free()).toBe("10.0.0.4");
    change(0, remove("v1"));
    expect(free()).toBe("10.0.0.4");
    expect(free(300_000)).toBe("10.0.0.2");
  });

  test("let an operator name an address in quarantine, and quarantine it anew afterwards", () => {
    const { free, change } = world(vm("v1", "a", [nic(2)]));
    change(0, remove("v1"));
    expect(free()).toBe("10.0.0.3");
    expect(change(100_000, vm("v2", "a", [nic(2)])).ended).toEqual([{ network: "blue", ip: "10.0.0.2", atMs: 0 }]);
    expect(free(300_000)).toBe("10.0.0.3");
    change(200_000, remove("v2"));
    expect(free(499_999)).toBe("10.0.0.3");
    expect(free(500_000)).toBe("10.0.0.2");
  });

  test("are handed on within a change set without quarantine", () => {
    const { free, change } = world(vm("v1", "a", [nic(2)]));
    change(0, remove("v1"), vm("v2", "a", [nic(2)]));
    change(0, vm("v2", "a", [nic(3)]));
    expect(free(299_999)).toBe("10.0.0.4");
    expect(free(300_000)).toBe("10.0.0.2");
  });

  test("quarantine for as long as the network says", () => {
    const state = stateOf(
      network("blue", 100, { subnets: ["10.0.0.0/29"], quarantineSeconds: 10 }),
      host("a", "192.0.2.1"),
    );
    const pools = new AddressPools(state, [{ network: "blue", ip: ip("10.0.0.2"), atMs: 0 }]);
    const free = (nowMs: number) =>
      pools.findFree(state, state.findNetwork("blue") as Network, subnet, nowMs, () => true);
    expect([free(9_999), free(10_000)]).toEqual(["10.0.0.3", "10.0.0.2"]);
  });

  test("begin with what was released before a start, except what a VM has again", () => {
    const state = stateOf(small, host("a", "192.0.2.1"), vm("v1", "a", [nic(2)]));
    const released = [2, 3].map((n) => ({ network: "blue", ip: ip(`10.0.0.${n}`), atMs: 0 }));
    const pools = new AddressPools(state, released);
    const blue = state.findNetwork("blue") as Network;
    expect(pools.occupancy(state, blue, subnet, 0)).toEqual({ taken: 2, heldBack: 1, assignable: 5 });
    expect(pools.findFree(state, blue, subnet, 0, () => true)).toBe("10.0.0.4");
  });

  test("give nothing that the caller refuses, and nothing where all is taken", () => {
    const { state, pools } = world(...[2, 3, 4, 5].map((n) => vm(`v${n}`, "a", [nic(n)])));
    const blue = state.findNetwork("blue") as Network;
    expect(pools.findFree(state, blue, subnet, 0, () => true)).toBe("10.0.0.6");
    expect(pools.findFree(state, blue, subnet, 0, (each) => each !== "10.0.0.6")).toBeUndefined();
  });

  test("are as before when a change set is undone: taken, free and in quarantine", () => {
    const { free, change, revert, pools, state } = world(vm("v1", "a", [nic(2)]));
    change(0, remove("v1"));
    expect(free()).toBe("10.0.0.3");
    revert(change(50_000, vm("v2", "a", [nic(2)]), vm("v3", "a", [nic(3)])));
    expect(free()).toBe("10.0.0.3");
    expect(pools.occupancy(state, state.findNetwork("blue") as Network, subnet, 0).heldBack).toBe(1);
    expect(free(300_000)).toBe("10.0.0.2");
    change(300_000, vm("v4", "a", [nic(4)]));
    revert(change(300_001, remove("v4")));
    expect(free(300_001)).toBe("10.0.0.2");
    expect(pools.occupancy(state, state.findNetwork("blue") as Network, subnet, 300_001)).toMatchObject({
      taken: 1,
      heldBack: 0,
    });
  });

  test("follow a network that changes, comes and goes, also when that is undone", () => {
    const { free, change, revert, state } = world();
    expect(free()).toBe("10.0.0.2");
    const gateway = network("blue", 100, { subnets: ["10.0.0.0/29"], gateways: ["10.0.0.6"] });
    const changed = change(0, gateway);
    expect(free()).toBe("10.0.0.1");
    revert(changed);
    expect(free()).toBe("10.0.0.2");
    change(0, { kind: "network.delete", name: "blue" });
    change(0, network("blue", 100, { subnets: ["10.0.0.0/29"] }), vm("v1", "a", [nic(2)]));
    expect(free()).toBe("10.0.0.3");
    expect(state.addressesIn("blue").size).toBe(1);
  });
});

describe("the occupancy of a subnet", () => {
  const subnets = ["10.0.0.0/29", "10.1.0.0/29", "fd00::/64"];
  const state = stateOf(network("blue", 100, { subnets }), host("a", "192.0.2.1"));
  const blue = state.findNetwork("blue") as Network;
  const pools = new AddressPools(state, [{ network: "blue", ip: ip("10.1.0.2"), atMs: 0 }]);
  const taken = (of: string) => pools.occupancy(state, blue, parseSubnet(of), 0).taken;

  test("counts its own addresses, taken and in quarantine, and those that it assigns from", () => {
    expect(subnets.map(taken)).toEqual([0, 1, 0]);
    const ips = ["10.0.0.2", "fd00::2", "fd00::ffff:ffff:ffff", "fd00::1:0:0:0", "fd00::ffff:0:0:1"];
    const changes = changesOf(state, [vm("v1", "a", [nic(1, "blue", { ips })])]);
    state.apply(changes);
    pools.apply(changes, 0);
    expect(subnets.map(taken)).toEqual([1, 1, 2]);
    expect(subnets.map((each) => pools.occupancy(state, blue, parseSubnet(each), 0).heldBack)).toEqual([0, 1, 0]);
    const anew = new AddressPools(state, []);
    expect(anew.occupancy(state, blue, parseSubnet("fd00::/64"), 0).taken).toBe(2);
  });
});

describe("a set of offsets", () => {
  test("finds what was given back although whole words were full", () => {
    const set = new OffsetSet();
    for (let n = 0; n < 2_048; n++) set.add(n);
    expect([set.size, set.nextFree(0)]).toEqual([2_048, 2_048]);
    for (const n of [1_500, 40, 41]) set.delete(n);
    expect([set.size, set.nextFree(0), set.nextFree(41), set.nextFree(42)]).toEqual([2_045, 40, 41, 1_500]);
    for (const n of [40, 41]) set.add(n);
    expect([set.nextFree(0), set.nextFree(1_501)]).toEqual([1_500, 2_048]);
    for (let n = 0; n < 2_048; n++) set.delete(n);
    expect([set.size, set.has(5), set.nextFree(7)]).toEqual([0, false, 7]);
  });
});

describe("a quarantine", () => {
  const release = (n: number, atMs: number, on = "blue") => ({ network: on, ip: ip(`10.0.0.${n}`), atMs });

  test("has addresses by network until their time, an end, or another release", () => {
    const quarantine = new Quarantine();
    for (const each of [release(1, 10), release(2, 20), release(1, 30), release(1, 5, "red")]) quarantine.hold(each);
    expect([...quarantine.heldIn("blue")]).toEqual(["10.0.0.2", "10.0.0.1"]);
    expect([quarantine.releasedAtMs("blue", ip("10.0.0.1")), quarantine.releasedAtMs("red", ip("10.0.0.1"))]).toEqual([
      30, 5,
    ]);
    expect(quarantine.expire("blue", 19)).toEqual([]);
    expect(quarantine.expire("blue", 20)).toEqual(["10.0.0.2"]);
    quarantine.end("blue", ip("10.0.0.1"));
    expect([...quarantine.heldIn("blue")]).toEqual([]);
    expect(quarantine.releasedAtMs("blue", ip("10.0.0.1"))).toBeUndefined();
    expect([...quarantine.heldIn("red")]).toEqual(["10.0.0.1"]);
    expect(quarantine.expire("green", 99)).toEqual([]);
  });

  test("takes releases back at their places in time, so that they expire in order", () => {
    const quarantine = new Quarantine();
    for (const each of [release(2, 20), release(4, 40)]) quarantine.hold(each);
    quarantine.restore([release(3, 30), release(1, 10), release(9, 1, "red")]);
    expect([...quarantine.heldIn("blue")]).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    expect(quarantine.expire("blue", 30)).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    expect([...quarantine.heldIn("red")]).toEqual(["10.0.0.9"]);
  });

  test("is of addresses that a change takes from a VM, in the network where it had them", () => {
    const state = stateOf(...base, vm("v1", "a", [nic(1), nic(2, "red")]));
    const before = state.findVm("v1") as Vm;
    const after = { ...before, interfaces: [{ ...before.interfaces[0], ips: [ip("10.0.0.2"), ip("10.0.0.3")] }] } as Vm;
    const of = (from: Vm | null, to: Vm | null): ResourceChange => ({ kind: "vm", before: from, after: to });
    const blue1 = { network: "blue", ip: "10.0.0.1" };
    const red2 = { network: "red", ip: "10.0.0.2" };
    expect(releasedBy(of(before, after))).toEqual([blue1, red2]);
    expect(releasedBy(of(before, null))).toEqual([blue1, red2]);
    expect(releasedBy(of(null, before))).toEqual([]);
    expect(releasedBy(of(before, before))).toEqual([]);
    expect(addressesAfter(of(null, before))).toEqual([blue1, red2]);
    expect(addressesAfter(of(before, null))).toEqual([]);
    const ofNetwork: ResourceChange = { kind: "network", before: state.findNetwork("blue") ?? null, after: null };
    expect([releasedBy(ofNetwork), addressesAfter(ofNetwork)]).toEqual([[], []]);
  });
});

describe("claims", () => {
  test("are of one network each", () => {
    const claims = new Claims();
    claims.add("blue", "10.0.0.1");
    claims.add("blue", mac("52:54:00:00:00:01"));
    expect([claims.has("blue", "10.0.0.1"), claims.has("blue", "10.0.0.2"), claims.has("red", "10.0.0.1")]).toEqual([
      true,
      false,
      false,
    ]);
    expect(claims.has("blue", "52:54:00:00:00:01")).toBe(true);
  });
});
