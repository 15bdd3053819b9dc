// Addresses that several interfaces may take: what may be written of them, and who has one.
import { describe, expect, test } from "vitest";
import type { Mutation } from "../../controller/inventory/decide.ts";
import type { Inventory } from "../../controller/inventory/inventory.ts";
import { InputError, parseVm } from "../../schema/rest/index.ts";
import { ip } from "../support/addresses.ts";
import { addressesOf, changesOf, host, network, nic, refusalOf, stateOf, vm } from "../support/decisions.ts";

const shared = "10.0.0.100";
const base = [network("blue", 100), host("a", "192.0.2.1"), host("b", "192.0.2.2")];
/** An interface that may take the shared address. */
const card = (n: number, more: object = {}) =>
  nic(n, "blue", { name: "eth0", port: `tap${n}`, allowedAddresses: [{ ip: shared }], ...more });
const take = (name: string): Mutation => ({ kind: "vm.take", name, interface: "eth0", ip: ip(shared) });

/** The addresses of VMs after the mutations. */
function ipsAfter(state: Inventory, ...mutations: Mutation[]): Record<string, readonly string[]> {
  const changes = changesOf(state, mutations, { addresses: addressesOf(state) });
  const changed = changes.flatMap(({ kind, after }) => (kind === "vm" && after ? [after] : []));
  return Object.fromEntries(changed.map(({ name, interfaces }) => [name, interfaces.flatMap(({ ips }) => ips)]));
}

describe("allowed addresses", () => {
  const faultsOf = (interfaces: object): string[] => {
    try {
      parseVm("v1", { host: "a", interfaces: [{ network: "blue", ...interfaces }] });
      return [];
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return error.faults.map(({ pointer, detail }) => `${pointer} ${detail}`);
    }
  };

  test.each([
    [{ port: "tap0", allowedAddresses: [{ ip: "10.0.0.300" }] }, "/interfaces/0/allowedAddresses/0/ip"],
    [{ port: "tap0", allowedAddresses: [{ ip: "10.1.0.1/16" }] }, "has host bits set"],
    [{ port: "tap0", allowedAddresses: [{ ip: shared }, { ip: shared }] }, "10.0.0.100 is listed twice"],
    [{ allowedAddresses: [{ ip: shared }] }, "requires a port (or a parent)"],
  ])("are refused where they are wrong: %j", (interfaces, words) => {
    expect(faultsOf(interfaces).join()).toContain(words);
  });

  test("are canonical, and none is as absent", () => {
    const [parsed] = parseVm("v1", {
      host: "a",
      interfaces: [{ network: "blue", port: "tap0", allowedAddresses: [{ ip: "FD00::0:1" }, { ip: "172.16.0.0/12" }] }],
    }).interfaces;
    expect(parsed?.allowedAddresses).toEqual([{ ip: "fd00::1" }, { ip: "172.16.0.0/12" }]);
    const [none] = parseVm("v1", { host: "a", interfaces: [{ network: "blue", allowedAddresses: [] }] }).interfaces;
    expect(none).not.toHaveProperty("allowedAddresses");
  });
});

