// Decisions about whole change sets, and those that no single request provokes; the refusals of single requests are in
// test/integration/rest.test.ts.
import { describe, expect, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { decide, type Mutation } from "../../controller/inventory/decide.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { Refusal } from "../../controller/inventory/refusal.ts";
import { findAddressFault } from "../../controller/inventory/subnet-rules.ts";
import { parseIp, parseRevision } from "../../schema/address/index.ts";
import type { KnowledgeChoice } from "../../schema/plain/index.ts";
import { parseHost, parseNetwork, parseVm } from "../../schema/rest/index.ts";

const host = (name: string, vtep: string, origin: "operator" | "agent" = "operator"): Mutation => ({
  kind: origin === "agent" ? "host.register" : "host.put",
  spec: parseHost(name, { vtep }, origin),
});
const network = (name: string, vni: number, subnets = ["10.0.0.0/24"]): Mutation => ({
  kind: "network.put",
  spec: parseNetwork(name, { vni, subnets }),
});
const vm = (name: string, on: string, n: number, inNetwork = "blue"): Mutation => ({
  kind: "vm.put",
  spec: parseVm(name, {
    host: on,
    interfaces: [{ network: inNetwork, mac: `52:54:00:00:00:0${n}`, ips: [`10.0.0.${n}`] }],
  }),
});

function stateOf(...mutations: Mutation[]): Inventory {
  const state = new CommittedInventory();
  state.apply(decide(state, mutations, { revision: parseRevision(1), newUid: () => "uid" }).changes);
  return state;
}

const next = { revision: parseRevision(2), newUid: () => "uid-2" };
const base = [network("blue", 100), network("red", 200), host("a", "192.0.2.1"), host("b", "192.0.2.2")];

describe("one change set", () => {
  test("may swap the addresses of two VMs", () => {
    const state = stateOf(...base, vm("v1", "a", 1), vm("v2", "b", 2));
    const { changes } = decide(state, [vm("v1", "a", 2), vm("v2", "b", 1)], next);
    expect(changes).toHaveLength(2);
    expect(() => decide(state, [vm("v1", "a", 2)], next)).toThrow(Refusal);
  });

  test("may swap the VNIs of empty networks and the VTEPs of hosts", () => {
    const state = stateOf(...base);
    const swap = [network("blue", 200), network("red", 100), host("a", "192.0.2.2"), host("b", "192.0.2.1")];
    expect(decide(state, swap, next).changes).toHaveLength(4);
    expect(() => decide(state, [network("blue", 200)], next)).toThrow('VNI 200 belongs to network "red"');
  });

  test("may change all hosts of a network to the other underlay family, but not one of them", () => {
    const state = stateOf(...base, vm("v1", "a", 1), vm("v2", "b", 2));
    expect(decide(state, [host("a", "2001:db8::1"), host("b", "2001:db8::2")], next).changes).toHaveLength(2);
    expect(() => decide(state, [host("a", "2001:db8::1")], next)).toThrow(/IPv4 VTEP.*IPv6 VTEP/);
  });

  test("may empty and delete a network and a host", () => {
    const state = stateOf(...base, vm("v1", "a", 1));
    const all: Mutation[] = [
      { kind: "network.delete", name: "blue" },
      { kind: "host.delete", name: "a" },
      { kind: "vm.delete", name: "v1" },
    ];
    expect(decide(state, all, next).changes.map(({ after }) => after)).toEqual([null, null, null]);
    expect(() => decide(state, all.slice(0, 2), next)).toThrow('network "blue" has interfaces of VM "v1"');
  });

  test("may move addresses out of a subnet that it removes", () => {
    const state = stateOf(
      network("blue", 100, ["10.0.0.0/24", "10.0.1.0/24"]),
      host("a", "192.0.2.1"),
      vm("v1", "a", 1),
    );
    const narrowed = network("blue", 100, ["10.0.1.0/24"]);
    expect(() => decide(state, [narrowed], next)).toThrow('VM "v1" has 10.0.0.1');
    const moved = parseVm("v1", {
      host: "a",
      interfaces: [{ network: "blue", mac: "52:54:00:00:00:01", ips: ["10.0.1.1"] }],
    });
    expect(decide(state, [narrowed, { kind: "vm.put", spec: moved }], next).changes).toHaveLength(2);
  });

  test("that creates and deletes the same changes nothing", () => {
    const state = stateOf(...base);
    expect(decide(state, [vm("v1", "a", 1), { kind: "vm.delete", name: "v1" }], next).changes).toEqual([]);
  });

  test("that deletes a name and creates it again gives a new uid, in one change", () => {
    const state = stateOf(...base, vm("v1", "a", 1));
    const { changes } = decide(state, [{ kind: "vm.delete", name: "v1" }, vm("v1", "a", 1)], next);
    expect(changes).toMatchObject([{ kind: "vm", before: { uid: "uid" }, after: { uid: "uid-2", revision: 2 } }]);
  });

  test("with one wrong mutation changes nothing at all", () => {
    const state = stateOf(...base);
    expect(() => decide(state, [vm("v1", "a", 1), vm("v2", "a", 1)], next)).toThrow(Refusal);
    expect(state.listVms()).toEqual([]);
  });
});

describe("a host's self-registration", () => {
  test("registers it, and changes its previous values", () => {
    const state = stateOf(host("new", "192.0.2.9", "agent"));
    expect(state.findHost("new")?.origin).toBe("agent");
    expect(decide(state, [host("new", "192.0.2.8", "agent")], next).changes).toHaveLength(1);
  });

  test("has no effect after an operator's values, and becomes an operator's when confirmed", () => {
    const state = stateOf(...base, host("new", "192.0.2.9", "agent"));
    expect(decide(state, [host("a", "192.0.2.8", "agent")], next).changes).toEqual([]);
    expect(decide(state, [host("new", "192.0.2.9")], next).changes).toMatchObject([{ after: { origin: "operator" } }]);
  });
});

describe("the choice for a network that is auto", () => {
  const choice: KnowledgeChoice = { mode: "on-demand", addresses: 5, hosts: 2, changesPerMinute: 0 };
  const choose = (state: Inventory) => decide(state, [{ kind: "network.choose", name: "blue", choice }], next);
  const withKnowledge = (knowledge: "auto" | "prefetch"): Mutation => ({
    kind: "network.put",
    spec: parseNetwork("blue", { vni: 100, subnets: ["10.0.0.0/24"], knowledge }),
  });

  test("is the network's from the next revision on, and changes nothing else", () => {
    const state = stateOf(withKnowledge("auto"));
    const { changes } = choose(state);
    expect(changes).toEqual([
      {
        kind: "network",
        before: state.findNetwork("blue"),
        after: { ...state.findNetwork("blue"), knowledgeChosen: choice, revision: 2 },
      },
    ]);
  });

  test("is without effect where it is not auto any more, or gone", () => {
    expect(choose(stateOf(withKnowledge("prefetch"))).changes).toEqual([]);
    expect(choose(stateOf()).changes).toEqual([]);
  });
});

describe("addresses that no guest may have", () => {
  const all = parseNetwork("n", {
    vni: 1,
    subnets: [
      "10.0.0.0/30",
      "10.0.1.0/31",
      "10.0.2.0/32",
      "10.0.4.0/22",
      "fd00:1::/64",
      "fd00:2::/127",
      "fd00:3::/128",
    ],
  });

  test.each(["10.0.0.0", "10.0.0.3", "10.0.4.0", "10.0.7.255", "fd00:1::", "10.9.9.9", "fd00:2::2"])("%s", (ip) => {
    expect(findAddressFault(all, parseIp(ip))).toBeDefined();
  });

  test.each(["10.0.0.1", "10.0.0.2", "10.0.1.0", "10.0.1.1", "10.0.2.0", "10.0.4.255", "10.0.5.0"])("but %s", (ip) => {
    expect(findAddressFault(all, parseIp(ip))).toBeUndefined();
  });

  test.each(["fd00:1::ffff:ffff:ffff:ffff", "fd00:2::", "fd00:2::1", "fd00:3::", "fe80::1"])("but %s", (ip) => {
    expect(findAddressFault(all, parseIp(ip))).toBeUndefined();
  });
});
