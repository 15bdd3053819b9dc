// Which changes of others touch what an accepted import rests on.
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { decide, decideSteps, type Mutation } from "../../controller/inventory/decide.ts";
import { Draft } from "../../controller/inventory/draft.ts";
import { atOnce } from "../../controller/inventory/steps.ts";
import { Spool } from "../../controller/store/spool.ts";
import { parseRevision } from "../../schema/address/index.ts";
import { limits } from "../../schema/plain/index.ts";
import { parseHost, parseNetwork, parseVm } from "../../schema/rest/index.ts";

const network = (name: string, vni: number, more: object = {}): Mutation => ({
  kind: "network.put",
  spec: parseNetwork(name, { vni, subnets: ["10.0.0.0/24"], ...more }),
});
const host = (name: string, vtep: string, more: object = {}): Mutation => ({
  kind: "host.put",
  spec: parseHost(name, { vtep, ...more }, "operator"),
});
/** With the address 10.0.0.n in blue. */
const vm = (
  name: string,
  n: number,
  at: { readonly host?: string; readonly network?: string } = {},
  more = {},
): Mutation => {
  const each = {
    network: at.network ?? "blue",
    mac: `52:54:00:00:00:${String(n).padStart(2, "0")}`,
    ips: [`10.0.0.${n}`],
  };
  return { kind: "vm.put", spec: parseVm(name, { host: at.host ?? "a", interfaces: [{ ...each, ...more }] }) };
};
/** Its guest may take 10.0.0.n. */
const allowing = (...numbers: number[]) => ({
  port: "tap8",
  allowedAddresses: numbers.map((n) => ({ ip: `10.0.0.${n}` })),
});
const port = (name: string) => ({ port: name });
const parent = (key: string) => ({ parent: key });

const standing: readonly Mutation[] = [
  network("blue", 100),
  network("red", 200),
  host("a", "192.0.2.1"),
  host("b", "192.0.2.2"),
  host("c", "192.0.2.3"),
  vm("old", 1),
  vm("with-port", 2, {}, port("tap2")),
];

const context = { revision: parseRevision(2), newUid: () => "uid" };

/** Whether the import is to be decided anew after what others have changed. */
function isTouched(lines: readonly Mutation[], ...others: readonly Mutation[]): boolean {
  const state = new CommittedInventory();
  state.apply(decide(state, standing, context).changes);
  const pinned = state.pin();
  const draft = new Draft(pinned, "all", new Spool({ directory: tmpdir(), memoryBytes: 1_048_576 }));
  const numbered = lines.map((mutation, number) => ({ mutation, number }));
  const refused = (refusal: Error) => expect.fail(refusal.message);
  const footprint = atOnce(
    decideSteps(draft, { mutations: numbered, assigns: false }, context, { refused, laid: () => {} }),
  );
  const changed = others.flatMap((mutation) => {
    const { changes } = decide(state, [mutation], context);
    expect(changes).not.toEqual([]);
    state.apply(changes);
    return changes;
  });
  return changed.some((change) => footprint?.isTouchedBy(change, state)) || footprint?.fitsIn(state) !== true;
}

describe("an import that makes a VM is not touched by", () => {
  const lines = [network("blue", 100), host("a", "192.0.2.1"), vm("new", 10)];
  test.each<[string, Mutation]>([
    ["another VM of the network on the host", vm("other", 11)],
    ["a VM that goes", { kind: "vm.delete", name: "old" }],
    ["a VM that moves", vm("old", 1, { host: "b" })],
    ["a VM of another network with the same address", vm("other", 10, { network: "red" })],
    ["a VM with a port", vm("other", 11, {}, port("tap9"))],
    ["a VM that may take other addresses", vm("other", 11, {}, allowing(12, 13))],
    ["another host that comes", host("d", "192.0.2.4")],
    ["labels of another host", host("b", "192.0.2.2", { labels: { rack: "1" } })],
    ["labels of another network", network("red", 200, { labels: { tier: "x" } })],
  ])("%s", (_, other) => expect(isTouched(lines, other)).toBe(false));
});

