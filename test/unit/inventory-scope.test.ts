// What callers that are limited to some networks may see, change and use up.
import { beforeEach, describe, expect, test } from "vitest";
import type { Mutation } from "../../controller/inventory/decide.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { useOf } from "../../controller/inventory/quota.ts";
import { includesNetwork, narrowChange, narrowVm } from "../../controller/inventory/scope.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { parseNetwork, type Vm } from "../../schema/rest/index.ts";
import { rev } from "../support/addresses.ts";
import { changesOf, host, network, nic, refusalOf, refusalsOf, stateOf, vm } from "../support/decisions.ts";

const base = [
  network("blue", 100),
  network("red", 200),
  network("green", 300),
  host("a", "192.0.2.1"),
  host("b", "192.0.2.2"),
];
const blue = { scope: new Set(["blue"]) };
const both = { scope: new Set(["blue", "red"]) };
const remove = (kind: "network" | "host" | "vm", name: string): Mutation => ({ kind: `${kind}.delete`, name });

const world = () =>
  stateOf(
    ...base,
    vm("own", "a", [nic(1)]),
    vm("shared", "a", [nic(2), nic(3, "red")]),
    vm("hidden", "a", [nic(4, "red")]),
    vm("idle", "a", [], { ownerNetworks: ["blue"] }),
    vm("idle-of-two", "a", [], { ownerNetworks: ["blue", "red"] }),
    vm("idle-unowned", "a", []),
  );
let state: Inventory;
beforeEach(() => {
  state = world();
});
const find = (name: string) => state.findVm(name) as Vm;

describe("a limited caller sees", () => {
  test("the networks of its scope", () => {
    expect([
      includesNetwork("all", "red"),
      includesNetwork(blue.scope, "blue"),
      includesNetwork(blue.scope, "red"),
    ]).toEqual([true, true, false]);
  });

  test("VMs with their interfaces in its networks", () => {
    expect(narrowVm("all", find("shared"))).toBe(find("shared"));
    expect(narrowVm(blue.scope, find("own"))).toBe(find("own"));
    expect(narrowVm(both.scope, find("shared"))).toBe(find("shared"));
    expect(narrowVm(blue.scope, find("shared"))).toEqual({
      ...find("shared"),
      interfaces: [find("shared").interfaces[0]],
    });
    expect(narrowVm(blue.scope, find("hidden"))).toBeUndefined();
  });

  test("VMs without interfaces where it has all of their owners", () => {
    expect(narrowVm(blue.scope, find("idle"))).toBe(find("idle"));
    expect(narrowVm(blue.scope, find("idle-of-two"))).toBeUndefined();
    expect(narrowVm(both.scope, find("idle-of-two"))).toBe(find("idle-of-two"));
    expect(narrowVm(blue.scope, find("idle-unowned"))).toBeUndefined();
    expect(narrowVm("all", find("idle-unowned"))).toBe(find("idle-unowned"));
  });

  test("changes of its networks, and of no host", () => {
    const change = (kind: "network" | "host", before: unknown, after: unknown) =>
      ({ kind, before, after }) as ResourceChange;
    const changed = (name: string) => ({ ...state.findNetwork(name), revision: rev(2) });
    for (const seen of [change("network", null, changed("blue")), change("network", changed("blue"), null)]) {
      expect(narrowChange(blue.scope, seen)).toBe(seen);
    }
    const unseen = change("network", null, changed("red"));
    expect(narrowChange(blue.scope, unseen)).toBeUndefined();
    const ofHost = change("host", null, state.findHost("a"));
    expect([narrowChange(blue.scope, ofHost), narrowChange("all", ofHost), narrowChange("all", unseen)]).toEqual([
      undefined,
      ofHost,
      unseen,
    ]);
  });

  test("changes of VMs as far as it sees them before and after", () => {
    const change = (before: Vm | null, after: Vm | null): ResourceChange => ({ kind: "vm", before, after });
    const own = find("own");
    const [seen] = find("shared").interfaces;
    const narrow = { ...find("shared"), interfaces: [seen] };
    expect(narrowChange(blue.scope, change(null, own))).toEqual(change(null, own));
    expect(narrowChange(blue.scope, change(own, null))).toEqual(change(own, null));
    expect(narrowChange(blue.scope, change(null, find("shared")))).toEqual(change(null, narrow as Vm));
    expect(narrowChange(blue.scope, change(null, find("hidden")))).toBeUndefined();
    expect(narrowChange(blue.scope, change(find("hidden"), null))).toBeUndefined();
    // It came into sight, or left it.
    expect(narrowChange(blue.scope, change(find("hidden"), own))).toEqual(change(null, own));
    expect(narrowChange(blue.scope, change(own, find("hidden")))).toEqual(change(own, null));
  });

  test("no change where only what it does not see changed", () => {
    const shared = find("shared");
    const later = (vm: Vm): Vm => ({ ...vm, revision: rev(9) });
    const elsewhere = { ...shared, interfaces: shared.interfaces.slice(0, 1) };
    const relabelled = { ...later(shared), labels: { tier: "web" } };
    expect(narrowChange(blue.scope, { kind: "vm", before: shared, after: later(elsewhere) })).toBeUndefined();
    expect(narrowChange(blue.scope, { kind: "vm", before: shared, after: relabelled })).toMatchObject({
      before: { labels: {} },
      after: { labels: { tier: "web" }, revision: 9 },
    });
  });
});

