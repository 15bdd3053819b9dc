import { expect, test } from "vitest";
import { bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { decide, type Mutation } from "../../controller/inventory/decide.ts";
import { Inventory } from "../../controller/inventory/inventory.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { keyText, parseRevision } from "../../schema/address/index.ts";
import { parseHost, parseNetwork, parseVm, type VmPutInput } from "../../schema/rest/index.ts";

const blue = (mtu = 1450, vni = 100): Mutation => ({
  kind: "network.put",
  spec: parseNetwork("blue", { vni, subnets: ["10.0.0.0/24"], mtu }),
});
const host = (name: string, vtep: string): Mutation => ({
  kind: "host.put",
  spec: parseHost(name, { vtep }, "operator"),
});
const vm = (name: string, on: string, ...interfaces: VmPutInput["interfaces"]): Mutation => ({
  kind: "vm.put",
  spec: parseVm(name, { host: on, interfaces }),
});
const eth0 = { network: "blue", mac: "52:54:00:00:00:01", ips: ["10.0.0.1", "10.0.0.2"] };

/** The changes of the last mutations after the first ones, in short. */
function changesAfter(first: Mutation[], last: Mutation[]) {
  const state = new Inventory();
  const apply = (mutations: Mutation[], revision: number) => {
    const decision = decide(state, mutations, { revision: parseRevision(revision), newUid: () => `uid-${revision}` });
    state.apply(decision.changes);
    return decision.changes;
  };
  apply(first, 1);
  const { keys, networks, gone, selves, deletedHosts } = atOnce(bindingChanges(state, apply(last, 2)));
  return {
    keys: keys
      .map(({ key, hosts, created }) => `${keyText(key)} ${[...hosts].join(",")}${created ? " created" : ""}`)
      .sort(),
    networks: [...networks].map(([name, list]) => `${name}: ${list.map(({ vni }) => vni).join(",")}`),
    gone: [...gone].map(([name, list]) => `${name}: ${list.join(",")}`),
    selves: selves.map(({ name }) => name),
    deletedHosts,
  };
}

const nothing = { keys: [], networks: [], gone: [], selves: [], deletedHosts: [] };
const base = [blue(), host("a", "192.0.2.1"), host("b", "192.0.2.2")];

test("a first VM creates its keys and brings the network to its host", () => {
  expect(changesAfter(base, [vm("v1", "a", eth0)])).toEqual({
    ...nothing,
    keys: ["100 10.0.0.1 a created", "100 10.0.0.2 a created", "100 52:54:00:00:00:01 a created"],
    networks: ["a: 100"],
  });
});

test("a move changes all keys, for both hosts, and brings the network to the new one", () => {
  expect(
    changesAfter([...base, vm("v1", "a", eth0)], [{ kind: "vm.patch", name: "v1", patch: { host: "b" } }]),
  ).toEqual({
    ...nothing,
    keys: ["100 10.0.0.1 a,b", "100 10.0.0.2 a,b", "100 52:54:00:00:00:01 a,b"],
    networks: ["b: 100"],
    gone: ["a: 100"],
  });
});

test("a change of one address touches that key alone", () => {
  const changed = { ...eth0, ips: ["10.0.0.1", "10.0.0.3"] };
  expect(changesAfter([...base, vm("v1", "a", eth0)], [vm("v1", "a", changed)])).toEqual({
    ...nothing,
    keys: ["100 10.0.0.2 a", "100 10.0.0.3 a created"],
  });
});

test("the router flag and the host's port are part of the answer", () => {
  const all = ["100 10.0.0.1 a", "100 10.0.0.2 a", "100 52:54:00:00:00:01 a"];
  const before = [...base, vm("v1", "a", eth0)];
  expect(changesAfter(before, [vm("v1", "a", { ...eth0, router: true })]).keys).toEqual(all);
  expect(changesAfter(before, [vm("v1", "a", { ...eth0, port: "tap0" })]).keys).toEqual(all);
});

test("renaming an interface, reordering its addresses, and changing the subnet concern no agent", () => {
  const before = [...base, vm("v1", "a", eth0)];
  expect(changesAfter(before, [vm("v1", "a", { ...eth0, name: "lan" })])).toEqual(nothing);
  expect(changesAfter(before, [vm("v1", "a", { ...eth0, ips: ["10.0.0.2", "10.0.0.1"] })])).toEqual(nothing);
  const wider = parseNetwork("blue", { vni: 100, subnets: ["10.0.0.0/24", "fd00::/64"] });
  expect(changesAfter(before, [{ kind: "network.put", spec: wider }])).toEqual(nothing);
});

test("a swap of addresses changes both, and creates none", () => {
  const other = { network: "blue", mac: "52:54:00:00:00:02", ips: ["10.0.0.9"] };
  const before = [...base, vm("v1", "a", { ...eth0, ips: ["10.0.0.1"] }), vm("v2", "b", other)];
  const swap = [vm("v1", "a", { ...eth0, ips: ["10.0.0.9"] }), vm("v2", "b", { ...other, ips: ["10.0.0.1"] })];
  expect(changesAfter(before, swap).keys).toEqual(["100 10.0.0.1 a,b", "100 10.0.0.9 b,a"]);
});

test("a new VTEP of a host changes the keys of all its VMs", () => {
  const before = [...base, vm("v1", "a", { ...eth0, ips: [] }), vm("v2", "b")];
  expect(changesAfter(before, [host("a", "192.0.2.9")])).toEqual({
    ...nothing,
    keys: ["100 52:54:00:00:00:01 a"],
    selves: ["a"],
  });
});

test("a new MTU reaches the hosts of the network", () => {
  expect(changesAfter([...base, vm("v1", "a", eth0)], [blue(8950)])).toEqual({ ...nothing, networks: ["a: 100"] });
});

test("a network with several VMs on the host stays when one of them leaves", () => {
  const before = [
    ...base,
    vm("v1", "a", { ...eth0, ips: [] }),
    vm("v2", "a", { ...eth0, mac: "52:54:00:00:00:02", ips: [] }),
  ];
  expect(changesAfter(before, [{ kind: "vm.delete", name: "v2" }])).toEqual({
    ...nothing,
    keys: ["100 52:54:00:00:00:02 a"],
  });
});

test("a network that is emptied and renumbered in one change is removed by its old VNI", () => {
  const before = [...base, vm("v1", "a", { ...eth0, ips: [] })];
  expect(changesAfter(before, [{ kind: "vm.delete", name: "v1" }, blue(1450, 300)])).toEqual({
    ...nothing,
    keys: ["100 52:54:00:00:00:01 a"],
    gone: ["a: 100"],
  });
});

test("a deleted host is named", () => {
  expect(changesAfter(base, [{ kind: "host.delete", name: "a" }])).toEqual({ ...nothing, deletedHosts: ["a"] });
});
