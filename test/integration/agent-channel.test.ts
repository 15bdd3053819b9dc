// The agent channel over real WebSockets: access, start and end of sessions.
import { describe, expect, test } from "vitest";
import { parseRevision, parseVtep } from "../../schema/address/index.ts";
import { closeCodes, maxFrameBytes, parseAgentFrame } from "../../schema/agent/index.ts";
import { holdIntervals } from "../support/held-timeouts.ts";
import { call, populate, startController, vm } from "./harness.ts";
import { at, ipKey, macKey, red } from "./keys.ts";

describe("opening a session", () => {
  test("a registered host is welcomed with its registered values", async () => {
    const controller = await startController();
    await populate(controller);
    const welcome = await controller.agent("a").hello();
    expect(welcome).toMatchObject({ protocol: 1, host: "a", vtep: "192.0.2.1", vtepPort: 4789, asOf: 7 });
    expect(await call(controller, 200, "GET", "/v1/hosts/a")).toMatchObject({ connected: true, problems: [] });
    expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ hostConnected: true });
  });

  test("an unknown host is rejected with instructions", async () => {
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

  test("a host that registered itself may return with another VTEP, in one revision", async () => {
    const controller = await startController({ selfRegistration: true });
    await controller.agent("new").hello({ vtep: parseVtep("192.0.2.50") });
    const welcome = await controller.agent("new").hello({ vtep: parseVtep("192.0.2.51") });
    expect(welcome).toMatchObject({ vtep: "192.0.2.51", asOf: 2 });
  });

  test("an operator's values take precedence over the agent's, and the mismatch is reported", async () => {
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

  test("a missing common protocol version is reported", async () => {
    const controller = await startController();
    await populate(controller);
    const agent = controller.agent("a");
    void agent.hello({ protocol: { min: 3, max: 4 } }).catch(() => {});
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
  test("contains the host's networks, its own VMs, and an answer to every declared key", async () => {
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

  test("names the bridge port of the host's own interfaces only", async () => {
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

  test("larger than a frame arrives in chunks, the last with end", async () => {
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

describe("liveness", () => {
  test("heartbeats carry the bookmark that advances appliedRevision", async () => {
    const pass = holdIntervals();
    const controller = await startController({ heartbeatMs: 1_000 });
    await populate(controller);
    const c = await controller.agent("c").connect();
    await call(controller, 200, "PUT", "/v1/networks/red", { vni: 201, subnets: ["10.20.1.0/24"] });
    pass(1_000);
    const { asOf } = await c.frame("heartbeat", (frame) => frame.asOf === 8);
    c.send({
      type: "applied",
      revision: asOf,
      problems: ["the rules that --anti-spoof asks for are not in place: `nearmiss agent status` on the host says why"],
    });
    c.send({ type: "resolve", id: 1, questions: [] });
    await c.frame("answers");
    const host = await call(controller, 200, "GET", "/v1/hosts/c");
    expect(host).toMatchObject({
      appliedRevision: 8,
      problems: ["the rules that --anti-spoof asks for are not in place: `nearmiss agent status` on the host says why"],
    });
    expect(Date.parse(host.lastSeen)).toBeGreaterThan(0);
  });

  test("an agent that misses three heartbeats is disconnected", async () => {
    const pass = holdIntervals();
    const controller = await startController({ heartbeatMs: 1_000 });
    await populate(controller);
    const a = await controller.agent("a").connect();
    pass(2_999);
    expect(await call(controller, 200, "GET", "/v1/hosts/a")).toMatchObject({ connected: true });
    pass(1);
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

  test("a stopping controller announces it", async () => {
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

  test("answers with the reason at the deadline: the change is made all the same", async () => {
    const controller = await startController();
    await populate(controller);
    const absent = await call(controller, 200, "PATCH", "/v1/vms/web-1?wait=ready&timeoutMs=1", { host: "c" });
    expect(absent).toMatchObject({ host: "c", ready: false, notReady: 'host "c" has no agent connected' });
    await controller.agent("a").connect();
    const silent = await call(controller, 200, "PATCH", "/v1/vms/web-1?wait=ready&timeoutMs=1", { host: "a" });
    expect(silent).toMatchObject({ host: "a", ready: false, notReady: expect.stringContaining("not confirmed") });
  });

  test("does not delay a stopping controller", async () => {
    const controller = await startController();
    await populate(controller);
    const c = await controller.agent("c").connect();
    const waiting = controller.request("PATCH", "/v1/vms/web-1?wait=ready&timeoutMs=60000", { host: "c" });
    await c.frame("changes");
    await controller.stop();
    expect((await waiting).body).toMatchObject({ ready: false });
  });
});
