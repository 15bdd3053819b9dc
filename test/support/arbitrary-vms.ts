// VMs in a small world, so that random histories meet the same names and addresses again.
import fc from "fast-check";
import type { IpAddress, MacAddress } from "../../schema/address/index.ts";
import type { InterfaceSpec, Vm } from "../../schema/rest/index.ts";
import { ip, mac, rev, vni, vtep } from "./addresses.ts";
import type { World } from "./inventory-contents.ts";

export const world: World = {
  networks: ["blue", "green", "red"],
  hosts: ["a", "b", "c"],
  vms: ["", "v1", "v2", "v2-x", "v3", "v4", "v5", "w"],
  vnis: [100, 200].map(vni),
  vteps: ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(vtep),
  ports: ["tap1", "tap2", "eth9"],
  parents: ["v1/eth0", "v2/eth0", "v3/net"],
  macs: [1, 2, 3, 4, 5, 6].map((n) => mac(`52:54:00:ff:80:0${n}`)),
  ips: ["10.0.0.1", "10.0.0.2", "255.0.0.254", "fd00::1", "fd00::2", "2001:db8:0:1:1:1:1:1", "fe80::ffff:1"].map(ip),
  labels: [["tier"], ["tier", "web"], ["tier", ""], ["team", "x"]],
};

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
export const labels = fc.dictionary(fc.constantFrom("tier", "team", "a.b/c"), fc.constantFrom("", "x", "web"), {
  maxKeys: 3,
});
const description = fc.constantFrom("", "a router", "größer", "日本", "\ud800 alone", "x".repeat(300));
const revision = fc.constantFrom(1, 2, 2 ** 31, 2 ** 32 + 7, Number.MAX_SAFE_INTEGER).map(rev);

const anInterface: fc.Arbitrary<InterfaceSpec> = fc
  .record({
    name: fc.constantFrom("eth0", "eth1", "net"),
    network: fc.constantFrom(...world.networks),
    mac: fc.constantFrom<MacAddress>(...world.macs),
    ips: fc.uniqueArray(fc.constantFrom<IpAddress>(...world.ips), { maxLength: 3 }),
    port: maybe(fc.constantFrom(...world.ports)),
    parent: maybe(fc.constantFrom(...world.parents)),
    router: maybe(fc.boolean()),
  })
  .map(defined);

export const aVm: fc.Arbitrary<Vm> = fc
  .record({
    name: fc.constantFrom("v1", "v2", "v2-x", "v3", "v4", "v5"),
    host: fc.constantFrom(...world.hosts),
    preparedHost: maybe(fc.constantFrom(...world.hosts)),
    interfaces: fc.uniqueArray(anInterface, { maxLength: 3, selector: ({ name }) => name }),
    ownerNetworks: maybe(fc.uniqueArray(fc.constantFrom(...world.networks), { maxLength: 2 })),
    labels,
    description,
    uid: fc.oneof(fc.uuid(), fc.constantFrom("warm-up", "uid-1", "00000000-0000-0000-0000-00000000000G")),
    revision,
  })
  .map(({ preparedHost, ownerNetworks, ...vm }) => ({
    ...vm,
    ...(preparedHost === undefined || preparedHost === vm.host ? {} : { preparedHost }),
    ...(ownerNetworks === undefined || vm.interfaces.length > 0 ? {} : { ownerNetworks }),
  }));

/** `exactOptionalPropertyTypes`: absent, not undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never;
}