describe("a limited caller changes", () => {
  test("VMs in its networks, wherever they are", () => {
    expect(changesOf(state, [vm("own", "b", [nic(9)])], blue)).toHaveLength(1);
    expect(changesOf(state, [remove("vm", "own"), vm("new", "b", [nic(1)])], blue)).toHaveLength(2);
    expect(changesOf(state, [vm("shared", "b", [nic(2), nic(3, "red")])], both)).toHaveLength(1);
  });

  test.each<[Mutation, string]>([
    [network("blue", 101), "immutable"],
    [network("red", 201), 'not-found: no network is named "red"'],
    [network("new", 900), 'not-found: no network is named "new"'],
    [remove("network", "red"), 'not-found: no network is named "red"'],
    [
      { kind: "network.create", spec: parseNetwork("red", { vni: 900, subnets: ["10.0.0.0/24"] }) },
      'not-found: no network is named "red"',
    ],
    [host("a", "192.0.2.9"), 'not-found: no host is named "a"'],
    [remove("host", "b"), 'not-found: no host is named "b"'],
    [remove("vm", "hidden"), 'not-found: no VM is named "hidden"'],
    [vm("hidden", "a", [nic(9)]), 'name-taken: the name "hidden" is in use'],
    [
      vm("shared", "a", [nic(2)]),
      'forbidden: VM "shared" also has interfaces in networks that are not yours: this requires a token for all of them',
    ],
    [
      remove("vm", "shared"),
      'forbidden: VM "shared" also has interfaces in networks that are not yours: this requires a token for all of them',
    ],
    [
      vm("own", "a", [nic(1), nic(9, "red")]),
      'unknown-reference: VM "own", interface "eth1": no network is named "red"',
    ],
    [vm("own", "a", [], { ownerNetworks: ["red"] }), 'unknown-reference: VM "own": no network is named "red"'],
    [vm("new", "z", [nic(9)]), 'unknown-reference: VM "new": no host is named "z"'],
  ])("nothing else: $kind", (mutation, words) => {
    expect(refusalsOf(state, [mutation], blue)[0]?.[1]).toContain(words);
  });

  test("and gets no refusal that depends on what it may not know", () => {
    expect(refusalsOf(state, [vm("own", "z", [nic(1), nic(9, "red")])], blue)).toEqual([
      [0, 'unknown-reference: VM "own", interface "eth1": no network is named "red"'],
    ]);
    expect(refusalOf(stateOf(...base, network("dark", 900)), network("blue", 900), blue)).toBe(
      "address-taken: VNI 900 belongs to another network: use another",
    );
  });

  test("VMs on the hosts that it may place them on; where others placed one it may stay", () => {
    const onA = { ...blue, hosts: new Set(["a"]) };
    const onB = { ...blue, hosts: new Set(["b"]) };
    const refused = 'unknown-reference: VM "new": no host is named "b"';
    expect(refusalOf(state, vm("new", "b", [nic(9)]), onA)).toBe(refused);
    expect(refusalOf(state, vm("new", "a", [nic(9)]), onA)).toBeUndefined();
    expect(refusalOf(state, vm("own", "a", [nic(9)]), onB)).toBeUndefined();
    expect(refusalOf(state, remove("vm", "own"), onB)).toBeUndefined();
    expect(refusalOf(state, vm("own", "b", [nic(1)]), onA)).toContain('no host is named "b"');
    expect(refusalOf(state, { kind: "vm.prepare", name: "own", host: "b" }, onA)).toContain('no host is named "b"');
    const moving = stateOf(...base, vm("new", "a", [nic(9)]), { kind: "vm.prepare", name: "new", host: "b" });
    expect(refusalOf(moving, { kind: "vm.commit", name: "new" }, onA)).toBeUndefined();
  });
});

