// Subscriptions to whole networks, over real WebSockets: bases in parts, deltas that all subscribers share, and their end.
import { describe, expect, test } from "vitest";
import { type Answer, parseIp, parseMac, parseRevision } from "../../schema/address/index.ts";
import { closeCodes, maxFrameBytes } from "../../schema/agent/index.ts";
import { type AgentClient, call, populate, startController, vm } from "./harness.ts";
import { blue, ipKey, red } from "./keys.ts";

const protocol = { min: 1, max: 2 };
const many = 2_000;

/** Beside those of `populate`. */
function* manyVms(): Generator<string> {
  for (let n = 0; n < many; n++) {
    const [high, low] = [n >> 8, n & 255];
    const mac = `52:54:01:00:${high.toString(16).padStart(2, "0")}:${low.toString(16).padStart(2, "0")}`;
    const interfaces = [{ network: "blue", mac, ips: [`fd00:20::1:${n.toString(16)}`] }];
    yield `${JSON.stringify({ kind: "vm", name: `many-${n}`, host: "b", interfaces })}\n`;
  }
}

async function subscribed(agent: AgentClient, vni = blue) {
  agent.send({ type: "subscribe", id: 1, vni });
  await agent.frame("base", (frame) => frame.end && frame.vni === vni);
  return agent.frames("base").flatMap(({ answers }) => answers);
}

