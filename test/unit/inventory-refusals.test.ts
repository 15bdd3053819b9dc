// What the inventory refuses, and the words for who asked: what is wrong, and what to do about it.
import { describe, expect, test } from "vitest";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { limits } from "../../schema/plain/index.ts";
import { parseHost, parseNetwork, parseVm } from "../../schema/rest/index.ts";
import { rev } from "../support/addresses.ts";
import { changesOf, host, network, nic, refusalOf, refusalsOf, stateOf, vm } from "../support/decisions.ts";

const base = [
  network("blue", 100),
  network("red", 200),
  host("a", "192.0.2.1"),
  host("b", "192.0.2.2"),
  host("c", "192.0.2.3"),
];
const remove = (kind: "network" | "host" | "vm", name: string): Mutation => ({ kind: `${kind}.delete`, name });
const migrated = (name: string, to: string): Mutation => ({ kind: "vm.prepare", name, host: to });

describe("a name", () => {
  const state = stateOf(...base, vm("v1", "a", [nic(1)]));

  test.each<[Mutation, string]>([
    [
      { kind: "network.create", spec: parseNetwork("blue", { vni: 300, subnets: ["10.1.0.0/24"] }) },
      'name-taken: a network named "blue" exists, at revision 1: change it with PUT or PATCH',
    ],
    [
      { kind: "host.create", spec: parseHost("a", { vtep: "192.0.2.9" }, "operator") },
      'name-taken: a host named "a" exists, at revision 1: change it with PUT or PATCH',
    ],
    [
      { kind: "vm.create", spec: parseVm("v1", { host: "a", interfaces: [] }) },
      'name-taken: a VM named "v1" exists, at revision 1: change it with PUT or PATCH',
    ],
  ])("that is in use is not given again: $kind", (mutation, refusal) => {
    expect(refusalOf(state, mutation)).toBe(refusal);
  });

  test.each<[Mutation, string]>([
    [{ kind: "network.patch", name: "green", patch: { mtu: 1400 } }, 'no network is named "green"'],
    [remove("network", "green"), 'no network is named "green"'],
    [{ kind: "host.patch", name: "z", patch: { down: true } }, 'no host is named "z"'],
    [remove("host", "z"), 'no host is named "z"'],
    [{ kind: "host.delete", name: "z", force: true }, 'no host is named "z"'],
    [{ kind: "host.evacuate", name: "z", to: ["a"] }, 'no host is named "z"'],
    [{ kind: "vm.patch", name: "v9", patch: { host: "a" } }, 'no VM is named "v9"'],
    [remove("vm", "v9"), 'no VM is named "v9"'],
    [migrated("v9", "a"), 'no VM is named "v9"'],
    [{ kind: "vm.commit", name: "v9" }, 'no VM is named "v9"'],
    [{ kind: "vm.abort", name: "v9" }, 'no VM is named "v9"'],
  ])("that is unknown cannot be changed: $kind", (mutation, words) => {
    expect(refusalOf(state, mutation)).toBe(`not-found: ${words}`);
  });

  test.each(["network", "host", "vm"] as const)("that is unknown may be deleted if it is present: %s", (kind) => {
    expect(changesOf(state, [{ kind: `${kind}.delete`, name: "z", ifPresent: true } as Mutation])).toEqual([]);
    const name = { network: "red", host: "b", vm: "v1" }[kind];
    const present = { kind: `${kind}.delete`, name, ifPresent: true } as Mutation;
    expect(changesOf(state, [present])).toMatchObject([{ kind, before: { name }, after: null }]);
  });
});

