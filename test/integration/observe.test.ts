// Views beyond the inventory: the caller's identity, the state, the holders, the past; and their access.
import { expect, test } from "vitest";
import { type BindingKey, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import { version } from "../../schema/version.ts";
import { findCertified, requestAs } from "../support/certified.ts";
import { call, populate, startController, startSecured, vm } from "./harness.ts";

const vni = parseVni(100);
const web2: BindingKey[] = [
  { kind: "ip", vni, ip: parseIp("10.20.1.2") },
  { kind: "mac", vni, mac: parseMac("52:54:00:00:00:02") },
];
const nobody: BindingKey = { kind: "ip", vni, ip: parseIp("10.20.1.99") };

test("names the caller, and the networks it may see", async () => {
  const secured = await startSecured();
  const { id, token } = await secured.issue({ role: "operator", networks: ["red", "blue"], note: "ci" });
  const seen = await call(secured.as(token), 200, "GET", "/v1/identity");
  expect(seen).toMatchObject({ name: `token ${id} (ci)`, role: "operator", networks: ["blue", "red"] });
  expect(await call(secured.admin, 200, "GET", "/v1/identity")).toMatchObject({ role: "admin", networks: null });
  expect((await secured.request("GET", "/v1/identity")).status).toBe(401);
  const open = await startController();
  expect(await call(open, 200, "GET", "/v1/identity")).toMatchObject({ role: "anyone", networks: null });
});

test("says until when the caller is known: a token to its end, a host by its certificate, anyone for ever", async () => {
  const secured = await startSecured({ findCertified });
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const { token } = await secured.issue({ role: "viewer", expires });
  expect(await call(secured.as(token), 200, "GET", "/v1/identity")).toMatchObject({ expires });
  const { token: lasting } = await secured.issue({ role: "operator", expires: null });
  expect(await call(secured.as(lasting), 200, "GET", "/v1/identity")).toMatchObject({ expires: null });
  await call(secured.admin, 201, "PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
  const { status, text } = await requestAs(secured, "a", "GET", "/v1/identity");
  expect(status).toBe(200);
  expect(JSON.parse(text)).toMatchObject({ name: "host a", role: "host", networks: [], hosts: null, quota: null });
  expect(JSON.parse(text).expires).toBe(new Date(Date.UTC(2100, 0)).toISOString());
  expect(await call(await startController(), 200, "GET", "/v1/identity")).toMatchObject({ expires: null });
});

test("tells an expired token from an unknown one, for its owner", async () => {
  let ms = Date.now();
  const secured = await startSecured({ now: () => new Date(ms) });
  const expires = new Date(ms + 60_000).toISOString();
  const { token } = await secured.issue({ role: "viewer", expires });
  ms += 61_000;
  const refused = await secured.as(token).request("GET", "/v1/overview");
  expect([refused.status, refused.body.detail]).toEqual([401, expect.stringContaining(`expired at ${expires}`)]);
  const unknown = await secured.as(`${token}x`).request("GET", "/v1/overview");
  expect(unknown.body.detail).toContain("the token is unknown");
});

test("counts the inventory, and names hosts whose VMs no agent serves or whose agent complains", async () => {
  const controller = await startController();
  await populate(controller);
  const agent = await controller.agent("a").connect();
  agent.send({
    type: "applied",
    revision: 7 as never,
    problems: ["network blue: the kernel does not take all entries: ENOSPC"],
  });
  agent.send({ type: "resolve", id: 1, questions: [] });
  await agent.frame("answers");
  expect(await call(controller, 200, "GET", "/v1/overview")).toEqual({
    revision: 7,
    networks: 2,
    hosts: 3,
    hostsConnected: 1,
    hostsDown: 0,
    hostsWithProblems: 1,
    vms: 2,
    version,
    epoch: expect.any(String),
    uptimeSeconds: expect.any(Number),
    ready: true,
    agentVersions: [{ version: expect.any(String), hosts: 1 }],
    conditions: [
      {
        kind: "entries-refused",
        host: "a",
        network: "blue",
        severity: "bad",
        status: "true",
        since: expect.any(String),
        title: "the kernel does not take all entries",
        reason: "the kernel does not take all entries: ENOSPC",
      },
      {
        kind: "host-away",
        host: "b",
        severity: "bad",
        status: "true",
        since: expect.any(String),
        title: "is disconnected",
        reason: "no agent is connected: not heard since the controller started; 1 VM",
        fix: "start the agent, or check the path between the host and the controller",
      },
    ],
    concerns: [
      { kind: "host-problem", host: "a", detail: "network blue: the kernel does not take all entries: ENOSPC" },
      {
        kind: "host-away",
        host: "b",
        detail: "no agent is connected: not heard since the controller started; 1 VM",
      },
    ],
    concernCount: 2,
  });
});

test("shows a tunnel for what a host has learned, with its direction, and updates it when the VM moves", async () => {
  const controller = await startController();
  await populate(controller);
  const agent = await controller.agent("a").connect();
  const topology = async (query = "") => {
    const { hosts, tunnels } = await call(controller, 200, "GET", `/v1/topology${query}`);
    const nameOf = (i: number) => hosts[i].name;
    return tunnels.map(([from, to, macs]: number[]) => `${nameOf(from ?? 0)}→${nameOf(to ?? 0)} ${macs}`);
  };
  expect(await topology("?network=red")).toEqual([]);
  agent.send({ type: "resolve", id: 1, questions: [...web2, nobody] });
  await agent.frame("answers");
  expect(await topology("?network=blue")).toEqual(["a→b 1"]);
  expect((await call(controller, 200, "GET", "/v1/topology?network=blue")).hosts).toEqual([
    { name: "a", connected: true, vms: 1 },
    { name: "b", connected: false, vms: 1 },
  ]);
  await call(controller, 200, "PATCH", "/v1/vms/web-2", { host: "c" });
  // An answer is at most a second old.
  await expect.poll(() => topology()).toEqual(["a→c 1"]);
  await call(controller, 404, "GET", "/v1/topology?network=nowhere");
});

test("lists the holders of a VM, with their addresses, and whether their kernels have applied them", async () => {
  const controller = await startController();
  await populate(controller);
  const agent = await controller.agent("a").connect(web2);
  const { revision } = await call(controller, 200, "PATCH", "/v1/vms/web-2", { description: "new" });
  const holders = () => call(controller, 200, "GET", "/v1/vms/web-2/holders");
  const there = { local: true, connected: false, appliedRevision: null, current: false };
  const addresses = ["52:54:00:00:00:02", "10.20.1.2"];
  expect(await holders()).toEqual({
    revision,
    holders: [
      { host: "b", ...there, addresses: [...addresses, "fd00:20::2"], asOf: null },
      {
        host: "a",
        local: false,
        connected: true,
        appliedRevision: null,
        current: false,
        addresses,
        asOf: expect.any(String),
      },
    ],
  });
  agent.send({ type: "applied", revision, problems: [] });
  agent.send({ type: "resolve", id: 1, questions: [] });
  await agent.frame("answers");
  expect((await holders()).holders[1]).toMatchObject({ appliedRevision: revision, current: true });
  await call(controller, 404, "GET", "/v1/vms/nobody/holders");
});

test("says as of when holders and tunnels are known: a second ago for networks in memory, and when a disconnected host was last heard", async () => {
  const controller = await startController();
  await populate(controller);
  const agent = await controller.agent("a").connect(web2);
  const ages = async () => {
    const beforeMs = Date.now();
    const { holders } = await call(controller, 200, "GET", "/v1/vms/web-2/holders");
    const map = await call(controller, 200, "GET", "/v1/topology?network=blue");
    const afterMs = Date.now();
    const asOf = holders.find(({ host }: { host: string }) => host === "a")?.asOf;
    return { holders: [Date.parse(asOf) - beforeMs, Date.parse(asOf) - afterMs], map: Date.parse(map.asOf) - afterMs };
  };
  const onDemand = await ages();
  expect(onDemand.holders[0]).toBeGreaterThanOrEqual(0);
  expect(onDemand.holders[1]).toBeLessThanOrEqual(0);
  expect(onDemand.map).toBeLessThanOrEqual(0);
  await call(controller, 200, "PATCH", "/v1/networks/blue", { knowledge: "replicate" });
  const inMemory = await ages();
  expect(inMemory.holders[0]).toBeGreaterThanOrEqual(-1_000);
  expect(inMemory.holders[1]).toBeLessThanOrEqual(-1_000);
  expect(inMemory.map).toBeLessThanOrEqual(-1_000);
  agent.close();
  const lastSeen = async () => (await call(controller, 200, "GET", "/v1/hosts/a")).lastSeen;
  await expect.poll(async () => (await call(controller, 200, "GET", "/v1/hosts/a")).connected).toBe(false);
  const { holders } = await call(controller, 200, "GET", "/v1/vms/web-2/holders");
  expect(holders).toContainEqual(expect.objectContaining({ host: "a", connected: false, asOf: await lastSeen() }));
});

test("counts questions by result, for all hosts and for one", async () => {
  const controller = await startController();
  await populate(controller);
  const agent = await controller.agent("a").connect();
  agent.send({ type: "resolve", id: 1, questions: [...web2, nobody] });
  await agent.frame("answers");
  const sums = async (query: string) => {
    const { stepMs, known, unknown, meanMs, slowestMs } = await call(controller, 200, "GET", `/v1/rates${query}`);
    const sum = (values: number[]) => Math.round((values.reduce((all, each) => all + each, 0) * stepMs) / 1_000);
    expect(new Set([known, unknown, meanMs, slowestMs].map(({ length }) => length)).size).toBe(1);
    return [sum(known), sum(unknown)];
  };
  await expect.poll(() => sums(""), { interval: 200 }).toEqual([2, 1]);
  expect(await sums("?host=b")).toEqual([0, 0]);
});

test("rates go back 2 or 24 hours of all hosts; before the start of the controller there is a gap, and zeros without a range", async () => {
  const hourMs = 3_600_000;
  let behindMs = 3 * hourMs;
  const controller = await startController({ ratesNowMs: () => performance.now() - behindMs });
  await populate(controller);
  const agent = await controller.agent("a").connect();
  agent.send({ type: "resolve", id: 1, questions: [...web2, nobody] });
  await agent.frame("answers");
  behindMs = 0;
  const gapsOf = (values: readonly unknown[]) => values.filter((value) => value === null).length;
  const rates = async (query: string) => {
    const { until, stepMs, known, unknown } = await call(controller, 200, "GET", `/v1/rates${query}`);
    const asked = (known as (number | null)[]).flatMap((value, i) =>
      value ? [Date.parse(until) - (known.length - i) * stepMs - Date.now()] : [],
    );
    return { stepMs, steps: known.length, gaps: gapsOf(known), asked, unknownGaps: gapsOf(unknown) };
  };
  expect(await rates("")).toEqual({ stepMs: 5_000, steps: 180, gaps: 0, asked: [], unknownGaps: 0 });
  expect(await rates("?range=2h")).toEqual({ stepMs: 30_000, steps: 240, gaps: 0, asked: [], unknownGaps: 0 });
  const day = await rates("?range=24h");
  expect(day).toMatchObject({ stepMs: 300_000, steps: 288, gaps: 288 - 36, unknownGaps: 288 - 36 });
  // The step in which they were asked begins with the controller. The test may take a minute.
  expect(day.asked).toHaveLength(1);
  expect(Math.abs((day.asked[0] ?? 0) + 3 * hourMs)).toBeLessThan(60_000);
  const { gaps, asked } = await rates("?host=a&range=15m");
  expect([gaps, asked]).toEqual([0, []]);
});

test("rates of a controller that has just started are gaps with a range, and a range that does not exist is refused", async () => {
  const controller = await startController({ ratesNowMs: () => 7 });
  await populate(controller);
  for (const [query, known] of [
    ["?range=15m", null],
    ["?range=24h", null],
    ["?host=a&range=15m", null],
    ["?host=a", 0],
    ["", 0],
  ] as const) {
    expect(new Set((await call(controller, 200, "GET", `/v1/rates${query}`)).known), query).toEqual(new Set([known]));
  }
  for (const range of ["1h", "", "15M", "__proto__"]) {
    const { errors } = await call(controller, 400, "GET", `/v1/rates?range=${range}`);
    expect(errors).toMatchObject([{ in: "query", pointer: "/range", detail: 'must be one of "15m", "2h", "24h"' }]);
  }
  const { detail } = await call(controller, 400, "GET", "/v1/rates?host=a&range=2h");
  expect(detail).toBe('range: "2h" is for all hosts together, use "15m" with host');
});

test("shows how long misses took on their hosts, as agents report with the acknowledgement of a heartbeat", async () => {
  const controller = await startController();
  await populate(controller);
  const agent = await controller.agent("a").connect();
  const misses = { count: 4, sumMs: 8, maxMs: 4.25 };
  agent.send({ type: "applied", revision: 7 as never, problems: [], misses });
  const rates = async (query: string) => {
    const { programmedMeanMs, programmedSlowestMs } = await call(controller, 200, "GET", `/v1/rates${query}`);
    return [programmedMeanMs, programmedSlowestMs].map((values) => values.filter((value: unknown) => value !== null));
  };
  await expect.poll(() => rates(""), { interval: 200 }).toEqual([[2], [4.25]]);
  expect(await rates("?host=b")).toEqual([[], []]);
  // An impossible value makes the frame invalid.
  agent.sendText('{"type":"applied","revision":7,"problems":[],"misses":{"count":0,"sumMs":-1,"maxMs":0}}');
  expect((await agent.closed).code).toBe(4400);
});

test("reads the log backwards in pages, by resource, host and network", async () => {
  const controller = await startController();
  await populate(controller);
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
  await call(controller, 204, "DELETE", "/v1/vms/web-1");
  const log = async (query: string) => {
    const { events, next } = await call(controller, 200, "GET", `/v1/log${query}`);
    return {
      what: events.map((event: { type: string; subject: string }) => `${event.type.slice(9)} ${event.subject}`),
      next,
    };
  };
  const ends = ["vm.deleted vms/web-1", "vm.updated vms/web-1"];
  expect(await log("?limit=2")).toEqual({ what: ends, next: "8.0" });
  expect(await log("?limit=2&before=8.0")).toEqual({
    what: ["vm.created vms/web-2", "vm.created vms/web-1"],
    next: "6.0",
  });
  expect(await log("?kind=vm&name=web-1")).toEqual({ what: [...ends, "vm.created vms/web-1"], next: undefined });
  expect((await log("?host=a")).what).toEqual(["vm.updated vms/web-1", "vm.created vms/web-1", "host.created hosts/a"]);
  expect((await log("?host=c")).what).toEqual([...ends, "host.created hosts/c"]);
  expect((await log("?network=red")).what).toEqual(["network.created networks/red"]);
  expect((await log("?before=3")).what).toEqual(["network.created networks/red", "network.created networks/blue"]);
  await call(controller, 400, "GET", "/v1/log?before=-1");
  await call(controller, 400, "GET", "/v1/log?before=999999999999999999");
});

test("a token limited to a network learns nothing else through any of it", async () => {
  const secured = await startSecured();
  await populate(secured.admin);
  await call(secured.admin, 201, "PUT", "/v1/vms/red-1", vm("c", 3, "red"));
  const { token } = await secured.issue({ role: "viewer", networks: ["red"] });
  const narrowed = secured.as(token);
  const overview = await call(narrowed, 200, "GET", "/v1/overview");
  expect(overview).toMatchObject({ networks: 1, hosts: 1, vms: 1, hostsWithProblems: 0, agentVersions: [] });
  const topology = await call(narrowed, 200, "GET", "/v1/topology");
  expect(topology).toMatchObject({ hosts: [{ name: "c", vms: 1 }], tunnels: [] });
  await call(narrowed, 404, "GET", "/v1/topology?network=blue");
  await call(narrowed, 404, "GET", "/v1/vms/web-1/holders");
  await call(narrowed, 200, "GET", "/v1/vms/red-1/holders");
  await call(narrowed, 403, "GET", "/v1/rates");
  const { events } = await call(narrowed, 200, "GET", "/v1/log");
  expect(events.map(({ subject }: { subject: string }) => subject)).toEqual(["vms/red-1", "networks/red"]);
});

test("a browser page sends its token as a WebSocket subprotocol, which is never selected", async () => {
  const secured = await startSecured();
  const { token } = await secured.issue({ role: "viewer" });
  const allowed = secured.events("", ["cloudevents.json", `bearer.nearmiss.${token}`]);
  await allowed.opened;
  expect(allowed.protocol).toBe("cloudevents.json");
  for (const protocols of [["cloudevents.json"], ["cloudevents.json", "bearer.nearmiss.nm_viewer_wrong"]]) {
    await expect(secured.events("", protocols).opened).rejects.toThrow("401");
  }
  // Only where a WebSocket is asked for.
  const headers = { "sec-websocket-protocol": `bearer.nearmiss.${token}` };
  expect((await secured.request("GET", "/v1/networks", undefined, headers)).status).toBe(401);
});
