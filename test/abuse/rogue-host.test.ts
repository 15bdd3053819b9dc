// Attacks of an enrolled host on the controller with its own certificate, while an honest host works: order and limits.
import { describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { parseIp, parseVni } from "../../schema/address/index.ts";
import { closeCodes, maxUnknownPerHostAndNetwork, type Question } from "../../schema/agent/index.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { type Controller, call, populate, startSecured } from "../integration/harness.ts";
import { blue, ipKey } from "../integration/keys.ts";
import { agentOf, findCertified } from "../support/certified.ts";

/** Questions that fill a frame. */
const perFrame = 900;

const unknownIp = (n: number) => parseIp(`10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`);
const questionsFrom = (first: number, count = perFrame): Question[] =>
  Array.from({ length: count }, (_, n) => ({ kind: "ip", vni: blue, ip: unknownIp(first + n) }));

async function metric(controller: Controller, name: string): Promise<number> {
  const text: string = await call(controller, 200, "GET", "/metrics");
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.split(" ")[1]);
}

async function secured(options: Parameters<typeof startSecured>[0] = {}) {
  const controller = await startSecured({ findCertified, ...options });
  await populate(controller.admin);
  return controller;
}

/** The controller's end of a WebSocket, as `ws` has it. */
function serverSockets({ app }: Controller): WebSocket[] {
  return [...(app.websocketServer.clients as Set<WebSocket>)];
}

describe("frames without end", () => {
  test("are read at the rate of the host's allowance, none is lost, and an honest host is answered at the same time", async () => {
    const allowance = { perSecond: 2_000, burst: 500 };
    const controller = await secured({ agentAllowance: allowance });
    const rogue = await agentOf(controller, "a").connect();
    const honest = await agentOf(controller, "b").connect();
    const frames = 6;
    const startMs = performance.now();
    for (let id = 1; id <= frames; id += 1)
      rogue.send({ type: "resolve", id, questions: questionsFrom(id * perFrame) });
    for (let id = 1; id <= 20; id += 1) {
      honest.send({ type: "resolve", id, questions: [ipKey(1)] });
      await honest.frame("answers", (frame) => frame.id === id);
    }
    const answered = () => rogue.frames("answers").reduce((sum, { answers }) => sum + answers.length, 0);
    const elapsedS = (performance.now() - startMs) / 1_000;
    expect(answered()).toBeLessThanOrEqual(allowance.burst + allowance.perSecond * elapsedS + perFrame);
    await rogue.untilAll(() => answered() === frames * perFrame);
    const seconds = (performance.now() - startMs) / 1_000;
    expect(frames * perFrame).toBeLessThanOrEqual(allowance.burst + allowance.perSecond * seconds + perFrame);
    const ids = rogue.frames("answers").map(({ id }) => id);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    expect(await metric(controller.admin, "nearmiss_controller_agent_paused_seconds_total")).toBeGreaterThan(0);
  });

  test("that carry nothing cost the host as well: unknown ones, reports, pings", async () => {
    const controller = await secured({ agentAllowance: { perSecond: 2_000, burst: 100 } });
    for (const flood of ["future", "report", "ping"]) {
      const before = await metric(controller.admin, "nearmiss_controller_agent_paused_seconds_total");
      const rogue = await agentOf(controller, "a").connect();
      // With more pings than it has answered, ws ends the connection by itself.
      for (let n = 0; n < 50; n += 1) {
        if (flood === "ping") rogue.ping();
        else rogue.sendText(JSON.stringify({ type: flood, reports: [] }));
      }
      await rogue.heard();
      const after = await metric(controller.admin, "nearmiss_controller_agent_paused_seconds_total");
      expect([flood, after > before]).toEqual([flood, true]);
      rogue.close();
      await rogue.closed;
    }
  });

  test("are not made possible by a new session: the host keeps its debt", async () => {
    const controller = await secured({ agentAllowance: { perSecond: 20_000, burst: 100 } });
    const startMs = performance.now();
    for (let n = 0; n < 5; n += 1) {
      const rogue = await agentOf(controller, "a").connect();
      rogue.close();
      await rogue.closed;
    }
    // A hello is 2,000 units. Frames behind the last one wait until its debt is paid.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(((5 * 2_000 - 100) / 20_000) * 1_000 - 100);
    expect(await metric(controller.admin, "nearmiss_controller_agent_paused_seconds_total")).toBeGreaterThan(0.3);
  });
});

describe("a declaration without end", () => {
  test("leaves the registered keys and a bounded number of unknown ones; others are still answered", async () => {
    const controller = await secured();
    const honest = await agentOf(controller, "b").connect();
    const rogue = agentOf(controller, "a");
    await rogue.hello();
    const frames = 60;
    for (let n = 0; n < frames; n += 1) rogue.send({ type: "interest", keys: questionsFrom(n * perFrame), end: false });
    const foreign = questionsFrom(0, 900).map((key) => ({ ...key, vni: parseVni(200) }));
    rogue.send({ type: "interest", keys: foreign, end: false });
    rogue.send({ type: "interest", keys: [ipKey(2)], end: true });
    honest.send({ type: "resolve", id: 1, questions: [ipKey(1)] });
    await honest.frame("answers");
    expect(rogue.frames("snapshot")).toEqual([]);
    await rogue.frame("snapshot", ({ end }) => end);
    const answers = rogue.frames("snapshot").flatMap((frame) => frame.answers);
    expect(answers.filter(({ binding }) => binding === null)).toHaveLength(maxUnknownPerHostAndNetwork + 900);
    expect(answers.find(({ key }) => JSON.stringify(key) === JSON.stringify(ipKey(2)))?.binding).toMatchObject({
      host: "b",
    });
    // The answers that b and a received: web-2's address and MAC.
    expect(await metric(controller.admin, "nearmiss_controller_interest")).toBeLessThanOrEqual(
      maxUnknownPerHostAndNetwork + 4,
    );
    expect(await metric(controller.admin, "nearmiss_controller_declared_keys_left_out_total")).toBe(
      frames * perFrame - maxUnknownPerHostAndNetwork,
    );
  });
});