describe("an expectation", () => {
  const state = stateOf(...base);
  const patch = (name: string, expect: Mutation["expect"]): Mutation => ({
    kind: "network.put",
    spec: parseNetwork(name, { vni: name === "blue" ? 100 : 300, subnets: ["10.0.0.0/24"], mtu: 1400 }),
    ...(expect ? { expect } : {}),
  });

  test.each<[string, Mutation["expect"], string]>([
    ["blue", { kind: "absent" }, 'network "blue" exists, at revision 1, but If-None-Match requires that it does not'],
    ["green", { kind: "present" }, 'network "green" does not exist, but If-Match wants that it exists'],
    [
      "green",
      { kind: "at", revisions: [rev(3), rev(4)] },
      'network "green" does not exist, but If-Match wants revision 3 or 4',
    ],
    [
      "blue",
      { kind: "at", revisions: [rev(3), rev(4)] },
      'network "blue" is at revision 1, but If-Match wants revision 3 or 4: read it again, and repeat your change on that',
    ],
  ])("that is wrong stops the change: of %s %j", (name, expectation, words) => {
    expect(refusalOf(state, patch(name, expectation))).toBe(`precondition-failed: ${words}`);
  });

  test.each<[string, Mutation["expect"]]>([
    ["blue", { kind: "present" }],
    ["blue", { kind: "at", revisions: [rev(3), rev(1)] }],
    ["green", { kind: "absent" }],
    ["green", undefined],
  ])("that is right lets it happen: of %s %j", (name, expectation) => {
    expect(changesOf(state, [patch(name, expectation)])).toHaveLength(1);
  });

  test("is checked for hosts and VMs too, and named with what it is about", () => {
    const absent = { kind: "absent" } as const;
    const full = stateOf(...base, vm("v1", "a", [nic(1)]));
    expect(refusalOf(full, { ...host("a", "192.0.2.1"), expect: absent })).toContain('host "a" exists');
    expect(refusalOf(full, { ...vm("v1", "a", [nic(1)]), expect: absent })).toContain('VM "v1" exists');
  });
});

describe("a network", () => {
  const state = stateOf(...base, vm("v1", "a", [nic(1)]));

  test("has a VNI of its own, among those that stand and those of the change set", () => {
    expect(refusalOf(state, network("green", 100))).toBe(
      'address-taken: VNI 100 belongs to network "blue": use another',
    );
    expect(refusalsOf(state, [network("green", 300), network("grey", 300)])).toEqual([
      [0, 'address-taken: VNI 300 belongs to network "grey": use another'],
      [1, 'address-taken: VNI 300 belongs to network "green": use another'],
    ]);
    expect(refusalOf(state, [remove("network", "red"), network("green", 200)])).toBeUndefined();
  });

  test("keeps its VNI while VMs are in it, those of the change set included", () => {
    const words = (name: string, vni: number, user: string) =>
      `immutable: network "${name}" keeps VNI ${vni} while VMs have interfaces in it, such as "${user}": make another network`;
    expect(refusalOf(state, network("blue", 300))).toBe(words("blue", 100, "v1"));
    expect(refusalOf(state, [network("red", 300), vm("v2", "b", [nic(2, "red")])])).toBe(words("red", 200, "v2"));
    expect(refusalOf(state, network("red", 300))).toBeUndefined();
    expect(refusalOf(state, [network("blue", 300), remove("vm", "v1")])).toBeUndefined();
    expect(refusalOf(state, [network("blue", 300), vm("v1", "a", [nic(1, "red")])])).toBeUndefined();
  });

  test("keeps the subnets that addresses are in, unless their VMs change with it", () => {
    const narrowed = network("blue", 100, { subnets: ["10.0.1.0/24"] });
    expect(refusalOf(state, narrowed)).toBe(
      'in-use: VM "v1" has 10.0.0.1 in network "blue", but then 10.0.0.1 is in none of the subnets of network "blue" ' +
        "(10.0.1.0/24): change the VM first",
    );
    expect(refusalOf(state, [narrowed, remove("vm", "v1")])).toBeUndefined();
    expect(refusalOf(state, network("blue", 100, { subnets: ["10.0.0.0/25"] }))).toBeUndefined();
    expect(refusalOf(state, network("blue", 100, { subnets: ["10.0.0.0/24", "10.0.1.0/24"] }))).toBeUndefined();
  });

  test.each([
    [1, 'VM "v1"'],
    [2, '2 VMs ("v1", "v2")'],
    [3, '3 VMs ("v1", "v2", "v3")'],
    [4, '4 VMs ("v1", "v2", "v3", …)'],
  ])("with interfaces of %i VMs is not deleted", (count, users) => {
    const vms = Array.from({ length: count }, (_, i) => vm(`v${i + 1}`, "a", [nic(i + 1)]));
    expect(refusalOf(stateOf(...base, ...vms), remove("network", "blue"))).toBe(
      `in-use: network "blue" has interfaces of ${users}: remove these first`,
    );
  });

  test("is not deleted while the change set adds a VM to it; a VM with two interfaces in it is one", () => {
    expect(refusalsOf(stateOf(...base), [remove("network", "blue"), vm("v1", "a", [nic(1)])])).toEqual([
      [0, 'in-use: network "blue" has interfaces of VM "v1": remove these first'],
      [1, 'unknown-reference: VM "v1", interface "eth0": no network is named "blue"'],
    ]);
    expect(
      refusalsOf(stateOf(...base), [remove("network", "blue"), vm("v1", "a", [nic(2, "red"), nic(1)])])[0],
    ).toEqual([0, 'in-use: network "blue" has interfaces of VM "v1": remove these first']);
    const twice = vm("v1", "a", [nic(1), nic(2)]);
    expect(refusalOf(stateOf(...base, twice), remove("network", "blue"))).toContain('interfaces of VM "v1":');
    const other = vm("v9", "a", [nic(1, "red")]);
    expect(refusalOf(stateOf(...base), [remove("network", "blue"), other])).toBeUndefined();
  });
});

