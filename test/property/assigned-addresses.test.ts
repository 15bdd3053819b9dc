// Assigned addresses, against a model that checks every address of the subnet.
import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressPools } from "../../controller/inventory/address-pools.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { invert } from "../../controller/inventory/inventory.ts";
import { Quarantine } from "../../controller/inventory/quarantine.ts";
import { type IpAddress, type MacAddress, parseIp, type Revision, type Subnet } from "../../schema/address/index.ts";
import type { ResourceChange } from "../../schema/events/index.ts";
import { type Network, parseNetwork, type Vm } from "../../schema/rest/index.ts";
import { runs } from "../support/property-runs.ts";

const quarantineMs = 60_000;
const subnet = "10.0.0.0/28" as Subnet;
const ipAt = (offset: number): IpAddress => parseIp(`10.0.0.${offset}`);

const network: Network = {
  ...parseNetwork("n", {
    vni: 1,
    subnets: [subnet],
    gateways: ["10.0.0.9"],
    reserved: ["10.0.0.3-10.0.0.5"],
    quarantineSeconds: quarantineMs / 1_000,
  }),
  uid: "n",
  revision: 1 as Revision,
};
/** Without the ends, the gateway and reserved ranges. */
const assignable = [1, 2, 6, 7, 8, 10, 11, 12, 13, 14];

function vmWith(name: string, ip: IpAddress): Vm {
  const mac = "52:54:00:00:00:01" as MacAddress;
  const interfaces = [{ name: "eth0", network: "n", mac, ips: [ip] }];
  return { name, host: "a", interfaces, labels: {}, description: "", uid: name, revision: 1 as Revision };
}

type Operation =
  | { readonly do: "assign" }
  /** An operator names one. */
  | { readonly do: "name"; readonly offset: number }
  | { readonly do: "release"; readonly which: number }
  /** As `assign` or `release`, in a batch that the store refuses. */
  | { readonly do: "undone"; readonly which: number }
  | { readonly do: "wait"; readonly ms: number }
  /** The process ends and another starts with the state of the store. */
  | { readonly do: "restart" };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: "assign" } as const) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("name" as const), offset: fc.integer({ min: 1, max: 14 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("undone" as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: quarantineMs }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "restart" } as const) },
);

test("the lowest address that is free, not reserved and not in quarantine is assigned, or none", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const inventory = CommittedInventory.of({ networks: [network], hosts: [], vms: [] });
      let pools = new AddressPools(inventory);
      const held = new Map<IpAddress, Vm>();
      const releasedMs = new Map<IpAddress, number>();
      let nowMs = 1_000_000;
      let count = 0;
      const apply = (change: ResourceChange) => {
        inventory.apply([change]);
        pools.apply([change], nowMs);
      };
      const take = (ip: IpAddress) => {
        count += 1;
        const after = vmWith(`vm-${count}`, ip);
        held.set(ip, after);
        apply({ kind: "vm", before: null, after });
      };
      const rests = (ip: IpAddress) => nowMs - (releasedMs.get(ip) ?? Number.NEGATIVE_INFINITY) < quarantineMs;
      for (const each of operations) {
        switch (each.do) {
          case "assign": {
            const expected = assignable.map(ipAt).find((ip) => !held.has(ip) && !rests(ip));
            const given = pools.findFree(inventory, network, subnet, nowMs, () => true);
            expect(given).toBe(expected);
            if (given) take(given);
            break;
          }
          case "name":
            if (!held.has(ipAt(each.offset))) take(ipAt(each.offset));
            break;
          case "release": {
            const [ip, before] = [...held][each.which % Math.max(1, held.size)] ?? [];
            if (!ip || !before) break;
            held.delete(ip);
            releasedMs.set(ip, nowMs);
            apply({ kind: "vm", before, after: null });
            break;
          }
          case "undone": {
            const offset = 1 + (each.which % 14);
            const before = held.get(ipAt(offset)) ?? null;
            const after = before ? null : vmWith("refused", ipAt(offset));
            const change: ResourceChange = { kind: "vm", before, after } as ResourceChange;
            inventory.apply([change]);
            const ended = pools.apply([change], nowMs);
            // Another change of the same batch is given an address.
            pools.findFree(inventory, network, subnet, nowMs, () => true);
            inventory.apply(invert([change]));
            pools.revert(inventory, [change], ended);
            break;
          }
          case "wait":
            nowMs += each.ms;
            break;
          case "restart": {
            const released = [...releasedMs].map(([ip, atMs]) => ({ network: "n", ip, atMs }));
            pools = new AddressPools(
              inventory,
              released.sort((a, b) => a.atMs - b.atMs),
            );
          }
        }
      }
    }),
    { numRuns: runs(500) },
  );
});

test("a release that is restored expires when it would have expired", () => {
  const quarantine = new Quarantine();
  const [first, second] = [1, 2].map((n) => ({ network: "n", ip: ipAt(n), atMs: n }));
  if (!first || !second) throw new Error("two releases");
  for (const each of [first, second]) quarantine.hold(each);
  quarantine.end("n", first.ip);
  quarantine.restore([first]);
  expect(quarantine.expire("n", first.atMs)).toEqual([first.ip]);
});
