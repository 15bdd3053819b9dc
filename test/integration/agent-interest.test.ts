// Frames that a host receives on the agent channel, and those it does not: answers, changes of its keys, and nothing
// after a release.
import { describe, expect, test } from "vitest";
import { parseIp } from "../../schema/address/index.ts";
import { closeCodes } from "../../schema/agent/index.ts";
import { call, populate, startController, vm } from "./harness.ts";
import { at, blue, ipKey, macKey, red } from "./keys.ts";

describe("questions", () => {
  test("of both kinds and families are answered in one frame with the question's id", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect();
    const v6 = { kind: "ip", vni: blue, ip: parseIp("fd00:20::2") } as const;
    agent.send({ type: "resolve", id: 7, questions: [ipKey(2), v6, macKey(2), ipKey(99)] });
    const { id, asOf, answers } = await agent.frame("answers");
    expect({ id, asOf }).toEqual({ id: 7, asOf: 7 });
    expect(answers).toEqual([
      { key: ipKey(2), revision: 7, binding: at("b", 2) },
      { key: v6, revision: 7, binding: at("b", 2) },
      { key: macKey(2), revision: 7, binding: at("b", 2) },
      { key: ipKey(99), revision: 7, binding: null },
    ]);
    const metrics = await call(controller, 200, "GET", "/metrics");
    expect(metrics).toContain('nearmiss_controller_resolves_total{kind="ip",result="known"} 2');
    expect(metrics).toContain('nearmiss_controller_resolves_total{kind="ip",result="unknown"} 1');
    expect(metrics).toContain("nearmiss_controller_sessions 1");
  });

  test("about a network without a VM on the host are answered as unknown, and reveal nothing later", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect();
    await call(controller, 201, "PUT", "/v1/vms/red-1", vm("b", 5, "red"));
    agent.send({ type: "resolve", id: 1, questions: [ipKey(5, red), macKey(5, red), ipKey(6, red)] });
    const { answers } = await agent.frame("answers");
    expect(answers.map(({ binding }) => binding)).toEqual([null, null, null]);
    await call(controller, 201, "PUT", "/v1/vms/red-2", vm("b", 6, "red"));
    await call(controller, 200, "PATCH", "/v1/vms/red-1", { host: "c" });
    agent.send({ type: "resolve", id: 2, questions: [] });
    await agent.frame("answers", ({ id }) => id === 2);
    expect(agent.frames("changes")).toEqual([]);
  });
});

