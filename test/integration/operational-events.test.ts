// Operational events: reports of agents and of the controller about hosts, on the stream, over REST and as metrics.
import { describe, expect, test } from "vitest";
import type { ReportedFinding } from "../../schema/agent/index.ts";
import type { OperationalCloudEvent } from "../../schema/events/index.ts";
import { vni } from "../support/addresses.ts";
import { agentOf, findCertified } from "../support/certified.ts";
import { type Controller, call, populate, startController, startSecured, vm } from "./harness.ts";

const blue = vni(100);
const red = vni(200);
const theft: ReportedFinding = {
  kind: "theft",
  vni: blue,
  subject: "52:54:00:00:00:02",
  count: 3,
  firstAgoMs: 60_000,
  lastAgoMs: 1_000,
};

const metric = async (controller: Controller, line: string): Promise<number> => {
  const { body } = await controller.request("GET", "/metrics");
  return Number(
    (body as string)
      .split("\n")
      .find((each) => each.startsWith(`${line} `))
      ?.split(" ")
      .at(-1),
  );
};
const listed = async (controller: Controller, query = ""): Promise<OperationalCloudEvent[]> =>
  (await call(controller, 200, "GET", `/v1/operational-events${query}`)).events;

async function start(options: Parameters<typeof startController>[0] = {}) {
  const controller = await startController(options);
  await populate(controller);
  const consumer = controller.events();
  await consumer.opened;
  return { controller, consumer };
}

