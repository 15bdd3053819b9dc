// `knowledge` of networks: what operators write, and what hosts learn of it.
import { describe, expect, test } from "vitest";
import { call, populate, startController, temporaryDatabase } from "./harness.ts";

const protocol = { min: 1, max: 2 };

describe("the knowledge of a network", () => {
  test("is set, patched and removed, and other values are refused", async () => {
    const controller = await startController();
    await populate(controller);
    const path = "/v1/networks/blue";
    const body = async () => (await controller.request("GET", path)).body;
    expect(await body()).not.toHaveProperty("knowledge");
    await call(controller, 200, "PATCH", path, { knowledge: "replicate" });
    expect(await body()).toMatchObject({ knowledge: "replicate" });
    await call(controller, 200, "PATCH", path, { mtu: 1400 });
    expect(await body()).toMatchObject({ knowledge: "replicate", mtu: 1400 });
    await call(controller, 400, "PATCH", path, { knowledge: "everything" });
    await call(controller, 200, "PATCH", path, { knowledge: null });
    expect(await body()).not.toHaveProperty("knowledge");
  });

  test("survives a restart of the controller", async () => {
    const db = temporaryDatabase();
    const first = await startController({ db });
    await populate(first);
    await call(first, 200, "PATCH", "/v1/networks/blue", { knowledge: "replicate" });
    await first.stop();
    const second = await startController({ db });
    expect((await second.request("GET", "/v1/networks/blue")).body).toMatchObject({ knowledge: "replicate" });
  });

  test("is sent with the network, and a change of it reaches the network's hosts and no others", async () => {
    const controller = await startController();
    await populate(controller);
    const [a, c] = await Promise.all([
      controller.agent("a").connect([], { protocol }),
      controller.agent("c").connect([], { protocol }),
    ]);
    await call(controller, 200, "PATCH", "/v1/networks/blue", { knowledge: "replicate" });
    expect((await a.frame("changes")).networks).toMatchObject([{ name: "blue", knowledge: "replicate" }]);
    const again = await controller.agent("a").connect([], { protocol });
    expect(again.frames("snapshot")[0]?.networks).toMatchObject([{ name: "blue", knowledge: "replicate" }]);
    await call(controller, 200, "PATCH", "/v1/networks/blue", { knowledge: "on-demand" });
    const [network] = (await again.frame("changes")).networks;
    expect(network).not.toHaveProperty("knowledge");
    await c.heard();
    expect(c.frames("changes")).toEqual([]);
  });
});
