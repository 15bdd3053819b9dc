// `broadcast` of networks: what operators write, and what hosts learn of it.
import { describe, expect, test } from "vitest";
import { call, populate, startController, temporaryDatabase } from "./harness.ts";
import { blue } from "./keys.ts";

const protocol = { min: 1, max: 2 };
const path = "/v1/networks/blue";

describe("the broadcast of a network", () => {
  test("is set, patched and removed, and other values are refused", async () => {
    const controller = await startController();
    await populate(controller);
    const body = async () => (await controller.request("GET", path)).body;
    expect(await body()).not.toHaveProperty("broadcast");
    await call(controller, 200, "PATCH", path, { broadcast: "replicate" });
    await call(controller, 200, "PATCH", path, { mtu: 1400 });
    expect(await body()).toMatchObject({ broadcast: "replicate", mtu: 1400 });
    await call(controller, 400, "PATCH", path, { broadcast: "flood" });
    await call(controller, 200, "PATCH", path, { broadcast: "off" });
    expect(await body()).toMatchObject({ broadcast: "off" });
    await call(controller, 200, "PATCH", path, { broadcast: null });
    expect(await body()).not.toHaveProperty("broadcast");
  });

  test("survives a restart of the controller", async () => {
    const db = temporaryDatabase();
    const first = await startController({ db });
    await populate(first);
    await call(first, 200, "PATCH", path, { broadcast: "replicate" });
    await first.stop();
    const second = await startController({ db });
    expect((await second.request("GET", path)).body).toMatchObject({ broadcast: "replicate" });
  });

  test("is sent with the network and its host table to hosts that copy, and the table follows members", async () => {
    const controller = await startController();
    await populate(controller);
    const [a, plain] = [
      await controller.agent("a").connect([], { protocol, broadcasts: true }),
      await controller.agent("b").connect([], { protocol }),
    ];
    expect(a.frames("hosts")).toEqual([]);
    await call(controller, 200, "PATCH", path, { broadcast: "replicate" });
    expect((await a.frame("changes")).networks).toMatchObject([{ name: "blue", broadcast: "replicate" }]);
    expect((await plain.frame("changes")).networks).toMatchObject([{ name: "blue", broadcast: "replicate" }]);
    const [table, ...more] = a.frames("hosts");
    expect([table?.vni, table?.whole, table?.hosts.map(({ host }) => host).sort(), more]).toEqual([
      100,
      true,
      ["a", "b"],
      [],
    ]);
    await call(controller, 201, "PUT", "/v1/vms/newcomer", {
      host: "c",
      interfaces: [{ network: "blue", mac: "52:54:00:00:00:77" }],
    });
    expect((await a.frame("hosts", ({ whole }) => !whole)).hosts).toMatchObject([
      { host: "c", vtep: expect.any(String) },
    ]);
    await call(controller, 204, "DELETE", "/v1/vms/newcomer");
    await a.frame("hosts", ({ hosts }) => hosts[0]?.host === "c" && hosts[0].vtep === null);
    await plain.heard();
    expect(plain.frames("hosts")).toEqual([]);
    await call(controller, 200, "PATCH", path, { broadcast: "off" });
    const [network] = (
      await a.frame("changes", ({ networks }) => networks[0]?.broadcast === undefined && networks.length > 0)
    ).networks;
    expect(network).toMatchObject({ vni: blue });
    const again = await controller.agent("a").connect([], { protocol, broadcasts: true });
    expect(again.frames("hosts")).toEqual([]);
  });

  test("is in the table of each new session", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 200, "PATCH", path, { broadcast: "replicate" });
    const a = await controller.agent("a").connect([], { protocol, broadcasts: true });
    expect(a.frames("hosts")).toMatchObject([{ vni: 100, whole: true, end: true }]);
  });
});