describe("what an agent reports", () => {
  test("is on the stream, marked and without a revision, kept for a while, and counted", async () => {
    const { controller, consumer } = await start();
    const agent = await controller.agent("a").connect();
    const before = Date.now();
    agent.send({ type: "report", reports: [theft] });
    const event = await consumer.untilOperational("theft");
    const after = Date.now();
    const { sequence, run, time } = event;
    const { uid: blueUid } = await call(controller, 200, "GET", "/v1/networks/blue");
    expect(event).toMatchObject({
      specversion: "1.0",
      type: "nearmiss.operational.theft",
      subject: "hosts/a",
      operational: true,
      id: "2",
      sequence: "0000000000000002",
      dataschema: "urn:nearmiss:event:operational:v1",
      data: {
        host: "a",
        network: "blue",
        networkUid: blueUid,
        vni: 100,
        subject: "52:54:00:00:00:02",
        count: 3,
        last: time,
      },
    });
    expect(event).not.toHaveProperty("revision");
    expect(event.source).toMatch(new RegExp(`^/nearmiss/[0-9a-f-]{36}/operational/${run}$`));
    const first = Date.parse(event.data.first);
    expect(first).toBeGreaterThanOrEqual(before - 60_000);
    expect(first).toBeLessThanOrEqual(after - 60_000);
    expect(Date.parse(time) - first).toBe(59_000);
    expect((await listed(controller)).map((each) => each.sequence)).toEqual(["0000000000000001", sequence]);
    expect(await listed(controller, "?after=1")).toEqual([event]);
    expect(await listed(controller, "?after=2")).toEqual([]);
    expect(await metric(controller, 'nearmiss_controller_operational_total{host="a",kind="theft"}')).toBe(3);
  });

  test("is never a revision, and is not replayed", async () => {
    const { controller, consumer } = await start();
    const { revision } = await call(controller, 200, "GET", "/readyz");
    const agent = await controller.agent("a").connect();
    agent.send({ type: "report", reports: [theft] });
    await consumer.untilOperational("theft");
    expect(await call(controller, 200, "GET", "/readyz")).toMatchObject({ revision });
    const late = controller.events("?since=0");
    await late.untilAll((events) => events.length === revision);
    await call(controller, 201, "PUT", "/v1/vms/new", vm("c", 9));
    await late.untilAll((events) => events.length === revision + 1);
    expect(late.operational).toEqual([]);
  });

  test("counts for the host's own networks only", async () => {
    const { controller, consumer } = await start();
    const agent = await controller.agent("a").connect();
    agent.send({ type: "report", reports: [{ ...theft, vni: red }, { ...theft, vni: vni(999) }, theft] });
    await consumer.untilOperational("theft");
    await agent.heard();
    expect(consumer.operational.filter(({ type }) => type.endsWith("theft"))).toHaveLength(1);
    expect(await metric(controller, 'nearmiss_controller_reports_refused_total{reason="network"}')).toBe(2);
    expect(await metric(controller, 'nearmiss_controller_operational_total{host="a",kind="theft"}')).toBe(3);
  });

  test("of a kind that only a newer agent knows is ignored, and the rest of the frame counts", async () => {
    const { controller, consumer } = await start();
    const agent = await controller.agent("a").connect();
    const reports = [
      { ...theft, kind: "brand-new", fresh: true },
      { kind: "host-lost", count: 1, firstAgoMs: 0, lastAgoMs: 0 },
      theft,
    ];
    agent.sendText(JSON.stringify({ type: "report", reports, also: "new" }));
    await consumer.untilOperational("theft");
    expect(consumer.operational.map(({ type }) => type)).toEqual([
      "nearmiss.operational.host-connected",
      "nearmiss.operational.theft",
    ]);
  });

  test.each([
    ["too many at once", { reports: Array.from({ length: 33 }, () => theft) }],
    ["a subject without end", { reports: [{ ...theft, subject: "x".repeat(65) }] }],
    ["no count", { reports: [{ ...theft, count: 0 }] }],
    ["a time in the future", { reports: [{ ...theft, lastAgoMs: -1 }] }],
    ["no network's number", { reports: [{ ...theft, vni: 0 }] }],
  ])("%s ends the session with the reason", async (_what, frame) => {
    const { controller } = await start();
    const agent = await controller.agent("a").connect();
    agent.sendText(JSON.stringify({ type: "report", ...frame }));
    expect((await agent.closed).code).toBe(4400);
  });

  test("beyond an agent's limit is counted and becomes no event, and each host has its own limit", async () => {
    const { controller, consumer } = await start();
    const [a, b] = [await controller.agent("a").connect(), await controller.agent("b").connect()];
    const frame = { type: "report" as const, reports: Array.from({ length: 32 }, () => theft) };
    for (let n = 0; n < 20; n++) a.send(frame);
    await a.heard();
    b.send({ type: "report", reports: [{ ...theft, kind: "scan" }] });
    await consumer.untilOperational("scan");
    expect(consumer.operational.filter(({ data }) => data.host === "a" && data.count === 3)).toHaveLength(240);
    expect(await metric(controller, 'nearmiss_controller_operational_total{host="a",kind="theft"}')).toBe(32 * 20 * 3);
    expect(await metric(controller, 'nearmiss_controller_reports_refused_total{reason="rate"}')).toBe(32 * 20 - 240);
  });

  test("is kept up to a limit, with an equal share for each host, and of each host the newest of its noisiest kind", async () => {
    const { controller } = await start();
    const hosts = ["a", "b", ...(await moreHosts(controller, 6))];
    for (const host of hosts) {
      const agent = await controller.agent(host).connect();
      const reports = Array.from(
        { length: 30 },
        (): ReportedFinding => ({ kind: "overrun", count: 1, firstAgoMs: 0, lastAgoMs: 0 }),
      );
      for (let n = 0; n < 8; n++) agent.send({ type: "report", reports });
      await agent.heard();
    }
    const kept = await listed(controller);
    const sequences = kept.map(({ id }) => Number(id));
    expect(sequences).toHaveLength(1_024);
    expect(sequences).toEqual(sequences.toSorted((x, y) => x - y));
    for (const [i, host] of hosts.entries()) {
      const own = kept.filter(({ data }) => data.host === host);
      expect(own).toHaveLength(1_024 / hosts.length);
      expect(own[0]?.type).toBe("nearmiss.operational.host-connected");
      expect(Number(own.at(-1)?.id)).toBe((i + 1) * 241);
    }
  });
});

async function moreHosts(controller: Controller, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `more-${i}`);
  for (const [i, name] of names.entries())
    await call(controller, 201, "PUT", `/v1/hosts/${name}`, { vtep: `192.0.2.${50 + i}` });
  return names;
}