describe("pushes", () => {
  test("a move reaches the hosts that asked, the old and the new host, and no other", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/hosts/d", { vtep: "192.0.2.4" });
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("c", 3));
    await call(controller, 201, "PUT", "/v1/vms/web-4", vm("d", 4));
    // web-5 keeps network blue on a when web-1 leaves.
    await call(controller, 201, "PUT", "/v1/vms/web-5", vm("a", 5));
    const [a, b, c, d] = await Promise.all(["a", "b", "c", "d"].map((host) => controller.agent(host).connect()));
    if (!a || !b || !c || !d) throw new Error("unreachable");
    b.send({ type: "resolve", id: 1, questions: [ipKey(1)] });
    await b.frame("answers");
    const { revision } = await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });

    const told = await Promise.all([a, b, c].map((agent) => agent.frame("changes", ({ asOf }) => asOf === revision)));
    const byKey = told.map(({ answers }) =>
      Object.fromEntries(answers.map((each) => [JSON.stringify(each.key), each.binding])),
    );
    expect(byKey[0]?.[JSON.stringify(ipKey(1))]).toEqual(at("c", 1));
    expect(byKey[0]?.[JSON.stringify(macKey(1))]).toEqual(at("c", 1));
    expect(byKey[1]?.[JSON.stringify(ipKey(1))]).toEqual(at("c", 1));
    expect(byKey[1]?.[JSON.stringify(macKey(1))]).toEqual(at("c", 1)); // revealed by the answer
    expect(Object.keys(byKey[1] ?? {})).toHaveLength(2);
    expect(byKey[2]?.[JSON.stringify(ipKey(1))]).toEqual({ ...at("c", 1), local: true });

    d.send({ type: "resolve", id: 1, questions: [] });
    await d.frame("answers");
    expect(d.frames("changes")).toEqual([]);
  });

  test("an address cached as unknown is pushed when it is registered", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect();
    a.send({ type: "resolve", id: 1, questions: [ipKey(9)] });
    await a.frame("answers");
    await call(controller, 201, "PUT", "/v1/vms/late", vm("c", 9));
    const { answers } = await a.frame("changes");
    expect(answers).toEqual([{ key: ipKey(9), revision: 8, binding: at("c", 9) }]);
  });

  test("a deletion is pushed as a tombstone to holders and to the VM's own host", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/stays", vm("b", 6));
    const [a, b] = await Promise.all([controller.agent("a").connect([ipKey(2)]), controller.agent("b").connect()]);
    await call(controller, 204, "DELETE", "/v1/vms/web-2");
    const told = await Promise.all([a.frame("changes"), b.frame("changes")]);
    expect(told[0]?.answers).toEqual(
      expect.arrayContaining([
        { key: ipKey(2), revision: 9, binding: null },
        { key: macKey(2), revision: 9, binding: null },
      ]),
    );
    expect(told[1]?.answers.map(({ binding }) => binding)).toEqual([null, null, null]);
    expect(told[1]?.gone).toEqual([]);
  });

  test("a network arrives with the first VM, and leaves with the last, with all interest in it", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect();
    await call(controller, 201, "PUT", "/v1/vms/red-2", vm("b", 2, "red"));
    await call(controller, 201, "PUT", "/v1/vms/red-1", vm("a", 1, "red"));
    const came = await a.frame("changes");
    expect(came.networks).toEqual([{ name: "red", vni: 200, mtu: 1450, revision: 2 }]);
    expect(came.answers).toHaveLength(2);
    a.send({ type: "resolve", id: 1, questions: [ipKey(2, red)] });
    await a.frame("answers");
    await call(controller, 204, "DELETE", "/v1/vms/red-1");
    const went = await a.frame("changes", ({ gone }) => gone.length > 0);
    expect(went).toMatchObject({ networks: [], gone: [200], answers: [] });
    await call(controller, 204, "DELETE", "/v1/vms/red-2");
    a.send({ type: "resolve", id: 2, questions: [] });
    await a.frame("answers", ({ id }) => id === 2);
    expect(a.frames("changes")).toHaveLength(2);
  });

  test("a new MTU reaches the hosts of the network; a new subnet reaches none", async () => {
    const controller = await startController();
    await populate(controller);
    const [a, c] = await Promise.all([controller.agent("a").connect(), controller.agent("c").connect()]);
    const subnets = ["10.20.1.0/24", "fd00:20::/64", "10.20.2.0/24"];
    await call(controller, 200, "PUT", "/v1/networks/blue", { vni: 100, subnets });
    const { revision } = await call(controller, 200, "PUT", "/v1/networks/blue", { vni: 100, subnets, mtu: 8950 });
    expect(await a.frame("changes")).toMatchObject({
      asOf: revision,
      networks: [{ name: "blue", vni: 100, mtu: 8950, revision }],
      answers: [],
    });
    c.send({ type: "resolve", id: 1, questions: [] });
    await c.frame("answers");
    expect(c.frames("changes")).toEqual([]);
  });

  test("a new VTEP of a host reaches the holders of its VMs, and the host itself", async () => {
    const controller = await startController();
    await populate(controller);
    const [a, b] = await Promise.all([controller.agent("a").connect([ipKey(2)]), controller.agent("b").connect()]);
    const { revision } = await call(controller, 200, "PUT", "/v1/hosts/b", { vtep: "192.0.2.22", port: 8472 });
    const { answers } = await a.frame("changes");
    const moved = { ...at("b", 2), vtep: "192.0.2.22", vtepPort: 8472 };
    expect(answers).toEqual([
      { key: macKey(2), revision, binding: moved },
      { key: ipKey(2), revision, binding: moved },
    ]);
    expect((await b.frame("changes")).self).toEqual({ vtep: "192.0.2.22", vtepPort: 8472 });
  });

  test("a new MAC of an IP is corrected at every holder", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect([ipKey(2)]);
    const interfaces = [{ network: "blue", mac: "52:54:00:00:00:08", ips: ["10.20.1.2"] }];
    const { revision } = await call(controller, 200, "PATCH", "/v1/vms/web-2", { interfaces });
    const { answers } = await a.frame("changes");
    expect(answers).toEqual(
      expect.arrayContaining([
        { key: ipKey(2), revision, binding: { ...at("b", 2), mac: "52:54:00:00:00:08" } },
        { key: macKey(2), revision, binding: null },
      ]),
    );
  });

  test("interest survives the session: a returning agent is informed through its declaration alone", async () => {
    const controller = await startController();
    await populate(controller);
    const first = await controller.agent("a").connect([ipKey(2)]);
    first.close();
    await first.closed;
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    const metrics: string = await call(controller, 200, "GET", "/metrics");
    expect(metrics).toContain("nearmiss_controller_interest 2");
    const second = await controller.agent("a").connect([ipKey(2)]);
    const { answers = [] } = second.frames("snapshot")[0] ?? {};
    expect(answers.at(-1)).toMatchObject({ key: ipKey(2), binding: at("c", 2) });
  });

  test("a deleted host's session ends", async () => {
    const controller = await startController();
    await populate(controller);
    const c = await controller.agent("c").connect();
    await call(controller, 204, "DELETE", "/v1/hosts/c");
    expect((await c.closed).code).toBe(closeCodes.hostDeleted);
  });
});

