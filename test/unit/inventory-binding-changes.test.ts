import { expect, test } from "vitest";
import { fanOut } from "../../controller/agents/fan-out.ts";
import { InterestIndex } from "../../controller/agents/interest.ts";
import { type BindingChanges, bindingChanges } from "../../controller/inventory/binding-changes.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { decide, type Mutation } from "../../controller/inventory/decide.ts";
import type { HostVnis } from "../../controller/inventory/host-vnis.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { preparations } from "../../controller/inventory/prepared-guests.ts";
import { sideOf } from "../../controller/inventory/sides.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { type AgentNetwork, keyText, parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { parseHost, parseNetwork, parseVm, type VmPutInput } from "../../schema/rest/index.ts";
import { changesOf, stateOf } from "../support/decisions.ts";

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
const red: Mutation = { kind: "network.put", spec: parseNetwork("red", { vni: 200, subnets: ["10.0.0.0/24"] }) };
const eth1 = { network: "blue", mac: "52:54:00:00:00:02", ips: ["10.0.0.3"] };
const eth0 = { network: "blue", mac: "52:54:00:00:00:01", ips: ["10.0.0.1", "10.0.0.2"] };

/** The changes of the last mutations after the first ones, in short. */
function changesAfter(first: Mutation[], last: Mutation[]) {
  const state = new CommittedInventory();
  const apply = (mutations: Mutation[], revision: number) => {
    const decision = decide(state, mutations, { revision: parseRevision(revision), newUid: () => `uid-${revision}` });
    state.apply(decision.changes);
    return decision.changes;
  };
  apply(first, 1);
  const changes = atOnce(bindingChanges(state, apply(last, 2)));
  const { keys, gone, selves, deletedHosts } = changes;
  return {
    keys: [...keys]
      .flatMap((each) => each ?? [])
      .map(({ key, hosts, created }) => `${keyText(key)} ${[...hosts].join(",")}${created ? " created" : ""}`)
      .sort(),
    networks: networksPushed(state, changes, ({ vni }) => vni),
    gone: vnisOf(gone),
    selves: selves.map(({ name }) => name),
    deletedHosts,
    prepared: preparedPushed(state, changes),
  };
}

const vnisOf = (vnis: HostVnis) => [...vnis].map(([name, list]) => `${name}: ${[...list].join(",")}`);

/** By host. */
function networksPushed(state: Inventory, changes: BindingChanges, text: (network: AgentNetwork) => unknown) {
  const pushes = atOnce(fanOut(state, new InterestIndex(), changes, parseRevision(2)));
  return [...pushes].flatMap(([name, { networks }]) =>
    networks.length > 0 ? [`${name}: ${networks.map(text).join(",")}`] : [],
  );
}

/** Of guests that are being migrated to a host. */
function preparedPushed(state: Inventory, changes: BindingChanges) {
  const pushes = atOnce(fanOut(state, new InterestIndex(), changes, parseRevision(2)));
  return [...pushes].flatMap(([name, { prepared }]) =>
    prepared.map(({ vni, mac, ips, ...port }) => [`${name} ${vni} ${mac} ${ips ?? "no more"}`, port]),
  );
}

const nothing = { keys: [], networks: [], gone: [], selves: [], deletedHosts: [], prepared: [] };
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

/** By host, the networks in which it has its first VM, and those that it is sent. */
function joinedAfter(first: Mutation[], last: Mutation[]) {
  const state = stateOf(...first);
  const changes = changesOf(state, last);
  state.apply(changes);
  const concerned = atOnce(bindingChanges(state, changes));
  return { joined: vnisOf(concerned.joined), networks: networksPushed(state, concerned, ({ mtu }) => mtu) };
}

test("a host joins a network with its first VM there, or by being prepared for it, not by a change of the network", () => {
  const first = vm("v1", "a", eth0);
  expect(joinedAfter(base, [first])).toEqual({ joined: ["a: 100"], networks: ["a: 1450"] });
  expect(joinedAfter([...base, first], [vm("v2", "a", eth1)])).toEqual({ joined: [], networks: [] });
  const prepared: Mutation = { kind: "vm.prepare", name: "v1", host: "b" };
  expect(joinedAfter([...base, first], [prepared])).toEqual({ joined: ["b: 100"], networks: ["b: 1450"] });
  expect(joinedAfter([...base, first], [blue(1400)])).toEqual({ joined: [], networks: ["a: 1400"] });
  // Both at once name the network once.
  expect(joinedAfter([...base, first], [blue(1400), vm("v2", "b", eth1)])).toEqual({
    joined: ["b: 100"],
    networks: ["b: 1400", "a: 1400"],
  });
  expect(joinedAfter(base, [first, vm("v2", "a", eth1)])).toEqual({ joined: ["a: 100"], networks: ["a: 1450"] });
});