describe("a VM without interfaces", () => {
  const owners = (mutation: Mutation, context = {}) => {
    const [change] = changesOf(state, [mutation], context);
    return (change?.after as Vm | undefined)?.ownerNetworks;
  };

  test("belongs to the networks that are named, else to those of the token, else to none", () => {
    expect(owners(vm("new", "a", [], { ownerNetworks: ["blue"] }), both)).toEqual(["blue"]);
    expect(owners(vm("new", "a", []), { scope: new Set(["red", "blue"]) })).toEqual(["blue", "red"]);
    expect(owners(vm("new", "a", []))).toBeUndefined();
  });

  test("belongs to the networks of its last interfaces, and keeps its owners", () => {
    expect(owners(vm("shared", "a", []))).toEqual(["blue", "red"]);
    const other = stateOf(...base, vm("v1", "a", [nic(2, "red"), nic(3)]));
    const [change] = changesOf(other, [vm("v1", "a", [])]);
    expect(change?.after).toMatchObject({ ownerNetworks: ["blue", "red"] });
    expect(owners(vm("idle", "b", []))).toEqual(["blue"]);
    expect(owners(vm("idle-unowned", "b", []))).toBeUndefined();
    expect(owners(vm("idle", "a", [], { ownerNetworks: ["red"] }))).toEqual(["red"]);
  });

  test("has no owners any more when it gets interfaces", () => {
    expect(owners(vm("idle", "a", [nic(9)]))).toBeUndefined();
  });
});

