// Which answer a host gets: whose VM it is, through which port, and whether the host may know of the network at all.
import { describe, expect, test } from "vitest";
import { agentNetwork, answerFor, findBound, keysOfVm, localKeys } from "../../controller/inventory/bindings.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { findKnownNetwork } from "../../controller/inventory/known-networks.ts";
import type { BindingKey, Revision } from "../../schema/address/index.ts";
import type { Network, Vm } from "../../schema/rest/index.ts";
import { ip, mac, rev, vni } from "../support/addresses.ts";
import { changesOf, host, network, nic, stateOf, vm } from "../support/decisions.ts";

const asOf = rev(9);
const ipKey = (n: number, on = 100): BindingKey => ({ kind: "ip", vni: vni(on), ip: ip(`10.0.0.${n}`) });
const macKey = (n: number, on = 100): BindingKey => ({ kind: "mac", vni: vni(on), mac: mac(`52:54:00:00:00:0${n}`) });
const migrated: Mutation = { kind: "vm.prepare", name: "v2", host: "c" };

const world = (...more: Mutation[]) =>
  stateOf(
    network("blue", 100),
    network("red", 200),
    host("a", "192.0.2.1"),
    host("b", "192.0.2.2", { port: 4790 }),
    host("c", "192.0.2.3"),
    vm("v1", "a", [nic(1, "blue", { port: "tap1" })]),
    vm("v2", "b", [nic(2, "blue", { port: "tap2", router: true }), nic(3, "red")]),
    ...more,
  );

describe("an answer", () => {
  test.each([ipKey(2), macKey(2)])("tells where the VM is: $kind", (key) => {
    expect(answerFor(world(), "a", key, asOf)).toEqual({
      key,
      revision: 1,
      binding: { mac: "52:54:00:00:00:02", host: "b", vtep: "192.0.2.2", vtepPort: 4790, router: true },
    });
  });

  test("for the VM's own host says that it is local, and its port", () => {
    expect(answerFor(world(), "b", ipKey(2), asOf).binding).toMatchObject({ local: true, guestPort: "tap2" });
    expect(answerFor(world(), "b", ipKey(3, 200), asOf).binding).toStrictEqual({
      mac: "52:54:00:00:00:03",
      host: "b",
      vtep: "192.0.2.2",
      vtepPort: 4790,
      local: true,
    });
  });

  test("of a nested guest has the port of its parent, and follows the parent's changes", () => {
    const state = world(vm("child", "a", [nic(4, "blue", { parent: "v1/eth0" })]));
    expect(answerFor(state, "a", ipKey(4), asOf).binding).toMatchObject({ local: true, guestPort: "tap1" });
    expect(findBound(state, ipKey(4))).toMatchObject({ port: "tap1" });
    expect(findBound(state, ipKey(1, 900))).toBeUndefined();
    state.apply(changesOf(state, [vm("v1", "a", [nic(1, "blue", { port: "tap9" })])]));
    expect(answerFor(state, "a", ipKey(4), asOf)).toMatchObject({ revision: 2, binding: { guestPort: "tap9" } });
  });

  test.each<[string, Mutation, Revision]>([
    ["VM", vm("v2", "b", [nic(2, "blue", { port: "tap2" })]), rev(2)],
    ["host", host("b", "192.0.2.9"), rev(2)],
    ["network", network("blue", 100, { mtu: 1400 }), rev(2)],
    ["other VM", vm("v1", "a", [nic(1, "blue", { port: "tap7" })]), rev(1)],
    ["other network", network("red", 200, { mtu: 1400 }), rev(1)],
  ])("is of the last change of its %s", (_, mutation, revision) => {
    const state = world();
    state.apply(changesOf(state, [mutation]));
    expect(answerFor(state, "a", ipKey(2), asOf).revision).toBe(revision);
  });

  test.each<[string, string, BindingKey]>([
    ["that no VM has", "a", ipKey(9)],
    ["in a network that there is not", "a", ipKey(2, 900)],
    ["in a network without a VM on the host", "a", ipKey(3, 200)],
    ["for a host without VMs", "c", ipKey(2)],
  ])("for an address %s is a tombstone", (_, asker, key) => {
    expect(answerFor(world(), asker, key, asOf)).toEqual({ key, revision: asOf, binding: null });
  });
});

describe("a network", () => {
  test("exists for hosts that have a VM in it, or are prepared for one", () => {
    const seen = (state: ReturnType<typeof world>, on: number) =>
      ["a", "b", "c"].filter((name) => findKnownNetwork(state, name, vni(on)) !== undefined);
    expect([seen(world(), 100), seen(world(), 200), seen(world(), 900)]).toEqual([["a", "b"], ["b"], []]);
    expect(seen(world(migrated), 200)).toEqual(["b", "c"]);
  });

  test("is for agents what they need of it", () => {
    expect(agentNetwork(world().findNetwork("blue") as Network)).toEqual({
      name: "blue",
      vni: 100,
      mtu: 1450,
      revision: 1,
    });
  });
});

describe("the keys", () => {
  test("of a VM are its MACs and addresses, in the networks that there are", () => {
    const state = world();
    expect(keysOfVm(state, state.findVm("v2") as Vm)).toEqual([macKey(2), ipKey(2), macKey(3, 200), ipKey(3, 200)]);
    expect(
      keysOfVm(state, { interfaces: [{ name: "eth0", network: "gone", mac: mac("52:54:00:00:00:09"), ips: [] }] }),
    ).toEqual([]);
  });

  test("of a host are those of the VMs that run on it", () => {
    expect(localKeys(world(migrated), "b")).toEqual([macKey(2), ipKey(2), macKey(3, 200), ipKey(3, 200)]);
    expect(localKeys(world(migrated), "c")).toEqual([]);
  });
});