test("a host with VMs in two networks joins and leaves both", () => {
  const two = [...base, red];
  const both = vm("v1", "a", eth0, { ...eth1, network: "red" });
  expect(joinedAfter(two, [both])).toEqual({ joined: ["a: 100,200"], networks: ["a: 1450,1450"] });
  expect(changesAfter([...two, both], [{ kind: "vm.delete", name: "v1" }]).gone).toEqual(["a: 100,200"]);
  expect(changesAfter([...two, both], [vm("v1", "a", eth0)]).gone).toEqual(["a: 200"]);
});

test("a new description of a network, and new labels, change nothing for agents", () => {
  const described: Mutation = {
    kind: "network.patch",
    name: "blue",
    patch: { description: "new", labels: { tier: "web" } },
  };
  expect(changesAfter([...base, vm("v1", "a", eth0)], [described])).toEqual(nothing);
});

test("the other port of a tunnel end changes all keys behind it, and a host's labels none", () => {
  const stood = [...base, vm("v1", "a", eth0)];
  const port: Mutation = { kind: "host.put", spec: parseHost("a", { vtep: "192.0.2.1", port: 4790 }, "operator") };
  const keys = ["100 10.0.0.1 a", "100 10.0.0.2 a", "100 52:54:00:00:00:01 a"];
  expect(changesAfter(stood, [port])).toEqual({ ...nothing, keys, selves: ["a"] });
  const labels: Mutation = { kind: "host.patch", name: "a", patch: { labels: { rack: "r7" }, down: true } };
  expect(changesAfter(stood, [labels])).toEqual(nothing);
  expect(changesAfter(base, [host("c", "192.0.2.3")])).toEqual(nothing);
});

test("a VM that moves to a host whose tunnel end changes is one change of each key, for both hosts", () => {
  const stood = [...base, vm("v1", "a", eth0)];
  const moved = [host("b", "192.0.2.9"), { kind: "vm.patch", name: "v1", patch: { host: "b" } } as const];
  expect(changesAfter(stood, moved)).toMatchObject({
    keys: ["100 10.0.0.1 a,b", "100 10.0.0.2 a,b", "100 52:54:00:00:00:01 a,b"],
    selves: ["b"],
  });
});

test("a new port changes the keys of its interface and of guests nested in it, another interface's none of them", () => {
  const child = { network: "blue", mac: "52:54:00:00:00:03", ips: [], parent: "v1/eth0" };
  const parent = (port: string, second = "tap9") => vm("v1", "a", { ...eth0, port }, { ...eth1, port: second });
  const stood = [...base, parent("tap1"), vm("v2", "a", child)];
  const own = ["100 10.0.0.1 a", "100 10.0.0.2 a", "100 52:54:00:00:00:01 a"];
  expect(changesAfter(stood, [parent("tap2")]).keys).toEqual([...own, "100 52:54:00:00:00:03 a"]);
  expect(changesAfter(stood, [parent("tap1", "tap8")]).keys).toEqual(["100 10.0.0.3 a", "100 52:54:00:00:00:02 a"]);
  // Changed by itself as well: once.
  const both = [parent("tap2"), vm("v2", "a", { ...child, ips: ["10.0.0.4"] })];
  expect(changesAfter(stood, both).keys).toEqual([
    "100 10.0.0.1 a",
    "100 10.0.0.2 a",
    "100 10.0.0.4 a created",
    "100 52:54:00:00:00:01 a",
    "100 52:54:00:00:00:03 a",
  ]);
  expect(changesAfter([...base, parent("tap1")], [vm("v2", "a", child)]).keys).toEqual([
    "100 52:54:00:00:00:03 a created",
  ]);
});

test("new labels of a nested guest, of its parent or of both change nothing", () => {
  const child = { network: "blue", mac: "52:54:00:00:00:03", ips: [], parent: "v1/eth0" };
  const stood = [...base, vm("v1", "a", { ...eth0, port: "tap1" }), vm("v2", "a", child)];
  const labelled = (name: string): Mutation => ({ kind: "vm.patch", name, patch: { labels: { tier: "web" } } });
  for (const names of [["v1"], ["v2"], ["v1", "v2"]]) expect(changesAfter(stood, names.map(labelled))).toEqual(nothing);
});

