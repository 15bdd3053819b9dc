// `knowledge` of networks: what operators write, and what hosts learn of it.
import { describe, expect, test } from "vitest";
import { closeCodes } from "../../schema/agent/index.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { type AgentClient, call, populate, startController, temporaryDatabase, vm } from "./harness.ts";
import { blue, ipKey, macKey, red } from "./keys.ts";

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

describe("auto", () => {
  type Chosen = { knowledge?: string; knowledgeChosen?: { mode: string; addresses?: number } };
  const read = async (controller: Awaited<ReturnType<typeof startController>>): Promise<Chosen> =>
    (await controller.request("GET", "/v1/networks/blue")).body;
  const chosen = (controller: Awaited<ReturnType<typeof startController>>, mode: string) =>
    waitUntil(
      () => read(controller),
      ({ knowledgeChosen }) => knowledgeChosen?.mode === mode && knowledgeChosen.addresses !== undefined,
      { what: `the choice of ${mode}` },
    );
  const fill = (count: number) =>
    Array.from({ length: count }, (_, n) => {
      const tail = `${(n >> 8) + 50}.${n & 255}`;
      const mac = `52:54:01:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
      return JSON.stringify({
        kind: "vm",
        name: `many-${n}`,
        host: "a",
        interfaces: [{ network: "blue", mac, ips: [`10.20.${tail}`] }],
      });
    }).join("\n");

  test("is chosen by the controller, says why, is sent to hosts of both versions, and follows the network's size", async () => {
    const controller = await startController({ knowledgeEveryMs: 20 });
    await populate(controller);
    await call(controller, 200, "PATCH", "/v1/networks/blue", { subnets: ["10.20.0.0/16", "fd00:20::/64"] });
    const agent = await controller.agent("a").connect([], { protocol });
    await call(controller, 200, "PATCH", "/v1/networks/blue", { knowledge: "auto" });
    const { knowledgeChosen } = await chosen(controller, "prefetch");
    expect(knowledgeChosen).toMatchObject({ hosts: expect.any(Number), changesPerMinute: 0 });
    await agent.frame("changes", ({ networks }) => networks[0]?.knowledge === "prefetch");
    const former = await controller.agent("b").connect();
    expect(former.frames("snapshot")[0]?.networks).toMatchObject([{ name: "blue", knowledge: "prefetch" }]);

    const headers = { "content-type": "application/x-ndjson" };
    expect((await controller.request("POST", "/v1/import", fill(600), headers)).status).toBe(200);
    expect((await chosen(controller, "replicate")).knowledgeChosen?.addresses).toBeGreaterThan(600);
    await agent.frame("changes", ({ networks }) => networks[0]?.knowledge === "replicate");
    const metrics: string = await call(controller, 200, "GET", "/metrics");
    expect(metrics).toContain('nearmiss_controller_auto_networks{mode="replicate"} 1');

    for (let n = 0; n < 500; n++) await call(controller, 204, "DELETE", `/v1/vms/many-${n}`);
    await chosen(controller, "prefetch");
  });

  test("keeps what hosts have until the network is counted, and its choice through writes and a restart", async () => {
    const db = temporaryDatabase();
    const first = await startController({ db });
    await populate(first);
    await call(first, 200, "PATCH", "/v1/networks/blue", { knowledge: "replicate" });
    const body = await call(first, 200, "PATCH", "/v1/networks/blue", { knowledge: "auto" });
    expect(body.knowledgeChosen).toEqual({ mode: "replicate" });
    const { knowledgeChosen } = await chosen(first, "prefetch");
    expect(await call(first, 200, "PATCH", "/v1/networks/blue", { description: "x" })).toMatchObject({
      knowledgeChosen,
    });
    const put = { vni: 100, subnets: ["10.20.0.0/16", "fd00:20::/64"], knowledge: "auto" };
    expect(await call(first, 200, "PUT", "/v1/networks/blue", put)).toMatchObject({ knowledgeChosen });
    await first.stop();
    const second = await startController({ db });
    expect(await read(second)).toMatchObject({ knowledge: "auto", knowledgeChosen });
    await call(second, 400, "PATCH", "/v1/networks/blue", { knowledgeChosen: { mode: "replicate" } });
    const exported: string = await call(second, 200, "GET", "/v1/export");
    expect(exported).toContain('"knowledge":"auto"');
    expect(exported).not.toContain("knowledgeChosen");
    await call(second, 200, "PATCH", "/v1/networks/blue", { knowledge: "on-demand" });
    expect(await read(second)).not.toHaveProperty("knowledgeChosen");
  });
});

describe("what a kernel has of a network in memory", () => {
  const subscribe = async (
    controller: Awaited<ReturnType<typeof startController>>,
    host: string,
    keys = [ipKey(1)],
  ) => {
    const agent = await controller.agent(host).connect([], { protocol });
    agent.send({ type: "subscribe", id: 1, vni: blue });
    await agent.frame("base", ({ end }) => end);
    if (keys.length > 0) agent.send({ type: "used", keys });
    agent.send({ type: "resolve", id: 2, questions: [] });
    await agent.frame("answers", ({ id }) => id === 2);
    return agent;
  };

  /** As an agent whose kernel has everything at once. */
  const confirmAll = (agent: AgentClient) =>
    agent.listen((frame) => {
      if (frame.type === "heartbeat" || (frame.type === "changes" && frame.end))
        agent.send({ type: "applied", revision: frame.asOf, problems: [] });
    });

  test("becomes interest: holders, and a push with each change", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await subscribe(controller, "b");
    const { holders } = (await controller.request("GET", "/v1/vms/web-1/holders")).body;
    const addresses = [macKey(1).mac, "10.20.1.1"];
    expect(
      holders.map(({ host, addresses: known }: { host: string; addresses: string[] }) => [host, known.sort()]),
    ).toEqual([
      ["a", expect.anything()],
      ["b", addresses.sort()],
    ]);
    await call(controller, 200, "PATCH", "/v1/hosts/a", { vtep: "192.0.2.11" });
    const pushed = await agent.frame("changes");
    expect(pushed.answers.map(({ binding }) => binding?.vtep)).toEqual(["192.0.2.11", "192.0.2.11"]);
    expect(agent.frames("delta")).toHaveLength(1);
  });

  test("is no interest where nothing is registered, in a network that the host may not know, or in version 1", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/red-2", vm("b", 2, "red"));
    const agent = await subscribe(controller, "a", [ipKey(77), ipKey(2, red)]);
    await call(controller, 201, "PUT", "/v1/vms/web-77", vm("b", 7));
    await call(controller, 200, "PATCH", "/v1/vms/red-2", { labels: { x: "y" } });
    await call(controller, 200, "PATCH", "/v1/hosts/b", { vtep: "192.0.2.22" });
    await agent.heard();
    expect(agent.frames("changes")).toEqual([]);
    const old = controller.agent("b");
    await old.connect();
    old.send({ type: "used", keys: [ipKey(1)] });
    expect((await old.closed).code).toBe(closeCodes.badFrame);
  });

  test("and in its memory has to be confirmed by a move that waits, which asks for it at once", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
    const agents = await Promise.all(["a", "b", "c"].map((host) => subscribe(controller, host, [])));
    for (const agent of agents) confirmAll(agent);
    const moved = call(controller, 200, "POST", "/v1/vms/web-1/move", { host: "b", wait: true });
    expect(await moved).toMatchObject({ of: 3, confirmed: 3, unconfirmed: [] });
    expect(await moved).not.toHaveProperty("remembered");
  });

  test("and in the memory of a disconnected host is named, and waited for where that is asked for", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
    const agents = await Promise.all(["a", "b", "c"].map((host) => subscribe(controller, host, [])));
    for (const agent of agents) confirmAll(agent);
    agents[2]?.close();
    await waitFor(async () => !(await controller.request("GET", "/v1/hosts/c")).body.connected, {
      what: "host c to leave",
    });
    const path = "/v1/vms/web-1/move";
    expect(await call(controller, 200, "POST", path, { host: "b", wait: true })).toMatchObject({
      of: 2,
      confirmed: 2,
      remembered: ["c"],
    });
    expect(await call(controller, 200, "POST", path, { host: "a", wait: "all", timeoutMs: 50 })).toMatchObject({
      of: 3,
      confirmed: 2,
      unconfirmed: [{ host: "c" }],
      remembered: ["c"],
    });
    // With its next snapshot it follows again, or has dropped what it had.
    await controller.agent("c").connect([], { protocol });
    expect(await call(controller, 200, "POST", path, { host: "b" })).not.toHaveProperty("remembered");
  });
});
