// What can be asked of hosts beside their attributes: an agent's word, the mark of being down, evacuation, deletion by force.
import { describe, expect, test } from "vitest";
import { decide, type Mutation } from "../../controller/inventory/decide.ts";
import { parseRevision } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Host, InputError, parseHost, parseNetwork, parseVm, type Vm } from "../../schema/rest/index.ts";
import { changesOf, host, network, nic, refusalsOf, stateOf, vm } from "../support/decisions.ts";

const base = [
  network("blue", 100),
  host("a", "192.0.2.1"),
  host("b", "192.0.2.2"),
  host("c", "192.0.2.3"),
  host("d", "192.0.2.4"),
];
const down = (name: string, isDown = true): Mutation => ({ kind: "host.patch", name, patch: { down: isDown } });
const migrated = (name: string, to: string): Mutation => ({ kind: "vm.prepare", name, host: to });
const placed = (changes: readonly ResourceChange[]) =>
  changes.map(({ before, after }) => [before?.name, (after as Vm | null)?.host]);

describe("a host that an agent registers", () => {
  const register = (name: string, vtep: string): Mutation => ({
    kind: "host.register",
    spec: parseHost(name, { vtep }, "agent"),
  });

  test("keeps the labels and the description that it has", () => {
    const state = stateOf(register("new", "192.0.2.9"), {
      kind: "host.patch",
      name: "new",
      patch: { labels: { rack: "r7" }, description: "left of the door" },
    });
    expect((state.findHost("new") as Host).origin).toBe("agent");
    const [change] = changesOf(state, [register("new", "192.0.2.8")]);
    expect(change?.after).toMatchObject({
      vtep: "192.0.2.8",
      labels: { rack: "r7" },
      description: "left of the door",
      origin: "agent",
      revision: 2,
      uid: "uid-1",
    });
  });

  test("is new without either", () => {
    const [change] = changesOf(stateOf(), [register("new", "192.0.2.8")]);
    expect(change?.after).toMatchObject({ labels: {}, description: "", uid: "uid-new", revision: 2 });
  });
});

describe("a host that is down", () => {
  const state = stateOf(...base, down("a"));

  test("stays so when it is written without a word on it, and is up when it is said", () => {
    const [written] = changesOf(state, [host("a", "192.0.2.9")]);
    expect(written?.after).toMatchObject({ vtep: "192.0.2.9", down: true });
    const [up] = changesOf(state, [host("a", "192.0.2.1", { down: false })]);
    expect(up?.after).not.toHaveProperty("down");
    expect(changesOf(state, [host("a", "192.0.2.1")])).toEqual([]);
    expect(changesOf(state, [down("b", false)])).toEqual([]);
  });
});

describe("an evacuation", () => {
  test("spreads VMs by name, each to the host with the fewest, the first named among equals", () => {
    const state = stateOf(
      ...base,
      ...[5, 3, 1, 4, 2].map((n) => vm(`v${n}`, "a", [nic(n)])),
      vm("w1", "b", [nic(9)]),
      vm("w2", "d", [nic(10)]),
    );
    const changes = changesOf(state, [{ kind: "host.evacuate", name: "a", to: ["b", "c"] }]);
    expect(placed(changes)).toEqual([
      ["v1", "c"],
      ["v2", "b"],
      ["v3", "c"],
      ["v4", "b"],
      ["v5", "c"],
    ]);
    for (const { after } of changes) expect(after?.revision).toBe(2);
  });

  test("moves nested guests with their parents, as one group that counts in full", () => {
    const state = stateOf(
      ...base,
      vm("child-1", "a", [nic(2, "blue", { parent: "parent/eth0" })]),
      vm("child-2", "a", [nic(3, "blue", { parent: "parent/eth0" })]),
      vm("lone-1", "a", [nic(4)]),
      vm("lone-2", "a", [nic(5)]),
      vm("lone-3", "a", [nic(6)]),
      vm("parent", "a", [nic(1, "blue", { port: "tap1" })]),
    );
    const changes = changesOf(state, [{ kind: "host.evacuate", name: "a", to: ["b", "c"] }]);
    expect(Object.fromEntries(placed(changes))).toEqual({
      "child-1": "b",
      "child-2": "b",
      parent: "b",
      "lone-1": "c",
      "lone-2": "c",
      "lone-3": "c",
    });
  });

  test("moves together what shares ports through several VMs", () => {
    const state = stateOf(
      ...base,
      vm("p1", "a", [nic(1, "blue", { port: "tap1" })]),
      vm("p2", "a", [nic(2, "blue", { port: "tap2" })]),
      vm("x", "a", [nic(3, "blue", { parent: "p1/eth0" }), nic(4, "blue", { parent: "p2/eth0" })]),
      vm("y", "a", [nic(5, "blue", { parent: "p2/eth0" })]),
    );
    const changes = changesOf(state, [{ kind: "host.evacuate", name: "a", to: ["b", "c"] }]);
    expect(new Set(changes.map(({ after }) => (after as Vm).host))).toEqual(new Set(["b"]));
    expect(changes).toHaveLength(4);
  });

  test("counts a VM once that is nested in itself", () => {
    const own = nic(2, "blue", { parent: "v1/eth0" });
    const state = stateOf(
      ...base,
      vm("v1", "a", [nic(1, "blue", { port: "tap1" }), own]),
      ...[3, 4, 5].map((n) => vm(`v${n}`, "a", [nic(n)])),
    );
    const changes = changesOf(state, [{ kind: "host.evacuate", name: "a", to: ["b", "c"] }]);
    expect(placed(changes)).toEqual([
      ["v1", "b"],
      ["v3", "c"],
      ["v4", "b"],
      ["v5", "c"],
    ]);
  });

  test("ends migrations of its VMs, and sees what earlier mutations of the change set did", () => {
    const state = stateOf(...base, vm("v1", "a", [nic(1)]), vm("v2", "a", [nic(2)]), migrated("v1", "d"));
    const moved: Mutation = { kind: "vm.patch", name: "v2", patch: { host: "c" } };
    const changes = changesOf(state, [moved, { kind: "host.evacuate", name: "a", to: ["c", "b"] }]);
    expect(placed(changes)).toEqual([
      ["v2", "c"],
      ["v1", "b"],
    ]);
    expect(changes[1]?.after).not.toHaveProperty("preparedHost");
  });

  test("of an empty host changes nothing", () => {
    expect(changesOf(stateOf(...base), [{ kind: "host.evacuate", name: "a", to: ["b"] }])).toEqual([]);
  });
});

