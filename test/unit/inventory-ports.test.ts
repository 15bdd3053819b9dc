// Ports of interfaces, and guests nested in others that share theirs (ADR 0151).
import { describe, expect, test } from "vitest";
import type { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { parseRevision } from "../../schema/address/index.ts";
import { parseVm, type Vm } from "../../schema/rest/index.ts";
import { changesOf, host, network, nic, refusalOf, refusalsOf, stateOf, vm } from "../support/decisions.ts";

const base = [
  network("blue", 100),
  network("red", 200),
  host("a", "192.0.2.1"),
  host("b", "192.0.2.2"),
  host("c", "192.0.2.3"),
];
const onPort = (n: number, port: string, inNetwork = "blue") => nic(n, inNetwork, { port });
const inside = (n: number, parent: string, inNetwork = "blue") => nic(n, inNetwork, { parent });
const migrated = (name: string, to: string): Mutation => ({ kind: "vm.prepare", name, host: to });
const blueOnly = { scope: new Set(["blue"]) };

describe("a port", () => {
  const state = stateOf(...base, vm("v1", "a", [onPort(1, "tap1")]));
  const taken = (own: string, port: string, where: string, key: string) => {
    const [other, name] = key.split("/");
    return (
      `port-conflict: VM "${own}", interface "eth0": port "${port}" is in use on host "${where}" by VM "${other}", interface ` +
      `"${name}": name another port, or none, or for a guest inside that VM the parent "${key}"`
    );
  };

  test("of a host belongs to one interface", () => {
    expect(refusalOf(state, vm("v2", "a", [onPort(2, "tap1")]))).toBe(taken("v2", "tap1", "a", "v1/eth0"));
    expect(refusalOf(state, vm("v2", "b", [onPort(2, "tap1")]))).toBeUndefined();
    expect(refusalOf(state, vm("v2", "a", [onPort(2, "tap2")]))).toBeUndefined();
    expect(refusalOf(state, vm("v1", "a", [onPort(1, "tap1"), nic(2)]))).toBeUndefined();
  });

  test("belongs to one interface of a VM, and of a change set", () => {
    expect(refusalOf(state, vm("v2", "a", [onPort(2, "tap2"), onPort(3, "tap2")]))).toBe(
      taken("v2", "tap2", "a", "v2/eth1"),
    );
    expect(refusalsOf(state, [vm("v2", "a", [onPort(2, "tap2")]), vm("v3", "a", [onPort(3, "tap2")])])).toEqual([
      [0, taken("v2", "tap2", "a", "v3/eth0")],
      [1, taken("v3", "tap2", "a", "v2/eth0")],
    ]);
  });

  test("is taken on the host that a VM is prepared on, and only there and where it runs", () => {
    const moving = stateOf(...base, vm("v1", "a", [onPort(1, "tap1")]), migrated("v1", "b"));
    for (const where of ["a", "b"]) {
      expect(refusalOf(moving, vm("v2", where, [onPort(2, "tap1")]))).toBe(taken("v2", "tap1", where, "v1/eth0"));
    }
    expect(refusalOf(moving, vm("v2", "c", [onPort(2, "tap1")]))).toBeUndefined();
    const other = stateOf(...base, vm("v1", "a", [onPort(1, "tap1")]), vm("v2", "b", [onPort(2, "tap1")]));
    expect(refusalOf(other, migrated("v1", "b"))).toBe(taken("v1", "tap1", "b", "v2/eth0"));
  });

  test("may be exchanged or handed on in one change set", () => {
    const two = stateOf(...base, vm("v1", "a", [onPort(1, "tap1")]), vm("v2", "a", [onPort(2, "tap2")]));
    const exchange = [vm("v1", "a", [onPort(1, "tap2")]), vm("v2", "a", [onPort(2, "tap1")])];
    expect(refusalOf(two, exchange)).toBeUndefined();
    expect(refusalOf(two, [{ kind: "vm.delete", name: "v1" }, vm("v2", "a", [onPort(2, "tap1")])])).toBeUndefined();
  });

  test("of an interface that a caller may not see is taken without a word on whose it is", () => {
    expect(
      refusalOf(
        stateOf(...base, vm("v1", "a", [onPort(1, "tap1", "red")])),
        vm("v2", "a", [onPort(2, "tap1")]),
        blueOnly,
      ),
    ).toBe('port-conflict: VM "v2", interface "eth0": port "tap1" is in use on host "a": name another port, or none');
    expect(refusalOf(state, vm("v2", "a", [onPort(2, "tap1")]), blueOnly)).toContain('by VM "v1"');
  });
});

describe("a port that two interfaces have, from an earlier version", () => {
  /** As it was stored: nothing checks it. */
  function storedTwice(at = "eth0"): CommittedInventory {
    const state = stateOf(...base);
    for (const [name, n] of [
      ["v1", 1],
      ["v2", 2],
    ] as const) {
      const first = at === "eth0" ? [] : [nic(n + 6)];
      const spec = parseVm(name, { host: "a", interfaces: [...first, onPort(n, "tap1")] });
      const after = { ...spec, uid: name, revision: parseRevision(1) } as Vm;
      state.apply([{ kind: "vm", before: null, after }]);
    }
    return state;
  }
  const patch = (patch: Extract<Mutation, { kind: "vm.patch" }>["patch"]): Mutation => ({
    kind: "vm.patch",
    name: "v1",
    patch,
  });

  test("stays until its interface or its host changes", () => {
    expect(refusalOf(storedTwice(), patch({ labels: { tier: "web" } }))).toBeUndefined();
    expect(
      refusalOf(storedTwice(), patch({ interfaces: { eth1: { network: "red", mac: "52:54:00:00:00:09", ips: [] } } })),
    ).toBeUndefined();
    expect(refusalOf(storedTwice(), patch({ interfaces: { eth0: { ips: ["10.0.0.9"] } } }))).toContain("port-conflict");
    expect(refusalOf(storedTwice(), patch({ interfaces: { eth0: { port: "tap2" } } }))).toBeUndefined();
    expect(refusalOf(storedTwice(), patch({ host: "b" }))).toBeUndefined();
    const other = [...base.slice(3, 4), vm("v3", "b", [onPort(3, "tap1")])];
    const state = storedTwice();
    state.apply(changesOf(state, other));
    const behind = storedTwice("eth1");
    expect(refusalOf(behind, patch({ labels: { tier: "web" } }))).toBeUndefined();
    expect(refusalOf(state, patch({ host: "b" }))).toContain('is in use on host "b" by VM "v3"');
  });
});

describe("a port that another interface of a VM has", () => {
  test("is taken without a word on that VM where the caller sees only its other interfaces", () => {
    const state = stateOf(...base, vm("v1", "a", [nic(1), onPort(2, "tap1", "red")]));
    expect(refusalOf(state, vm("v2", "a", [onPort(3, "tap1")]), blueOnly)).toBe(
      'port-conflict: VM "v2", interface "eth0": port "tap1" is in use on host "a": name another port, or none',
    );
  });
});

describe("a nested guest", () => {
  const state = stateOf(
    ...base,
    vm("v1", "a", [onPort(1, "tap1"), onPort(2, "tap2", "red"), nic(3)]),
    vm("v2", "a", [inside(4, "v1/eth0")]),
  );
  const refused = (words: string) => `port-conflict: VM "v3", interface "eth0": its parent ${words}`;

  test("has the port of its parent, in its network and on its host", () => {
    expect(refusalOf(state, vm("v3", "a", [inside(5, "v1/eth0")]))).toBeUndefined();
    expect(refusalOf(state, vm("v3", "a", [inside(5, "v1/eth1", "red")]))).toBeUndefined();
    expect(refusalOf(state, vm("v3", "a", [inside(5, "v1/eth1")]))).toBe(
      refused('"v1/eth1" is in network "red", not in "blue"'),
    );
    expect(refusalOf(state, vm("v3", "b", [inside(5, "v1/eth0")]))).toBe(
      refused('"v1/eth0" is on host "a", not on "b": place both on one host in the same change (import)'),
    );
  });

  test("needs a parent that exists, has a port and is not nested itself", () => {
    for (const key of ["v9/eth0", "v1/eth9"]) {
      expect(refusalOf(state, vm("v3", "a", [inside(5, key)]))).toBe(
        `unknown-reference: VM "v3", interface "eth0": its parent "${key}" is not an interface of any VM`,
      );
    }
    expect(refusalOf(state, vm("v3", "a", [inside(5, "v1/eth2")]))).toBe(
      refused('"v1/eth2" has no port: give it one first'),
    );
    expect(refusalOf(state, vm("v3", "a", [inside(5, "v2/eth0")]))).toBe(
      refused('"v2/eth0" is itself nested: name its parent "v1/eth0"'),
    );
  });

  test("may come and move with its parent in one change set", () => {
    const both = [vm("v1", "b", [onPort(1, "tap1")]), vm("v2", "b", [inside(4, "v1/eth0")])];
    expect(refusalOf(state, both)).toBeUndefined();
    expect(refusalOf(stateOf(...base), [...both].reverse())).toBeUndefined();
  });

  test("is prepared on a host only where its parent is or will be", () => {
    const elsewhere = (name: string, where: string, missing: string) =>
      `port-conflict: VM "${name}", interface "eth0": its parent "v1/eth0" is on host ${where}, not on "${missing}": place both on one ` +
      "host in the same change (import)";
    expect(refusalOf(state, migrated("v2", "b"))).toBe(elsewhere("v2", '"a"', "b"));
    expect(refusalOf(state, [migrated("v1", "b"), migrated("v2", "b")])).toBeUndefined();
    const moving = stateOf(...base, vm("v1", "a", [onPort(1, "tap1")]), migrated("v1", "b"));
    expect(refusalOf(moving, vm("v2", "b", [inside(4, "v1/eth0")]))).toBeUndefined();
    expect(refusalOf(moving, vm("v2", "c", [inside(4, "v1/eth0")]))).toBe(elsewhere("v2", '"a" and on "b"', "c"));
  });

  test.each<[string, Mutation]>([
    ["deleted", { kind: "vm.delete", name: "v1" }],
    ["moved", { kind: "vm.patch", name: "v1", patch: { host: "b" } }],
    ["left without its port", { kind: "vm.patch", name: "v1", patch: { interfaces: { eth0: { port: null } } } }],
    [
      "put into another network",
      { kind: "vm.patch", name: "v1", patch: { interfaces: { eth0: { network: "red", ips: [] } } } },
    ],
  ])("keeps its parent from being %s alone", (_, mutation) => {
    expect(refusalOf(state, mutation)).toBe(
      'in-use: VM "v1", interface "eth0" is the parent of nested guests, such as VM "v2", interface "eth0": change, move or ' +
        "delete them in the same change (import), or first",
    );
    expect(refusalsOf(state, [mutation])[0]?.[0]).toBe(0);
    expect(refusalOf(state, [mutation, { kind: "vm.delete", name: "v2" }])).toBeUndefined();
  });

  test("keeps its parent no longer than it is there", () => {
    const left = stateOf(...base, vm("v1", "a", [onPort(1, "tap1")]), vm("v2", "a", [inside(4, "v1/eth0")]));
    left.apply(changesOf(left, [{ kind: "vm.delete", name: "v2" }]));
    expect(refusalOf(left, { kind: "vm.delete", name: "v1" })).toBeUndefined();
  });

  test("with several parents is judged by those that are new to each of its interfaces", () => {
    const parents = [
      vm("p1", "a", [onPort(1, "tap1")]),
      vm("p2", "a", [onPort(2, "tap2"), nic(3, "red")]),
      vm("child", "a", [inside(4, "p1/eth0"), inside(5, "p2/eth0")]),
    ];
    const patch: Mutation = { kind: "vm.patch", name: "child", patch: { labels: { tier: "web" } } };
    expect(refusalOf(stateOf(...base, ...parents), patch, blueOnly)).toBeUndefined();
  });

  test("does not keep its parent from changes that leave it what it needs", () => {
    const other: Mutation = {
      kind: "vm.patch",
      name: "v1",
      patch: { interfaces: { eth0: { port: "tap9" }, eth1: null } },
    };
    expect(refusalOf(state, other)).toBeUndefined();
  });

  test("is placed by a caller who may change the parent, and stays where another placed it", () => {
    const forbidden =
      'forbidden: VM "v3", interface "eth0": VM "v1" also has interfaces in networks that are not yours: to name it as a ' +
      "parent requires a token for all of them";
    expect(refusalOf(state, vm("v3", "a", [inside(5, "v1/eth0")]), blueOnly)).toBe(forbidden);
    expect(
      refusalOf(state, vm("v3", "a", [inside(5, "v1/eth0")]), { scope: new Set(["blue", "red"]) }),
    ).toBeUndefined();
    const patch: Mutation = { kind: "vm.patch", name: "v2", patch: { labels: { tier: "web" } } };
    expect(refusalOf(state, patch, blueOnly)).toBeUndefined();
    const hidden = stateOf(...base, vm("v1", "a", [onPort(1, "tap1", "red")]));
    expect(refusalOf(hidden, vm("v3", "a", [inside(5, "v1/eth0")]), blueOnly)).toBe(
      'unknown-reference: VM "v3", interface "eth0": its parent "v1/eth0" is not an interface of any VM',
    );
  });

  test("cannot name an interface of its parent that the caller may not see", () => {
    expect(refusalOf(state, vm("v3", "a", [inside(5, "v1/eth1")]), blueOnly)).toContain(
      'its parent "v1/eth1" is not an interface of any VM',
    );
  });
});
