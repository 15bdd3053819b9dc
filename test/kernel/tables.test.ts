import { beforeAll, expect, test } from "vitest";
import { describeTables } from "../contract/tables.ts";
import { ip, mac, vni, vtep } from "../support/addresses.ts";
import { agentNetwork, describeKernel, kernelHost, localVtep } from "../support/kernel.ts";

describeKernel("the kernel's tables", () => {
  const host = kernelHost();
  beforeAll(async () => void (await host.devices.ensure(agentNetwork(100), localVtep)));

  describeTables({ tables: () => host.tables, runs: 60 });

  test("entries of others are not listed: neighbours without our tag, FDB entries without extern_learn", async () => {
    const { namespace } = host;
    await namespace.exec(["ip", "neigh", "add", "10.20.1.77", "lladdr", "52:54:00:00:00:77", "dev", "nmv100"]);
    await namespace.exec(["bridge", "fdb", "add", "52:54:00:00:00:77", "dev", "nmv100", "dst", "192.0.2.77", "self"]);
    await namespace.exec(["bridge", "fdb", "add", "52:54:00:00:00:77", "dev", "nmv100", "master", "static"]);
    expect(await host.tables.list(vni(100))).toEqual([]);
  });

  test("all three entries are what `ip neigh` and `bridge fdb` show", async () => {
    const guest = mac("52:54:00:00:00:01");
    await host.tables.apply([
      { verb: "put", entry: { kind: "tunnel", vni: vni(100), mac: guest, vtep: vtep("192.0.2.1"), vtepPort: 4789 } },
      { verb: "put", entry: { kind: "bridge", vni: vni(100), mac: guest } },
      { verb: "put", entry: { kind: "neighbour", vni: vni(100), ip: ip("10.20.1.1"), mac: guest } },
    ]);
    const neighbours = await host.namespace.exec(["ip", "neigh", "show", "dev", "nmv100", "10.20.1.1"]);
    expect(neighbours.trim()).toBe("10.20.1.1 lladdr 52:54:00:00:00:01 PERMANENT proto 78");
    const fdb = await host.namespace.exec(["bridge", "fdb", "show", "dev", "nmv100"]);
    expect(
      fdb
        .split("\n")
        .filter((line) => line.startsWith(guest))
        .map((line) => line.trim()),
    ).toEqual([`${guest} extern_learn master nmb100`, `${guest} dst 192.0.2.1 self extern_learn permanent`]);
  });
});