describe("a subscription to a network", () => {
  test("begins with all its bindings, in parts between which questions are answered", async () => {
    const controller = await startController();
    await populate(controller);
    const headers = { "content-type": "application/x-ndjson" };
    const imported = await controller.request("POST", "/v1/import", [...manyVms()].join(""), headers);
    expect(imported.status).toBe(200);
    const agent = await controller.agent("a").connect([], { protocol });
    agent.send({ type: "subscribe", id: 1, vni: blue });
    agent.send({ type: "resolve", id: 2, questions: [ipKey(2)] });
    await agent.frame("base", ({ end }) => end);
    const types = agent.received.map(({ type }) => type);
    expect(types.lastIndexOf("base")).toBeGreaterThan(types.indexOf("answers"));
    const bases = agent.frames("base");
    expect(bases.length).toBeGreaterThan(10);
    for (const text of agent.texts) expect(text.length).toBeLessThanOrEqual(maxFrameBytes);
    const bindings = bases.flatMap(({ answers }) => answers);
    // Two VMs with a MAC and two IPs each, and the many with one of both.
    expect(bindings).toHaveLength(2 * 3 + many * 2);
    expect(bindings.filter(({ binding }) => binding?.local)).toHaveLength(3);
  });

  test("goes on with the changes of each revision, in the same bytes for all subscribers", async () => {
    const controller = await startController();
    await populate(controller);
    const agents = await Promise.all(["a", "b"].map((host) => controller.agent(host).connect([], { protocol })));
    for (const agent of agents) await subscribed(agent);
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    await call(controller, 204, "DELETE", "/v1/vms/web-3");
    await call(controller, 200, "PATCH", "/v1/hosts/c", { vtep: "192.0.2.33" });
    for (const agent of agents) await agent.heard();
    const [first, second] = agents.map(({ texts }) => texts.filter((text) => text.startsWith('{"type":"delta"')));
    // Host b has no VM in the network any more from the second revision on.
    expect(second).toEqual(first?.slice(0, 1));
    expect(first).toHaveLength(4);
    const [created, moved, deleted, elsewhere] = agents[0]?.frames("delta") ?? [];
    expect(created?.answers.map(({ binding }) => binding?.host)).toEqual(["c", "c", "c"]);
    expect(moved?.answers.map(({ binding }) => binding?.host)).toEqual(["c", "c", "c"]);
    expect(deleted?.answers.map(({ binding }) => binding)).toEqual([null, null, null]);
    expect(elsewhere?.answers.map(({ binding }) => binding?.vtep)).toEqual(Array(3).fill("192.0.2.33"));
  });

  test("needs no interest: a subscriber is pushed nothing of keys that it has not asked for", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect([], { protocol });
    await subscribed(agent);
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    await agent.heard();
    expect(agent.frames("delta")).toHaveLength(1);
    expect(agent.frames("changes")).toEqual([]);
  });

  test("ends when the agent says so, and a new one begins with a base", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect([], { protocol });
    await subscribed(agent);
    agent.send({ type: "unsubscribe", id: 7, vni: blue });
    await agent.frame("answers", ({ id }) => id === 7);
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
    await agent.heard();
    expect(agent.frames("delta")).toEqual([]);
    const bases = agent.frames("base").length;
    agent.send({ type: "subscribe", id: 8, vni: blue });
    await agent.untilAll(() => agent.frames("base").length > bases);
    expect(agent.frames("base").at(-1)?.answers).toHaveLength(9);
  });

  describe("of a host that has the network at a position", () => {
    async function returning(asOf = 0, more = {}) {
      const controller = await startController();
      await populate(controller);
      await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
      const first = await controller.agent("a").connect([], { protocol });
      const position = await first.frame("welcome");
      await call(controller, 204, "DELETE", "/v1/vms/web-3");
      await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
      const agent = await controller.agent("a").connect([], { protocol, epoch: position.epoch, ...more });
      agent.send({ type: "subscribe", id: 1, vni: blue, asOf: parseRevision(position.asOf + asOf) });
      const base = await agent.frame("base", ({ end }) => end);
      return { base, since: base.since === undefined ? undefined : base.since - position.asOf };
    }
    const hostsOf = ({ answers }: { answers: readonly Answer[] }) => answers.map(({ binding }) => binding?.host);

    test("begins with what has changed behind it", async () => {
      const { base, since } = await returning();
      expect(since).toBe(0);
      expect(hostsOf(base)).toEqual([undefined, undefined, undefined, "c", "c", "c"]);
    });

    test("begins with nothing where nothing has changed", async () => {
      const { base, since } = await returning(2);
      expect(since).toBe(2);
      expect(base.answers).toEqual([]);
    });

    test.each([
      { what: "of another store", asOf: 0, more: { epoch: "another" } },
      { what: "beyond the log", asOf: 3, more: {} },
    ])("begins anew with a position $what", async ({ asOf, more }) => {
      const { base, since } = await returning(asOf, more);
      expect(since).toBeUndefined();
      expect(base.answers).toHaveLength(6);
    });

    test("begins anew with a position from before the start of the controller", async () => {
      const controller = await startController();
      await populate(controller);
      await controller.stop();
      const { db } = controller;
      const restarted = await startController({ db });
      const agent = restarted.agent("a");
      const { epoch, asOf } = await agent.hello({ protocol });
      agent.close();
      const returned = await restarted.agent("a").connect([], { protocol, epoch });
      for (const [id, position] of [asOf - 1, asOf].entries()) {
        returned.send({ type: "subscribe", id, vni: blue, asOf: parseRevision(position) });
        await returned.untilAll(() => returned.frames("base").length > id);
      }
      expect(returned.frames("base").map(({ since, answers }) => [since, answers.length])).toEqual([
        [undefined, 6],
        [asOf, 0],
      ]);
    });
  });

  test("is empty where the host may not know the network, and is refused in version 1", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/red-1", {
      host: "b",
      interfaces: [{ network: "red", mac: parseMac("52:54:00:00:00:09"), ips: [parseIp("10.20.1.9")] }],
    });
    const agent = await controller.agent("a").connect([], { protocol });
    expect(await subscribed(agent, red)).toEqual([]);
    const older = await controller.agent("c").connect();
    older.send({ type: "subscribe", id: 1, vni: blue });
    expect((await older.closed).code).toBe(closeCodes.badFrame);
  });
});