describe("a host", () => {
  const state = stateOf(...base, vm("v1", "a", [nic(1)]));

  test("has a tunnel end of its own: an address and a port", () => {
    expect(refusalOf(state, host("d", "192.0.2.1"))).toBe(
      'address-taken: VTEP 192.0.2.1 port 4789 belongs to host "a": take another address or port',
    );
    expect(refusalOf(state, host("d", "192.0.2.1", { port: 4790 }))).toBeUndefined();
    expect(refusalsOf(state, [host("d", "192.0.2.8"), host("e", "192.0.2.8")]).map(([i]) => i)).toEqual([0, 1]);
    expect(refusalOf(state, [host("d", "192.0.2.8"), host("e", "192.0.2.8", { port: 4790 })])).toBeUndefined();
    expect(refusalOf(state, [remove("host", "b"), host("d", "192.0.2.2")])).toBeUndefined();
  });

  test("with VMs, or prepared for some, is not deleted", () => {
    expect(refusalOf(state, remove("host", "a"))).toBe('in-use: host "a" runs VM "v1": move or delete them first');
    const moving = stateOf(...base, vm("v1", "a", [nic(1)]), migrated("v1", "b"));
    expect(refusalOf(moving, remove("host", "b"))).toBe('in-use: host "b" is prepared for VM "v1": abort that first');
    expect(refusalOf(moving, [remove("host", "b"), { kind: "vm.abort", name: "v1" }])).toBeUndefined();
    expect(refusalsOf(state, [remove("host", "b"), migrated("v1", "b")])).toEqual([
      [0, 'in-use: host "b" is prepared for VM "v1": abort that first'],
      [1, 'unknown-reference: VM "v1": no host is named "b"'],
    ]);
  });

  test("that is marked down gets no VM, unless in the change set with the mark; what is on it may stay", () => {
    const down: Mutation = { kind: "host.patch", name: "b", patch: { down: true } };
    const fallen = stateOf(...base, vm("v1", "a", [nic(1)]), vm("v2", "b", [nic(2)]), down);
    const words = (name: string) =>
      `host-down: VM "${name}": host "b" is marked down: place the VM on another one, or say that the host is up ` +
      '(PATCH /v1/hosts/b {"down": false})';
    expect(refusalsOf(fallen, [vm("v3", "b", [nic(3)])])).toEqual([[0, words("v3")]]);
    expect(refusalOf(fallen, { kind: "vm.patch", name: "v1", patch: { host: "b" } })).toBe(words("v1"));
    expect(refusalOf(fallen, migrated("v1", "b"))).toBe(words("v1"));
    expect(refusalOf(fallen, vm("v2", "b", [nic(2), nic(4)]))).toBeUndefined();
    expect(refusalOf(state, [down, vm("v3", "b", [nic(3)])])).toBeUndefined();
    expect(refusalOf(fallen, [down, vm("v3", "b", [nic(3)])])).toBe(words("v3"));
    const up: Mutation = { kind: "host.patch", name: "b", patch: { down: false } };
    expect(refusalOf(fallen, [up, vm("v3", "b", [nic(3)])])).toBeUndefined();
  });

  test("has so many VMs at most; moving one away is always possible, and an exchange is too", () => {
    const address = (i: number) => ({
      network: "wide",
      mac: `52:54:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`,
      ips: [],
    });
    const wide = network("wide", 900);
    const many = Array.from({ length: limits.vmsPerHost }, (_, i) => vm(`v${i}`, "a", [address(i)]));
    const full = stateOf(...base, wide, ...many);
    expect(refusalOf(full, vm("more", "a", [address(9_999)]))).toBe(
      'limit-exceeded: host "a" would have more than 4096 VMs: place VM "more" on another one',
    );
    expect(refusalsOf(full, [vm("more", "a", [address(9_999)])])[0]?.[0]).toBe(0);
    expect(refusalOf(full, vm("more", "b", [address(9_999)]))).toBeUndefined();
    expect(refusalOf(full, [vm("more", "a", [address(9_999)]), remove("vm", "v0")])).toBeUndefined();
    expect(refusalOf(full, { kind: "vm.patch", name: "v0", patch: { host: "b" } })).toBeUndefined();
    expect(refusalOf(full, vm("v0", "a", [{ ...address(0), ips: ["10.0.0.1"] }]))).toBeUndefined();
  });
});