describe("releasing", () => {
  test("ends the interest in a key: its changes are no longer pushed, those of others are", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/web-3", vm("b", 3));
    const a = await controller.agent("a").connect();
    a.send({ type: "resolve", id: 1, questions: [ipKey(2), ipKey(3)] });
    await a.frame("answers");
    a.send({ type: "release", id: 2, keys: [ipKey(2), macKey(2)] });
    expect((await a.frame("answers", ({ id }) => id === 2)).answers).toEqual([]);
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    await call(controller, 200, "PATCH", "/v1/vms/web-3", { host: "c" });
    const changes = await a.frame("changes");
    expect(changes.answers.map(({ key }) => key)).toEqual([macKey(3), ipKey(3)]);
    const { body } = await controller.request("GET", "/metrics");
    expect(body).toMatch(/^nearmiss_controller_released_total 2$/m);
  });

  test("and asking again renews it", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect([ipKey(2)]);
    a.send({ type: "release", id: 1, keys: [ipKey(2), macKey(2)] });
    a.send({ type: "resolve", id: 2, questions: [ipKey(2)] });
    await a.frame("answers", ({ id }) => id === 2);
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    expect((await a.frame("changes")).answers).toContainEqual(expect.objectContaining({ binding: at("c", 2) }));
  });

  test("of a key outside the host's interest, or of another network, changes nothing", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect([ipKey(2)]);
    a.send({ type: "release", id: 1, keys: [ipKey(77), ipKey(2, red), macKey(9)] });
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    expect((await a.frame("changes")).answers.map(({ key }) => key)).toEqual([macKey(2), ipKey(2)]);
  });

  test("in one network leaves the same addresses of another alone", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/red-1", vm("a", 1, "red"));
    await call(controller, 201, "PUT", "/v1/vms/red-2", vm("b", 2, "red"));
    const a = await controller.agent("a").connect([ipKey(2), ipKey(2, red)]);
    a.send({ type: "release", id: 1, keys: [ipKey(2), macKey(2)] });
    await a.frame("answers");
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    const { revision } = await call(controller, 200, "PATCH", "/v1/vms/red-2", { host: "c" });
    const changes = await a.frame("changes");
    expect([changes.asOf, changes.answers.map(({ key }) => key)]).toEqual([revision, [macKey(2, red), ipKey(2, red)]]);
  });

  test("before the session has started ends it with the reason", async () => {
    const controller = await startController();
    await populate(controller);
    const a = controller.agent("a");
    await a.hello();
    a.send({ type: "release", id: 1, keys: [ipKey(2)] });
    expect(await a.closed).toEqual({ code: closeCodes.badFrame, reason: "release must come after interest … end" });
  });
});