describe("an address that several interfaces may take", () => {
  const state = stateOf(...base, vm("one", "a", [card(1)]), vm("two", "b", [card(2)]), vm("other", "b", [nic(3)]));

  test("has no guest, goes to the one that takes it, and from there to the next", () => {
    expect(state.findOwnerOfIp("blue", ip(shared))).toBeUndefined();
    const taken = stateOf(...base, vm("one", "a", [card(1)]), vm("two", "b", [card(2)]));
    expect(ipsAfter(taken, take("one"))).toEqual({ one: ["10.0.0.1", shared] });
    taken.apply(changesOf(taken, [take("one")]));
    expect(ipsAfter(taken, take("one"))).toEqual({});
    expect(ipsAfter(taken, take("two"))).toEqual({ one: ["10.0.0.1"], two: ["10.0.0.2", shared] });
    taken.apply(changesOf(taken, [take("two")]));
    expect(taken.findOwnerOfIp("blue", ip(shared))).toBe("two");
  });

  test("is refused to an interface that may not take it", () => {
    expect(refusalOf(state, take("other"))).toMatch(
      /^forbidden: VM "other", interface "eth0" is not allowed 10\.0\.0\.100/,
    );
    expect(refusalOf(state, take("unknown"))).toBe('not-found: no VM is named "unknown"');
  });

  test("moves between two interfaces of one VM", () => {
    const both = stateOf(...base, vm("one", "a", [card(1), card(2, { name: "eth1" })]));
    both.apply(changesOf(both, [take("one")]));
    const second: Mutation = { kind: "vm.take", name: "one", interface: "eth1", ip: ip(shared) };
    both.apply(changesOf(both, [second]));
    expect(both.findVm("one")?.interfaces.map(({ ips }) => ips)).toEqual([["10.0.0.1"], ["10.0.0.2", shared]]);
  });

  test("stays with who has it, whatever else is written of the VM", () => {
    const taken = stateOf(...base, vm("one", "a", [card(1)]), vm("two", "b", [card(2)]));
    taken.apply(changesOf(taken, [take("one")]));
    const patch = (of: object): Mutation => ({ kind: "vm.patch", name: "one", patch: of });
    expect(ipsAfter(taken, patch({ host: "b" }))).toEqual({ one: ["10.0.0.1", shared] });
    expect(ipsAfter(taken, patch({ interfaces: { eth0: { ips: ["10.0.0.9"] } } }))).toEqual({
      one: ["10.0.0.9", shared],
    });
    expect(ipsAfter(taken, vm("one", "b", [card(1)]))).toEqual({ one: ["10.0.0.1", shared] });
    // The other one's file names it, too.
    expect(ipsAfter(taken, vm("two", "b", [card(2, { ips: ["10.0.0.2", shared] })]))).toEqual({});
    expect(ipsAfter(taken, patch({ interfaces: { eth0: { allowedAddresses: null } } }))).toEqual({ one: ["10.0.0.1"] });
    expect(ipsAfter(taken, patch({ interfaces: { eth0: { allowedAddresses: null, ips: null } } })).one).not.toContain(
      shared,
    );
  });

  test("is given to the interface that names it in ips, where no guest has it", () => {
    expect(ipsAfter(state, vm("one", "a", [card(1, { ips: ["10.0.0.1", shared] })]))).toEqual({
      one: ["10.0.0.1", shared],
    });
  });

  test("is not given twice in one change set", () => {
    const named = (name: string, n: number) => vm(name, "a", [card(n, { ips: [`10.0.0.${n}`, shared] })]);
    expect(refusalOf(state, [named("one", 1), named("two", 2)])).toMatch(/^address-taken: /);
  });

  test("is no other interface's own, before or after, or in the same change set", () => {
    const own = nic(9, "blue", { ips: [shared] });
    const words =
      /^address-taken: .* an address that moves is in the allowedAddresses of each interface that may have it/;
    expect(refusalOf(state, vm("new", "a", [own]))).toMatch(words);
    const before = stateOf(...base, vm("old", "a", [own]));
    expect(refusalOf(before, vm("one", "a", [card(1)]))).toMatch(words);
    const empty = stateOf(...base);
    expect(refusalOf(empty, [vm("one", "a", [card(1)]), vm("new", "a", [own])])).toMatch(words);
    expect(refusalOf(empty, [vm("new", "a", [own]), vm("one", "a", [card(1)])])).toMatch(words);
    // Freed in the same change set.
    expect(refusalOf(before, [vm("old", "a", [nic(9)]), vm("one", "a", [card(1)])])).toBeUndefined();
  });

  test("is not assigned to a VM that names no address", () => {
    const small = [network("tiny", 300, { subnets: ["10.9.0.0/30"] }), host("a", "192.0.2.1")];
    const only = { network: "tiny", name: "eth0", port: "tap1", ips: [], allowedAddresses: [{ ip: "10.9.0.2" }] };
    const full = stateOf(...small, vm("one", "a", [only]));
    expect(refusalOf(full, vm("new", "a", [{ network: "tiny" }]), { addresses: addressesOf(full) })).toMatch(
      /^addresses-exhausted: /,
    );
  });

  test("is in the network's subnets, and these stay so; a prefix need not be", () => {
    expect(refusalOf(state, vm("new", "a", [card(4, { allowedAddresses: [{ ip: "192.0.2.9" }] })]))).toMatch(
      /^outside-subnets: /,
    );
    expect(
      refusalOf(state, vm("new", "a", [card(4, { allowedAddresses: [{ ip: "172.16.0.0/12" }] })])),
    ).toBeUndefined();
    const narrow: Mutation = { kind: "network.patch", name: "blue", patch: { subnets: ["10.0.0.0/26"] } };
    expect(refusalOf(state, narrow)).toMatch(/^in-use: VM "one" is allowed 10\.0\.0\.100 in network "blue"/);
  });

  test("is forgotten with the VM", () => {
    const gone = stateOf(...base, vm("one", "a", [card(1)]));
    gone.apply(changesOf(gone, [{ kind: "vm.delete", name: "one" }]));
    expect([gone.interfacesAllowing("blue", ip(shared)), gone.interfacesAllowingIn("blue")]).toEqual([[], []]);
  });
});