test("the host of a prepared VM is sent its interfaces with their ports, each change of them, and their end", () => {
  const placed = vm("v1", "a", { ...eth0, port: "tap1" });
  const there = vm("v3", "b", { ...eth1, mac: "52:54:00:00:00:09", ips: ["10.0.0.9"] });
  const prepare: Mutation = { kind: "vm.prepare", name: "v1", host: "b" };
  const stood = [...base, placed, there];
  const at = "b 100 52:54:00:00:00:01";
  expect(changesAfter(stood, [prepare])).toEqual({
    ...nothing,
    prepared: [[`${at} 10.0.0.1,10.0.0.2`, { port: "tap1" }]],
  });
  const prepared = [...stood, prepare];
  expect(changesAfter(prepared, [vm("v1", "a", { ...eth0, ips: ["10.0.0.2"] })]).prepared).toEqual([
    [`${at} 10.0.0.2`, {}],
  ]);
  expect(changesAfter(prepared, [vm("v1", "a", { ...eth1, port: "tap1" })]).prepared).toEqual([
    [`${at} no more`, {}],
    ["b 100 52:54:00:00:00:02 10.0.0.3", { port: "tap1" }],
  ]);
  const labels: Mutation = { kind: "vm.patch", name: "v1", patch: { labels: { tier: "web" } } };
  expect(changesAfter(prepared, [labels])).toEqual(nothing);
  const ends: Mutation[] = [
    { kind: "vm.abort", name: "v1" },
    { kind: "vm.commit", name: "v1" },
    { kind: "vm.delete", name: "v1" },
  ];
  for (const end of ends) expect(changesAfter(prepared, [end]).prepared).toEqual([[`${at} no more`, {}]]);
});

test("a VM that is not being migrated is sent to no host as if it were, nor an interface whose network is not known", () => {
  const state = stateOf(...base, vm("v1", "a", eth0));
  const sent = (changes: readonly ResourceChange[], side = sideOf(state)) => [
    ...preparations({ earlier: side, later: side }, state, changes),
  ];
  expect(sent(changesOf(state, [vm("v1", "a", eth1)]))).toEqual([undefined]);
  const prepared = changesOf(state, [{ kind: "vm.prepare", name: "v1", host: "b" }]);
  expect(sent(prepared)).toHaveLength(2);
  expect(sent(prepared, { ...sideOf(state), vniOf: () => undefined })).toEqual([undefined]);
});

test("a prepared VM takes a network with it that the host has for it alone, and nothing of that is sent later", () => {
  const prepared = [...base, vm("v1", "a", eth0), { kind: "vm.prepare", name: "v1", host: "b" } as const];
  const ended = changesAfter(prepared, [{ kind: "vm.abort", name: "v1" }]);
  expect(ended).toEqual({ ...nothing, gone: ["b: 100"] });
});

test("a prepared guest that is nested has the port of its parent", () => {
  const child = vm("v2", "a", { network: "blue", mac: "52:54:00:00:00:03", ips: [], parent: "v1/eth0" });
  const parent = (port: string) => vm("v1", "a", { ...eth0, port });
  const stood = [...base, parent("tap1"), child];
  const both: Mutation[] = ["v1", "v2"].map((name) => ({ kind: "vm.prepare", name, host: "b" }));
  const told = (port: string) => [
    ["b 100 52:54:00:00:00:01 10.0.0.1,10.0.0.2", { port }],
    ["b 100 52:54:00:00:00:03 ", { port }],
  ];
  expect(changesAfter(stood, both).prepared).toEqual(told("tap1"));
  expect(changesAfter([...stood, ...both], [parent("tap2")]).prepared).toEqual(told("tap2"));
});

test("a guest that is nested in another interface than before has another port", () => {
  const nested = (parent: string) => vm("v2", "a", { network: "blue", mac: "52:54:00:00:00:03", ips: [], parent });
  const parents = vm("v1", "a", { ...eth0, port: "tap1" }, { ...eth1, port: "tap2" });
  expect(changesAfter([...base, parents, nested("v1/eth0")], [nested("v1/eth1")]).keys).toEqual([
    "100 52:54:00:00:00:03 a",
  ]);
});