describe("a quota", () => {
  const full = (what: string, would: number, quota: number, used: number) =>
    `quota-exceeded: your networks would have ${would} ${what}, and the token's quota is ${quota} (${used} in use): remove some, or ` +
    "ask an administrator for a token with a larger quota";

  test("counts what is in the networks of the scope, other callers' VMs too", () => {
    expect(useOf(state, "all")).toBeUndefined();
    expect(useOf(state, blue.scope)).toEqual({ vms: 4, addresses: 2, hosts: 1 });
    expect(useOf(state, new Set(["green"]))).toEqual({ vms: 0, addresses: 0, hosts: 0 });
    expect(useOf(state, new Set(["blue", "green"]))).toEqual({ vms: 4, addresses: 2, hosts: 1 });
  });

  test.each([
    ["VMs", { vms: 4 }, full("VMs", 5, 4, 4)],
    ["addresses", { addresses: 2 }, full("addresses", 3, 2, 2)],
    ["hosts", { hosts: 1 }, full("hosts", 2, 1, 1)],
    ["VMs on one host", { vmsPerHost: 0 }, full('VMs on host "b"', 1, 0, 0)],
  ])("of %s stops the first one beyond it", (_, quota, words) => {
    const more = vm("new", "b", [nic(9)]);
    expect(refusalOf(state, more, { ...blue, quota })).toBe(words);
    const [key] = Object.keys(quota) as [keyof typeof quota];
    expect(refusalOf(state, more, { ...blue, quota: { [key]: Number(quota[key]) + 1 } })).toBeUndefined();
  });

  test("of VMs on one host counts those that are there", () => {
    const more = vm("new", "a", [nic(9)]);
    expect(refusalOf(state, more, { ...blue, quota: { vmsPerHost: 4 } })).toBe(full('VMs on host "a"', 5, 4, 4));
    expect(refusalOf(state, more, { ...blue, quota: { vmsPerHost: 5 } })).toBeUndefined();
  });

  test("counts what the change set takes away, so that VMs may be exchanged, moved and made smaller", () => {
    const quota = { vms: 4, addresses: 2, hosts: 1, vmsPerHost: 4 };
    const tight = { ...blue, quota };
    expect(refusalOf(state, [remove("vm", "own"), vm("new", "a", [nic(9)])], tight)).toBeUndefined();
    expect(refusalOf(state, vm("own", "a", [nic(9)]), tight)).toBeUndefined();
    const exceeded = { ...blue, quota: { vms: 1, addresses: 0, hosts: 0, vmsPerHost: 0 } };
    expect(refusalOf(state, vm("own", "a", [nic(1, "blue", { ips: [] })]), exceeded)).toBeUndefined();
    expect(refusalOf(state, remove("vm", "own"), exceeded)).toBeUndefined();
    const oneMore = [remove("vm", "own"), vm("new", "a", [nic(9)]), vm("more", "a", [nic(10)])];
    expect(refusalsOf(state, oneMore, tight)).toEqual([
      [2, full("VMs", 5, 4, 4)],
      [2, full("addresses", 3, 2, 2)],
      [2, full('VMs on host "a"', 5, 4, 4)],
    ]);
  });

  test("names the last VM that came, not one that went", () => {
    const quota = { vms: 4 };
    const mutations = [vm("new", "a", [nic(9)]), vm("more", "a", [nic(10)]), remove("vm", "own")];
    expect(refusalsOf(state, mutations, { ...blue, quota }).map(([mutation]) => mutation)).toEqual([1]);
  });

  test("counts a host that loses its last VM as given back", () => {
    const alone = stateOf(...base, vm("own", "a", [nic(1)]));
    const moved = vm("own", "b", [nic(1)]);
    expect(refusalOf(alone, moved, { ...blue, quota: { hosts: 1 } })).toBeUndefined();
    expect(refusalOf(alone, [moved, vm("new", "a", [nic(9)])], { ...blue, quota: { hosts: 1 } })).toBe(
      full("hosts", 2, 1, 1),
    );
  });

  test("counts a VM once in each network, and the host that it is prepared on", () => {
    const quota = { vms: 6, hosts: 1 };
    const twice = vm("new", "a", [nic(9), nic(10)]);
    expect(refusalOf(state, twice, { ...blue, quota: { vms: 5 } })).toBeUndefined();
    expect(refusalOf(state, vm("new", "a", [nic(9), nic(10, "red")]), { ...both, quota: { vms: 8 } })).toBe(
      full("VMs", 9, 8, 7),
    );
    expect(refusalOf(state, { kind: "vm.prepare", name: "own", host: "b" }, { ...blue, quota })).toBe(
      full("hosts", 2, 1, 1),
    );
  });

  test("does not count in networks beyond the scope, nor for callers without limits", () => {
    expect(refusalOf(state, vm("new", "b", [nic(9)]), { quota: { vms: 0, hosts: 0 } })).toBeUndefined();
    expect(refusalOf(state, vm("idle", "b", []), { ...blue, quota: { hosts: 1 } })).toBeUndefined();
  });
});
