// The agent channel over real WebSockets: who may open a session, what a host is told, and what it is not.
import { describe, expect, test } from "vitest";
import {
  closeCodes,
  maxFrameBytes,
  parseAgentFrame,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
} from "../../schema/index.ts";
import { call, populate, startController, vm } from "./harness.ts";

const blue = parseVni(100);
const red = parseVni(200);
const ipKey = (n: number, vni = blue) => ({ kind: "ip", vni, ip: parseIp(`10.20.1.${n}`) }) as const;
const macKey = (n: number, vni = blue) => ({ kind: "mac", vni, mac: parseMac(`52:54:00:00:00:0${n}`) }) as const;
const at = (host: string, n: number) => ({
  mac: `52:54:00:00:00:0${n}`,
  host,
  vtep: `192.0.2.${host.charCodeAt(0) - 96}`,
  vtepPort: 4789,
});

describe("opening a session", () => {
  test("a registered host is welcomed with what is registered", async () => {
    const controller = await startController();
    await populate(controller);
    const welcome = await controller.agent("a").hello();
    expect(welcome).toMatchObject({ protocol: 1, host: "a", vtep: "192.0.2.1", vtepPort: 4789, asOf: 7 });
    expect(await call(controller, 200, "GET", "/v1/hosts/a")).toMatchObject({ connected: true, problems: [] });
    expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ hostConnected: true });
  });

  test("an unknown host is turned away with what to do", async () => {
    const controller = await startController();
    const agent = controller.agent("new");
    void agent.hello({ vtep: parseVtep("192.0.2.50") }).catch(() => {});
    expect(await agent.closed).toEqual({
      code: closeCodes.hostUnknown,
      reason: 'host "new" is not registered: register it first (PUT /v1/hosts/…)',
    });
  });

  test("with --insecure an unknown host that names its VTEP registers itself", async () => {
    const controller = await startController({ selfRegistration: true });
    const agent = controller.agent("new");
    await agent.hello({ vtep: parseVtep("192.0.2.50"), vtepPort: 8472 });
    const host = await call(controller, 200, "GET", "/v1/hosts/new");
    expect(host).toMatchObject({ vtep: "192.0.2.50", port: 8472, origin: "agent", revision: 1, connected: true });
    const nameless = controller.agent("other");
    void nameless.hello().catch(() => {});
    expect((await nameless.closed).reason).toContain("--vtep");
    const twin = controller.agent("twin");
    void twin.hello({ vtep: parseVtep("192.0.2.50"), vtepPort: 8472 }).catch(() => {});
    expect((await twin.closed).reason).toContain('belongs to host "new"');
  });

  test("a host that registered itself may come back with another VTEP, in one revision", async () => {
    const controller = await startController({ selfRegistration: true });
    await controller.agent("new").hello({ vtep: parseVtep("192.0.2.50") });
    const welcome = await controller.agent("new").hello({ vtep: parseVtep("192.0.2.51") });
    expect(welcome).toMatchObject({ vtep: "192.0.2.51", asOf: 2 });
  });

  test("what an operator set wins over the agent's word, and the mismatch is reported", async () => {
    const controller = await startController({ selfRegistration: true });
    await populate(controller);
    const welcome = await controller.agent("a").hello({ vtep: parseVtep("192.0.2.99") });
    expect(welcome.vtep).toBe("192.0.2.1");
    const { problems } = await call(controller, 200, "GET", "/v1/hosts/a");
    expect(problems).toEqual([expect.stringContaining("192.0.2.99")]);
    await call(controller, 200, "PUT", "/v1/hosts/a", { vtep: "192.0.2.99" });
    expect(await call(controller, 200, "GET", "/v1/hosts/a")).toMatchObject({ problems: [] });
  });

  test("a newer session of the same host replaces the older", async () => {
    const controller = await startController();
    await populate(controller);
    const older = controller.agent("a");
    await older.connect();
    const newer = await controller.agent("a").connect();
    expect((await older.closed).code).toBe(closeCodes.replaced);
    expect(await call(controller, 200, "GET", "/v1/hosts/a")).toMatchObject({ connected: true });
    newer.send({ type: "resolve", id: 1, questions: [ipKey(2)] });
    await newer.frame("answers");
  });

  test("no common protocol version is said so", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = controller.agent("a");
    void agent.hello({ protocol: { min: 2, max: 3 } }).catch(() => {});
    expect((await agent.closed).code).toBe(closeCodes.protocolUnsupported);
  });

  test.each([
    ["text that is no JSON", "{"],
    ["a frame before hello", JSON.stringify({ type: "interest", keys: [], end: true })],
    ["binary data", Buffer.from("{}")],
    ["a malformed hello", JSON.stringify({ type: "hello", host: "a" })],
  ])("%s ends the session with the reason", async (_what, text) => {
    const controller = await startController();
    await populate(controller);
    const agent = controller.agent("a");
    await agent.opened;
    agent.sendText(text);
    const { code, reason } = await agent.closed;
    expect(code).toBe(closeCodes.badFrame);
    expect(reason).not.toBe("");
  });

  test("a frame beyond the limit ends the session", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect();
    agent.sendText(" ".repeat(maxFrameBytes + 1));
    expect((await agent.closed).code).toBe(1009);
  });

  test("frame types and fields of a newer agent are ignored", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect();
    agent.sendText(JSON.stringify({ type: "future", x: 1 }));
    agent.sendText(JSON.stringify({ type: "resolve", id: 1, questions: [ipKey(2)], future: 1 }));
    await agent.frame("answers");
    expect(parseAgentFrame('{"type":"future"}')).toBeUndefined();
  });
});

