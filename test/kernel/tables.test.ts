import { beforeAll, expect, test } from "vitest";
import type { Entry } from "../../node-agent/tables/entry.ts";
import { describeTables } from "../contract/tables.ts";
import { ip, mac, vni, vtep } from "../support/addresses.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

function commandFor(entry: Entry): [string, ...string[]] {
  const device = ["dev", `nmv${entry.vni}`];
  switch (entry.kind) {
    case "neighbour":
      return ["ip", "neigh", "replace", entry.ip, "lladdr", entry.mac, ...device, "nud", "permanent"];
    case "tunnel": {
      const flags = entry.router ? ["router"] : [];
      const to = ["dst", entry.vtep, "port", String(entry.vtepPort)];
      return ["bridge", "fdb", "replace", entry.mac, ...device, ...to, "self", "permanent", ...flags];
    }
    case "broadcast": {
      const to = ["dst", entry.vtep, "port", String(entry.vtepPort)];
      return ["bridge", "fdb", "append", entry.mac, ...device, ...to, "self", "permanent"];
    }
    case "bridge":
      return ["bridge", "fdb", "replace", entry.mac, ...device, "master", "static"];
  }
}

describeKernel("the kernel's tables", () => {
  const host = kernelHost();
  beforeAll(async () => void (await host.devices.ensure(agentNetwork(100), localVtep, epoch)));

  describeTables({ tables: () => host.tables, foreign, runs: 60 });

  async function foreign(entry: Entry): Promise<void> {
    await host.namespace.exec(commandFor(entry));
  }

  test("all three entries match the output of `ip neigh` and `bridge fdb`", async () => {
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