describe("a host that is deleted by force", () => {
  test("takes its VMs with it, and ends migrations towards it", () => {
    const state = stateOf(
      ...base,
      vm("v1", "a", [nic(1)]),
      vm("v2", "b", [nic(2)]),
      vm("v3", "b", [nic(3)]),
      migrated("v2", "a"),
      down("a"),
    );
    const changes = changesOf(state, [{ kind: "host.delete", name: "a", force: true }]);
    expect(changes.map(({ kind, before, after }) => [kind, before?.name, after === null])).toEqual([
      ["host", "a", true],
      ["vm", "v1", true],
      ["vm", "v2", false],
    ]);
    const v2 = changes[2]?.after as Vm;
    expect([v2.host, v2.revision, v2.preparedHost]).toEqual(["b", 2, undefined]);
  });

  test("takes those with it that the change set puts there", () => {
    const state = stateOf(...base, vm("v1", "a", [nic(1)]), down("a"));
    const away: Mutation = { kind: "vm.patch", name: "v1", patch: { host: "b" } };
    const changes = changesOf(state, [away, { kind: "host.delete", name: "a", force: true }]);
    expect(placed(changes)).toEqual([
      ["a", undefined],
      ["v1", "b"],
    ]);
  });
});

describe("a resource", () => {
  test("that is created where none of its name is gets what was asked for", () => {
    const ofNetwork: Mutation = {
      kind: "network.create",
      spec: parseNetwork("new", { vni: 900, subnets: ["10.0.0.0/24"] }),
    };
    const ofHost: Mutation = { kind: "host.create", spec: parseHost("new", { vtep: "192.0.2.9" }, "operator") };
    expect(changesOf(stateOf(...base), [ofNetwork, ofHost])).toMatchObject([
      { kind: "network", before: null, after: { name: "new", vni: 900, uid: "uid-new" } },
      { kind: "host", before: null, after: { name: "new", vtep: "192.0.2.9", uid: "uid-new" } },
    ]);
  });

  test("that a mutation names is touched, also where it stays as it was", () => {
    const state = stateOf(...base);
    const context = { revision: parseRevision(2), newUid: () => "uid-new" };
    const { touched, changes } = decide(state, [host("a", "192.0.2.1"), host("b", "192.0.2.9")], context);
    expect([touched.map(({ after }) => after?.name), changes.map(({ after }) => after?.name)]).toEqual([
      ["a", "b"],
      ["b"],
    ]);
  });

  test("that a patch makes invalid is no refusal of the inventory but a fault of the request", () => {
    const patch: Mutation = { kind: "network.patch", name: "blue", patch: { vni: 0 } };
    expect(() => refusalsOf(stateOf(...base), [patch])).toThrow(InputError);
  });

  test("that is written as it stands is the same, keeps its uid when it changes, and gets a new one with a new name", () => {
    const state = stateOf(...base, vm("v1", "a", [nic(1)]));
    expect(changesOf(state, [vm("v1", "a", [nic(1)]), network("blue", 100), host("a", "192.0.2.1")])).toEqual([]);
    const [changed] = changesOf(state, [vm("v1", "a", [nic(1)], { description: "new" })]);
    expect(changed?.after).toMatchObject({ uid: changed?.before?.uid, revision: 2, description: "new" });
    const spec = parseVm("v2", { host: "a", interfaces: [nic(2)] });
    const [created] = changesOf(state, [{ kind: "vm.create", spec }]);
    expect(created).toMatchObject({ before: null, after: { uid: "uid-new", revision: 2 } });
  });

  test("that is patched keeps what the patch leaves out", () => {
    const state = stateOf(...base, vm("v1", "a", [nic(1)]));
    const [ofNetwork] = changesOf(state, [{ kind: "network.patch", name: "blue", patch: { mtu: 1400 } }]);
    expect(ofNetwork?.after).toMatchObject({ vni: 100, mtu: 1400, subnets: ["10.0.0.0/24"] });
    const [ofVm] = changesOf(state, [{ kind: "vm.patch", name: "v1", patch: { labels: { tier: "web" } } }]);
    expect(ofVm?.after).toMatchObject({
      host: "a",
      labels: { tier: "web" },
      interfaces: [{ mac: "52:54:00:00:00:01" }],
    });
  });
});