describe("the snapshot", () => {
  test("holds the host's networks, its own VMs, and an answer to every declared key", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = await controller.agent("a").connect([ipKey(2), ipKey(77), ipKey(1, red)]);
    const [snapshot] = agent.frames("snapshot");
    expect(snapshot?.networks).toEqual([{ name: "blue", vni: 100, mtu: 1450, revision: 1 }]);
    expect(snapshot?.answers.map(({ key, binding }) => [key, binding])).toEqual([
      [macKey(1), { ...at("a", 1), local: true }],
      [ipKey(1), { ...at("a", 1), local: true }],
      [
        { kind: "ip", vni: 100, ip: "fd00:20::1" },
        { ...at("a", 1), local: true },
      ],
      [ipKey(2), at("b", 2)],
      [ipKey(77), null],
      [ipKey(1, red), null],
    ]);
  });

  test("tells the bridge port of the host's own interfaces only", async () => {
    const controller = await startController();
    await populate(controller);
    const body = vm("a", 3);
    const interfaces = body.interfaces.map((each) => ({ ...each, port: "tap3", router: true }));
    await call(controller, 201, "PUT", "/v1/vms/gw", { ...body, interfaces });
    const local = await controller.agent("a").connect([macKey(3)]);
    const remote = await controller.agent("b").connect([macKey(3)]);
    const answerOf = (agent: typeof local) =>
      agent.frames("snapshot")[0]?.answers.find(({ key }) => key.kind === "mac" && key.mac === macKey(3).mac)?.binding;
    expect(answerOf(local)).toEqual({ ...at("a", 3), local: true, router: true, guestPort: "tap3" });
    expect(answerOf(remote)).toEqual({ ...at("a", 3), router: true });
  });

  test("larger than a frame comes in chunks, the last with end", async () => {
    const controller = await startController();
    await populate(controller);
    const ips = Array.from({ length: 60 }, (_, i) => `fd00:20::${(i + 256).toString(16)}`);
    for (let n = 0; n < 8; n += 1) {
      const interfaces = Array.from({ length: 4 }, (_, i) => ({
        network: "blue",
        mac: `52:54:00:01:${n.toString(16).padStart(2, "0")}:0${i}`,
        ips: ips.map((ip) => ip.replace("fd00:20::", `fd00:20::${n + 1}:${i + 1}:`)),
      }));
      await call(controller, 201, "PUT", `/v1/vms/many-${n}`, { host: "a", interfaces });
    }
    const agent = await controller.agent("a").connect();
    const frames = agent.frames("snapshot");
    expect(frames.length).toBeGreaterThan(1);
    expect(frames.map(({ end }) => end)).toEqual([...frames.slice(1).map(() => false), true]);
    expect(frames.every((frame) => JSON.stringify(frame).length <= maxFrameBytes)).toBe(true);
    expect(frames.flatMap(({ answers }) => answers)).toHaveLength(3 + 8 * 4 * 61);
  });
});

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
  test("a move reaches who asked, the old and the new host, and nobody else", async () => {
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

  test("an address known to be unknown is told when it comes into being", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect();
    a.send({ type: "resolve", id: 1, questions: [ipKey(9)] });
    await a.frame("answers");
    await call(controller, 201, "PUT", "/v1/vms/late", vm("c", 9));
    const { answers } = await a.frame("changes");
    expect(answers).toEqual([{ key: ipKey(9), revision: 8, binding: at("c", 9) }]);
  });

  test("a deletion is told as a tombstone to holders and to the VM's own host", async () => {
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

  test("a network comes with the first VM, and goes with the last, with all interest in it", async () => {
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

  test("another MTU reaches the hosts of the network; another subnet nobody", async () => {
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

  test("another tunnel end of a host reaches the holders of its VMs, and itself", async () => {
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

  test("another MAC of an IP is corrected at every holder", async () => {
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

  test("interest outlives the session: an agent that comes back is told by its declaration alone", async () => {
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

describe("liveness", () => {
  test("heartbeats carry the bookmark that moves appliedRevision on", async () => {
    const controller = await startController({ heartbeatMs: 20 });
    await populate(controller);
    const c = await controller.agent("c").connect();
    await call(controller, 200, "PUT", "/v1/networks/red", { vni: 201, subnets: ["10.20.1.0/24"] });
    const { asOf } = await c.frame("heartbeat", (frame) => frame.asOf === 8);
    c.send({ type: "applied", revision: asOf, problems: ["bridge nmb100: no such device"] });
    c.send({ type: "resolve", id: 1, questions: [] });
    await c.frame("answers");
    const host = await call(controller, 200, "GET", "/v1/hosts/c");
    expect(host).toMatchObject({ appliedRevision: 8, problems: ["bridge nmb100: no such device"] });
    expect(Date.parse(host.lastSeen)).toBeGreaterThan(0);
  });

  test("an agent that is silent for three heartbeats is given up", async () => {
    const controller = await startController({ heartbeatMs: 20 });
    await populate(controller);
    const a = await controller.agent("a").connect();
    expect((await a.closed).code).toBe(1006);
    expect(await call(controller, 200, "GET", "/v1/hosts/a")).toMatchObject({ connected: false });
  });

  test("a claim to have applied what is not yet written ends the session", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect();
    a.send({ type: "applied", revision: parseRevision(99), problems: [] });
    expect((await a.closed).code).toBe(closeCodes.badFrame);
  });

  test("a stopping controller says so", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect();
    await controller.stop();
    expect((await a.closed).code).toBe(closeCodes.controllerStopping);
  });
});

describe("wait=ready", () => {
  test("answers when the VM's host has confirmed the revision", async () => {
    const controller = await startController();
    await populate(controller);
    const c = await controller.agent("c").connect();
    const waiting = controller.request("PATCH", "/v1/vms/web-1?wait=ready", { host: "c" });
    const { asOf } = await c.frame("changes");
    c.send({ type: "applied", revision: asOf, problems: [] });
    const { status, body } = await waiting;
    expect(status).toBe(200);
    expect(body).toMatchObject({ host: "c", ready: true, revision: asOf });
    expect(body.notReady).toBeUndefined();
  });

  test("answers with the reason when the time is over: the change is done all the same", async () => {
    const controller = await startController();
    await populate(controller);
    const absent = await call(controller, 200, "PATCH", "/v1/vms/web-1?wait=ready&timeoutMs=1", { host: "c" });
    expect(absent).toMatchObject({ host: "c", ready: false, notReady: 'host "c" has no agent connected' });
    await controller.agent("a").connect();
    const silent = await call(controller, 200, "PATCH", "/v1/vms/web-1?wait=ready&timeoutMs=1", { host: "a" });
    expect(silent).toMatchObject({ host: "a", ready: false, notReady: expect.stringContaining("not confirmed") });
  });

  test("does not hold up a stopping controller", async () => {
    const controller = await startController();
    await populate(controller);
    const c = await controller.agent("c").connect();
    const waiting = controller.request("PATCH", "/v1/vms/web-1?wait=ready&timeoutMs=60000", { host: "c" });
    await c.frame("changes");
    await controller.stop();
    expect((await waiting).body).toMatchObject({ ready: false });
  });
});

describe("releasing", () => {
  test("ends the interest in a key: its changes are pushed no longer, others' are", async () => {
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

  test("and asking again begins it anew", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect([ipKey(2)]);
    a.send({ type: "release", id: 1, keys: [ipKey(2), macKey(2)] });
    a.send({ type: "resolve", id: 2, questions: [ipKey(2)] });
    await a.frame("answers", ({ id }) => id === 2);
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    expect((await a.frame("changes")).answers).toContainEqual(expect.objectContaining({ binding: at("c", 2) }));
  });

  test("of what is not held, or of another network, changes nothing", async () => {
    const controller = await startController();
    await populate(controller);
    const a = await controller.agent("a").connect([ipKey(2)]);
    a.send({ type: "release", id: 1, keys: [ipKey(77), ipKey(2, red), macKey(9)] });
    await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
    await a.frame("changes");
  });

  test("before the session has begun ends it with the reason", async () => {
    const controller = await startController();
    await populate(controller);
    const a = controller.agent("a");
    await a.hello();
    a.send({ type: "release", id: 1, keys: [ipKey(2)] });
    expect(await a.closed).toEqual({ code: closeCodes.badFrame, reason: "release comes after interest … end" });
  });
});