describe("a host that is evacuated or deleted by force", () => {
  const state = stateOf(...base, vm("v1", "a", [nic(1)]), vm("v2", "a", [nic(2)]), vm("v3", "b", [nic(3)]));

  test("needs hosts that its VMs can go to", () => {
    expect(refusalOf(state, { kind: "host.evacuate", name: "a", to: ["b", "a"] })).toBe(
      'invalid-input: to: "a" is the host that is being evacuated',
    );
    expect(refusalOf(state, { kind: "host.evacuate", name: "a", to: ["b", "z"] })).toBe(
      'unknown-reference: to: no host is named "z"',
    );
  });

  test("and that runs VMs must be marked down first", () => {
    const force: Mutation = { kind: "host.delete", name: "a", force: true };
    expect(refusalOf(state, force)).toBe(
      'in-use: host "a" runs 2 VMs and is not marked down: deleting it by force would delete them too. If it is dead, mark ' +
        'it down first (PATCH /v1/hosts/a {"down": true})',
    );
    expect(refusalOf(stateOf(...base), force)).toBeUndefined();
  });
});

describe("a VM", () => {
  const state = stateOf(...base, vm("v1", "a", [nic(1)]));

  test("is on a host and in networks that there are", () => {
    expect(refusalOf(state, vm("v2", "z", [nic(2)]))).toBe('unknown-reference: VM "v2": no host is named "z"');
    expect(refusalOf(state, migrated("v1", "z"))).toBe('unknown-reference: VM "v1": no host is named "z"');
    expect(refusalOf(state, vm("v2", "a", [nic(2, "green")]))).toBe(
      'unknown-reference: VM "v2", interface "eth0": no network is named "green"',
    );
  });

  test.each([
    ["10.9.0.1", '10.9.0.1 is in none of the subnets of network "blue" (10.0.0.0/24)'],
    ["10.0.0.0", "10.0.0.0 is the network address of 10.0.0.0/24, which no guest can have"],
    ["10.0.0.255", "10.0.0.255 is the broadcast address of 10.0.0.0/24, which no guest can have"],
  ])("cannot have the address %s", (ip, words) => {
    expect(refusalOf(state, vm("v2", "a", [nic(2, "blue", { ips: [ip] })]))).toBe(
      `outside-subnets: VM "v2", interface "eth0": ${words}`,
    );
  });

  test("cannot have an address in none of several subnets", () => {
    const wide = stateOf(...base, network("wide", 700, { subnets: ["10.1.0.0/24", "10.2.0.0/24"] }));
    expect(refusalOf(wide, vm("v2", "a", [nic(2, "wide")]))).toContain(
      '10.0.0.2 is in none of the subnets of network "wide" (10.1.0.0/24, 10.2.0.0/24)',
    );
  });

  test("cannot have the anycast address of an IPv6 subnet", () => {
    const six = stateOf(...base, network("six", 600, { subnets: ["fd00::/64"] }));
    expect(refusalOf(six, vm("v2", "a", [nic(2, "six", { ips: ["fd00::"] })]))).toContain(
      "fd00:: is the subnet-router anycast address of fd00::/64, which no guest can have",
    );
  });

  test("has addresses of its own in each network", () => {
    const taken = (address: string) =>
      `address-taken: VM "v2", interface "eth0": ${address} belongs to VM "v1", interface "eth0" on host "a" in network ` +
      '"blue": take another, or free it there';
    expect(refusalOf(state, vm("v2", "b", [nic(2, "blue", { mac: "52:54:00:00:00:01" })]))).toBe(
      taken("52:54:00:00:00:01"),
    );
    expect(refusalOf(state, vm("v2", "b", [nic(2, "blue", { ips: ["10.0.0.2", "10.0.0.1"] })]))).toBe(
      taken("10.0.0.1"),
    );
    expect(refusalOf(state, vm("v2", "b", [nic(1, "red")]))).toBeUndefined();
    expect(refusalOf(state, [vm("v2", "b", [nic(1)]), vm("v1", "a", [nic(3)])])).toBeUndefined();
    const [double] = refusalsOf(state, [vm("v2", "b", [nic(2)]), vm("v3", "b", [nic(2)])]);
    expect(double).toEqual([1, expect.stringContaining('belongs to VM "v2"')]);
    expect(refusalOf(state, vm("v2", "b", [nic(2), nic(3, "blue", { ips: ["10.0.0.2"] })]))).toContain(
      'interface "eth1": 10.0.0.2 belongs to VM "v2", interface "eth0"',
    );
  });

  test("whose fault is one of several has its mutation named, and the others are judged too", () => {
    const wrong = [
      vm("v2", "z", [nic(2)]),
      vm("v3", "a", [nic(3)]),
      vm("v4", "a", [nic(4, "green")]),
      remove("vm", "v9"),
    ];
    expect(refusalsOf(state, wrong).map(([mutation, words]) => [mutation, words.split(":")[0]])).toEqual([
      [3, "not-found"],
      [0, "unknown-reference"],
      [2, "unknown-reference"],
    ]);
  });
});