describe("an import is touched by", () => {
  const made = [vm("new", 10, {}, port("tap10"))];
  const nested = [vm("new", 10, {}, parent("with-port/eth0"))];
  test.each<[string, readonly Mutation[], ...Mutation[]]>([
    ["a VM of the same name", made, vm("new", 11)],
    ["a VM that it leaves as it is", [vm("old", 1)], vm("old", 12)],
    ["a VM with an address of its own", made, vm("other", 10)],
    ["a VM with one of its addresses, and others", made, vm("other", 11, {}, { ips: ["10.0.0.11", "10.0.0.10"] })],
    ["a VM with one of its addresses, and a MAC that is free", made, vm("other", 11, {}, { ips: ["10.0.0.10"] })],
    ["a VM that may take an address of its own", made, vm("other", 11, {}, allowing(12, 10))],
    ["a VM with an address that one of its own may take", [vm("new", 10, {}, allowing(12))], vm("other", 12)],
    [
      "a VM with several addresses, of which one of its own may take one",
      [vm("new", 10, {}, allowing(12))],
      vm("other", 11, {}, { ips: ["10.0.0.11", "10.0.0.12"] }),
    ],
    [
      "a migration to the host on which a VM of its own has the port",
      [vm("new", 10, { host: "b" }, port("tap2"))],
      { kind: "vm.prepare", name: "with-port", host: "b" },
    ],
    ["a VM with a port of its own", made, vm("other", 11, {}, port("tap10"))],
    [
      "a VM that is nested in one of its own",
      [vm("with-port", 2, {}, port("tap3"))],
      vm("in", 12, {}, parent("with-port/eth0")),
    ],
    ["a VM that is the parent of one of its own", nested, { kind: "vm.delete", name: "with-port" }],
    [
      "a VM that it deletes and that was not there",
      [{ kind: "vm.delete", name: "new", ifPresent: true }],
      vm("new", 11),
    ],
    [
      "a host that it deletes and that was not there",
      [{ kind: "host.delete", name: "d", ifPresent: true }],
      host("d", "192.0.2.4"),
    ],
    ["a VM on a host that it deletes", [{ kind: "host.delete", name: "b" }], vm("other", 11, { host: "b" })],
    [
      "a migration to a host that it deletes",
      [{ kind: "host.delete", name: "b" }],
      { kind: "vm.prepare", name: "old", host: "b" },
    ],
    [
      "a VM in a network that it deletes",
      [{ kind: "network.delete", name: "red" }],
      vm("other", 11, { network: "red" }),
    ],
    [
      "a VM in a network whose subnets it changes",
      [network("red", 200, { subnets: ["10.9.0.0/24"] })],
      vm("other", 11, { network: "red" }),
    ],
    ["a host that goes", made, { kind: "host.delete", name: "c" }],
    ["a host that is marked down", made, { kind: "host.patch", name: "a", patch: { down: true } }],
    ["a host that it names", [host("a", "192.0.2.1")], host("a", "192.0.2.9")],
    ["a host with a tunnel end of its own", [host("d", "192.0.2.4")], host("e", "192.0.2.4")],
    ["a network that comes", made, network("green", 300)],
    ["a network that goes", made, { kind: "network.delete", name: "red" }],
    ["other subnets of a network", made, network("red", 200, { subnets: ["10.9.0.0/24"] })],
    ["reserved addresses of a network", made, network("red", 200, { reserved: ["10.0.0.5-10.0.0.9"] })],
    ["labels of a network that it names", [network("red", 200)], network("red", 200, { labels: { tier: "x" } })],
    ["a host of the other address family", [vm("new", 10, { network: "red" })], host("c", "2001:db8::3")],
    [
      "a VM on a host of the other address family",
      [vm("new", 10, { network: "red" })],
      host("d", "2001:db8::4"),
      vm("other", 11, { host: "d", network: "red" }),
    ],
    [
      "any VM, where it gives a host a tunnel end of the other address family",
      [host("b", "2001:db8::2")],
      vm("other", 11, { host: "c" }),
    ],
  ])("%s", (_, lines, ...others) => expect(isTouched(lines, ...others)).toBe(true));

  test("VMs that fill a host that gains some of its own", () => {
    const many = (prefix: string, count: number): Mutation[] =>
      Array.from({ length: count }, (_, n) => ({
        kind: "vm.put",
        spec: parseVm(`${prefix}-${n}`, { host: "c", interfaces: [] }),
      }));
    const half = limits.vmsPerHost / 2;
    expect(isTouched(many("own", half), ...many("other", 3))).toBe(false);
    expect(isTouched(many("own", limits.vmsPerHost - 2), ...many("other", 3))).toBe(true);
  });
});