describe("a host", () => {
  test("that connects is reported once, also if it was away for a moment", async () => {
    const { controller, consumer } = await start({ hostGraceMs: 60_000 });
    const first = await controller.agent("a").connect();
    first.close();
    await first.closed;
    const second = await controller.agent("a").connect();
    second.send({ type: "report", reports: [theft] });
    await consumer.untilOperational("theft");
    expect(consumer.operational.map(({ type }) => type.split(".").at(-1))).toEqual(["host-connected", "theft"]);
  });

  test("that stays away is reported lost from the time it disconnected, and again as connected when it returns", async () => {
    const graceMs = 300;
    const { controller, consumer } = await start({ hostGraceMs: graceMs });
    const agent = await controller.agent("a").connect();
    agent.close();
    const lost = await consumer.untilOperational("host-lost");
    // Timers and times are of whole milliseconds.
    expect(Date.now() - Date.parse(lost.time)).toBeGreaterThanOrEqual(graceMs - 2);
    expect(consumer.operational.map(({ type, data }) => `${type} ${data.host}`)).toEqual([
      "nearmiss.operational.host-connected a",
      "nearmiss.operational.host-lost a",
    ]);
    await controller.agent("a").connect();
    await consumer.untilAll(() => consumer.operational.length === 3);
    expect(await metric(controller, 'nearmiss_controller_operational_total{host="a",kind="host-connected"}')).toBe(2);
  });

  test("whose agent is replaced by another is not lost", async () => {
    const { controller, consumer } = await start({ hostGraceMs: 0 });
    const first = await controller.agent("a").connect();
    const second = await controller.agent("a").connect();
    await first.closed;
    second.send({ type: "report", reports: [theft] });
    await consumer.untilOperational("theft");
    expect(consumer.operational.map(({ type }) => type.split(".").at(-1))).toEqual(["host-connected", "theft"]);
  });

  test("that is deleted is not lost, and its metrics series ends", async () => {
    const { controller, consumer } = await start({ hostGraceMs: 0 });
    await call(controller, 201, "PUT", "/v1/hosts/spare", { vtep: "192.0.2.9" });
    const agent = await controller.agent("spare").connect();
    await consumer.untilOperational("host-connected");
    const line = 'nearmiss_controller_operational_total{host="spare",kind="host-connected"}';
    expect(await metric(controller, line)).toBe(1);
    await call(controller, 204, "DELETE", "/v1/hosts/spare");
    await agent.closed;
    expect(await metric(controller, line)).toBeNaN();
    expect((await listed(controller)).map(({ type }) => type)).toEqual(["nearmiss.operational.host-connected"]);
  });
});

describe("a token that is limited to a network", () => {
  const said = (events: readonly OperationalCloudEvent[]): string[] =>
    events.map(({ type, data }) => `${type.split(".").at(-1)} ${data.network ?? "the host"}`);

  test("sees events of its network, and none of others or of hosts as a whole, live and kept", async () => {
    const secured = await startSecured({ findCertified });
    await populate(secured.admin);
    await call(secured.admin, 201, "PUT", "/v1/vms/on-red", vm("a", 7, "red"));
    const narrow = secured.as((await secured.issue({ role: "viewer", networks: ["blue"] })).token);
    const wide = secured.as((await secured.issue({ role: "viewer" })).token);
    const [few, all] = [narrow.events(), wide.events()];
    await Promise.all([few.opened, all.opened]);
    const agent = await agentOf(secured, "a").connect();
    const overrun: ReportedFinding = { kind: "overrun", subject: "misses", count: 1, firstAgoMs: 0, lastAgoMs: 0 };
    const scan: ReportedFinding = { ...theft, kind: "scan" };
    agent.send({ type: "report", reports: [{ ...theft, vni: red }, overrun, theft, { ...scan, vni: red }, scan] });
    await few.untilOperational("scan");
    await all.untilAll(() => all.operational.length === 6);
    const everything = [
      "host-connected the host",
      "theft red",
      "overrun the host",
      "theft blue",
      "scan red",
      "scan blue",
    ];
    expect(said(all.operational)).toEqual(everything);
    expect(said(await listed(wide))).toEqual(everything);
    expect(said(few.operational)).toEqual(["theft blue", "scan blue"]);
    expect(said(await listed(narrow))).toEqual(["theft blue", "scan blue"]);
    expect(JSON.stringify([few.operational, await listed(narrow)])).not.toContain("red");
  });

  test("no longer sees a deleted network, nor a new one of the same name", async () => {
    const secured = await startSecured({ findCertified });
    await populate(secured.admin);
    await call(secured.admin, 201, "PUT", "/v1/vms/on-red", vm("a", 7, "red"));
    const narrow = secured.as((await secured.issue({ role: "viewer", networks: ["red"] })).token);
    const agent = await agentOf(secured, "a").connect();
    agent.send({ type: "report", reports: [{ ...theft, vni: red }] });
    await agent.heard();
    expect(said(await listed(narrow))).toEqual(["theft red"]);
    await call(secured.admin, 204, "DELETE", "/v1/vms/on-red");
    await call(secured.admin, 204, "DELETE", "/v1/networks/red");
    expect(await listed(narrow)).toEqual([]);
    await call(secured.admin, 201, "PUT", "/v1/networks/red", { vni: 200, subnets: ["10.20.1.0/24"] });
    expect(await listed(narrow)).toEqual([]);
    expect(said(await listed(secured.admin))).toContain("theft red");
  });
});