describe("a migration", () => {
  const state = stateOf(...base, vm("v1", "a", [nic(1)]), vm("v2", "a", [nic(2)]), migrated("v2", "b"));

  test("goes to another host than the VM's, and one at a time", () => {
    expect(refusalOf(state, migrated("v1", "a"))).toBe('migration-conflict: VM "v1" is on host "a" already');
    expect(refusalOf(state, migrated("v2", "c"))).toBe(
      'migration-conflict: VM "v2" is being migrated to host "b": commit that first, or abort it',
    );
    expect(changesOf(state, [migrated("v2", "b")])).toEqual([]);
    expect(changesOf(state, [migrated("v1", "b")])).toMatchObject([
      { after: { host: "a", preparedHost: "b", revision: 2 } },
    ]);
  });

  test("is committed where it was prepared, once or again", () => {
    const commit = (name: string, on?: string): Mutation => ({ kind: "vm.commit", name, ...(on ? { host: on } : {}) });
    expect(refusalOf(state, commit("v1"))).toBe(
      'migration-conflict: VM "v1" is on host "a", and no other is prepared for it: prepare one first, or move it',
    );
    expect(refusalOf(state, commit("v2", "c"))).toBe(
      'migration-conflict: VM "v2" is being migrated to host "b", not to "c"',
    );
    expect(changesOf(state, [commit("v1", "a")])).toEqual([]);
    for (const on of [undefined, "b"]) {
      const [change] = changesOf(state, [commit("v2", on)]);
      expect(change?.after).toMatchObject({ host: "b", revision: 2 });
      expect(change?.after).not.toHaveProperty("preparedHost");
    }
  });

  test("is given up by an abort, and by another host for the VM; not by a change of something else", () => {
    expect(changesOf(state, [{ kind: "vm.abort", name: "v1" }])).toEqual([]);
    const [aborted] = changesOf(state, [{ kind: "vm.abort", name: "v2" }]);
    expect(aborted?.after).toMatchObject({ host: "a", revision: 2 });
    expect(aborted?.after).not.toHaveProperty("preparedHost");
    const [moved] = changesOf(state, [vm("v2", "c", [nic(2)])]);
    expect(moved?.after).not.toHaveProperty("preparedHost");
    const [changed] = changesOf(state, [vm("v2", "a", [nic(3)])]);
    expect(changed?.after).toHaveProperty("preparedHost", "b");
  });
});