describe("a host that does not read", () => {
  test("keeps only a window of its snapshot in memory, and gets the rest when it reads on", async () => {
    const controller = await secured({ maxAgentBufferedBytes: 512 * 1024, agentStalledMs: 600_000 });
    const addresses = 40_000;
    const perVm = 16;
    const line = (n: number, host = `h${n % 16}`) =>
      JSON.stringify({
        kind: "vm",
        name: `many-${n}`,
        host,
        interfaces: [
          {
            network: "wide",
            mac: `02:00:00:${hex(n >> 16)}:${hex(n >> 8)}:${hex(n)}`,
            ips: Array.from({ length: perVm }, (_, i) => unknownIp(256 + n * perVm + i)),
          },
        ],
      });
    const hosts = Array.from({ length: 16 }, (_, n) =>
      JSON.stringify({ kind: "host", name: `h${n}`, vtep: `192.0.3.${n + 1}` }),
    );
    const wide = JSON.stringify({ kind: "network", name: "wide", vni: 300, subnets: ["10.0.0.0/8"] });
    const own = JSON.stringify({
      kind: "vm",
      name: "own",
      host: "a",
      interfaces: [{ network: "wide", mac: "02:00:01:00:00:01", ips: ["10.250.0.1"] }],
    });
    const body = [wide, ...hosts, own, ...Array.from({ length: addresses / perVm }, (_, n) => line(n))].join("\n");
    const headers = { "content-type": "application/x-ndjson" };
    expect((await controller.admin.request("POST", "/v1/import", body, headers)).status).toBe(200);

    const honest = await agentOf(controller, "b").connect();
    const known = new Set(serverSockets(controller));
    const rogue = agentOf(controller, "a");
    await rogue.hello();
    const [server] = serverSockets(controller).filter((socket) => !known.has(socket));
    if (!server) throw new Error("the controller has a socket for it");
    const wideKeys = questionsFrom(256, addresses).map((key) => ({ ...key, vni: parseVni(300) }));
    rogue.stopReading();
    for (let from = 0; from < addresses; from += perFrame) {
      const keys = wideKeys.slice(from, from + perFrame);
      rogue.send({ type: "interest", keys, end: from + perFrame >= addresses });
    }
    let most = 0;
    await waitFor(() => server.bufferedAmount > 256 * 1024, { what: "the snapshot to wait for its reader" });
    for (let id = 1; id <= 20; id += 1) {
      honest.send({ type: "resolve", id, questions: [ipKey(1)] });
      await honest.frame("answers", (frame) => frame.id === id);
      most = Math.max(most, server.bufferedAmount);
    }
    expect(most).toBeLessThanOrEqual(256 * 1024 + 32 * 1024);
    // Queued behind the snapshot: a change set that is larger than the limit, and one more change.
    const moved = Array.from({ length: 300 }, (_, n) => line(n, "h6")).join("\n");
    expect((await controller.admin.request("POST", "/v1/import", moved, headers)).status).toBe(200);
    const { revision } = await call(controller.admin, 200, "PATCH", "/v1/vms/many-1", { host: "h5" });
    rogue.readOn();
    await rogue.frame("snapshot", ({ end }) => end);
    const answers = rogue.frames("snapshot").flatMap((frame) => frame.answers);
    expect(new Set(answers.map(({ key }) => JSON.stringify(key))).size).toBeGreaterThanOrEqual(addresses);
    const changes = await rogue.frame("changes", ({ asOf }) => asOf === revision);
    const end = rogue.received.findIndex((frame) => frame.type === "snapshot" && frame.end);
    expect(rogue.received.indexOf(changes)).toBeGreaterThan(end);
    expect(changes.answers.map(({ binding }) => binding?.host)).toContain("h5");
  });
});

describe("connections of one host", () => {
  test("are at most four, also without a hello, and the working agent's connection stays", async () => {
    const controller = await secured();
    const working = await agentOf(controller, "a").connect();
    const idle = [];
    for (let n = 0; n < 40; n += 1) {
      const one = agentOf(controller, "a");
      await one.opened;
      idle.push(one);
    }
    await waitUntil(
      () => serverSockets(controller).length,
      (open) => open <= 4,
      { what: "all but four to be ended" },
    );
    expect(idle.slice(-3).every(({ isOpen }) => isOpen)).toBe(true);
    working.send({ type: "resolve", id: 1, questions: [ipKey(1)] });
    await working.frame("answers");
    expect(await metric(controller.admin, "nearmiss_controller_agent_sockets_ended_total")).toBe(37);
  });

  test("without a hello are closed", async () => {
    const controller = await secured({ agentHelloMs: 50 });
    const mute = agentOf(controller, "a");
    await mute.opened;
    expect(await mute.closed).toEqual({ code: closeCodes.tooSlow, reason: "no hello within 0.05 s" });
    const working = await agentOf(controller, "a").connect();
    expect(working.isOpen).toBe(true);
  });
});

function hex(n: number): string {
  return (n & 255).toString(16).padStart(2, "0");
}