describe("the hosts of a network", () => {
  const six = host("six", "2001:db8::1");
  const mixed = (v4: string, v6: string) =>
    `mixed-underlay: network "blue" would span host "${v4}" with an IPv4 VTEP and host "${v6}" with an IPv6 VTEP: use hosts of one family`;
  const state = stateOf(...base, six, vm("v1", "a", [nic(1)]));

  test("have VTEPs of one family, also those that are prepared", () => {
    expect(refusalsOf(state, [vm("v2", "six", [nic(2)])])).toEqual([[0, mixed("a", "six")]]);
    expect(refusalOf(state, migrated("v1", "six"))).toBe(mixed("a", "six"));
    expect(refusalOf(state, vm("v2", "six", [nic(2, "red")]))).toBeUndefined();
    expect(refusalOf(stateOf(...base, six, vm("v1", "six", [nic(1)])), vm("v2", "a", [nic(2)]))).toBe(
      mixed("a", "six"),
    );
  });

  test("are those of VMs that stay, whichever leave", () => {
    const two = stateOf(...base, six, vm("v1", "a", [nic(1)]), vm("v9", "a", [nic(9)]));
    expect(refusalOf(two, vm("v1", "six", [nic(1)]))).toBe(mixed("a", "six"));
    expect(refusalOf(two, [vm("v1", "six", [nic(1)]), remove("vm", "v9")])).toBeUndefined();
  });

  test("may all change at once, VMs or hosts", () => {
    expect(refusalOf(state, vm("v1", "six", [nic(1)]))).toBeUndefined();
    expect(refusalOf(state, [vm("v1", "six", [nic(1)]), vm("v2", "six", [nic(2)])])).toBeUndefined();
    expect(refusalOf(state, [remove("vm", "v1"), vm("v2", "six", [nic(2)])])).toBeUndefined();
    const twice = stateOf(...base, six, vm("v1", "a", [nic(1), nic(3)]));
    expect(refusalOf(twice, vm("v1", "six", [nic(1), nic(3)]))).toBeUndefined();
    expect(refusalOf(twice, [vm("v1", "a", [nic(1)]), vm("v2", "six", [nic(2)])])).toBe(mixed("a", "six"));
  });

  test("change family together, or while no VM of a network is left behind", () => {
    const two = stateOf(...base, vm("v1", "a", [nic(1)]), vm("v2", "b", [nic(2)]));
    const turned = host("a", "2001:db8::a");
    expect(refusalOf(two, turned)).toBe(mixed("b", "a"));
    expect(refusalsOf(two, [turned, host("b", "192.0.2.99")])).toEqual([[1, mixed("b", "a")]]);
    expect(refusalOf(two, [turned, host("b", "2001:db8::b")])).toBeUndefined();
    expect(refusalOf(two, [turned, vm("v2", "a", [nic(2)])])).toBeUndefined();
    expect(refusalOf(two, host("c", "2001:db8::c"))).toBeUndefined();
    expect(refusalOf(two, host("a", "192.0.2.77"))).toBeUndefined();
  });
});
