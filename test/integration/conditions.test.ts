// Conditions as a controller merges them: since when, unknown without a session, after restarts, and who sees them.
import { expect, test } from "vitest";
import { parseVni } from "../../schema/address/index.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { exampleOf } from "../support/conditions.ts";
import { type AgentClient, type Controller, call, populate, startController } from "./harness.ts";

type Frame = Extract<AgentFrame, { type: "conditions" }>;
const both = { protocol: { min: 1, max: 2 } };
const mtu = exampleOf("mtu-too-large", 100, { mtu: "1450" });
const vtep = exampleOf("vtep-missing", 100, { vtep: "192.0.2.1" });
const unseen = exampleOf("guest-never-seen", 100);

/** Returns when the controller has read it. */
async function send(agent: AgentClient, frame: Partial<Frame>): Promise<void> {
  agent.send({
    type: "conditions",
    whole: true,
    watchedMs: 0,
    undecided: [],
    add: [],
    remove: [],
    end: true,
    ...frame,
  });
  await agent.heard();
}
const told = (facts: ReturnType<typeof exampleOf>, agoMs = 0) => ({ ...facts, agoMs });

async function present(controller: Controller, query = "") {
  const { conditions } = await call(controller, 200, "GET", `/v1/conditions${query}`);
  return conditions as {
    kind: string;
    host: string;
    network?: string;
    vm?: string;
    status: string;
    since: string;
    reason: string;
    fix?: string;
  }[];
}
const kindsOn = async (controller: Controller, host: string) =>
  (await present(controller, `?host=${host}`)).map(({ kind }) => kind).sort();

async function started() {
  const controller = await startController({ hostGraceMs: 0 });
  await populate(controller);
  const a = await controller.agent("a").connect([], both);
  return { controller, a };
}

test("are a whole set and then differences, by name and with their fix, on the host, the network and the VM", async () => {
  const { controller, a } = await started();
  await send(a, { add: [told(mtu, 60_000), told(vtep)] });
  await send(a, { whole: false, add: [told(unseen)], remove: [{ kind: "vtep-missing", subject: "192.0.2.1" }] });
  const [ofVm, ofNetwork] = (await present(controller, "?host=a")).toSorted((x, y) => (x.kind < y.kind ? -1 : 1));
  expect([ofVm?.kind, ofVm?.vm, ofVm?.network]).toEqual(["guest-never-seen", "web-1", "blue"]);
  expect(ofNetwork).toMatchObject({ kind: "mtu-too-large", host: "a", network: "blue", status: "true" });
  expect(ofNetwork?.reason).toBe("MTU 1450 does not fit the underlay's 1450");
  expect(ofNetwork?.fix).toContain("raise that of eth0 here to 1450; otherwise raise it on all hosts and switches");
  // The agent knows since when, which the controller may not have seen.
  expect(Date.now() - Date.parse(ofNetwork?.since ?? "")).toBeGreaterThanOrEqual(60_000);
  const kinds = async (path: string) =>
    ((await call(controller, 200, "GET", path)).conditions ?? []).map(({ kind }: { kind: string }) => kind);
  expect(await kinds("/v1/vms/web-1")).toEqual(["guest-never-seen"]);
  expect((await kinds("/v1/networks/blue")).sort()).toEqual(["guest-never-seen", "mtu-too-large"]);
  expect((await call(controller, 200, "GET", "/v1/hosts/a")).problems).toContain(
    "network blue: MTU 1450 does not fit the underlay's 1450; if other hosts have more, raise that of eth0 here to 1450; otherwise raise it on all hosts and switches, or set the network's MTU, and that of its guests, to 1450 or less",
  );
  const metrics = await (await fetch(`http://${controller.base}/metrics`)).text();
  expect(metrics).toContain('nearmiss_controller_conditions{kind="mtu-too-large",status="true"} 1');
});

test("of a disconnected host are unknown since then, and keep the time since when across a reconnect", async () => {
  const { controller, a } = await started();
  await send(a, { add: [told(mtu)] });
  const [before] = await present(controller, "?host=a&kind=mtu-too-large");
  a.close();
  await expect.poll(async () => (await present(controller, "?kind=mtu-too-large"))[0]?.status).toBe("unknown");
  const again = await controller.agent("a").connect([], both);
  await send(again, { add: [told(mtu)] });
  expect(await present(controller, "?kind=mtu-too-large")).toEqual([before]);
});

test("that an earlier run of the agent saw stay until this run has seen the guests itself", async () => {
  const { controller, a } = await started();
  const conflict = exampleOf("address-conflict", 100, { ip: "10.20.1.2", mac: "52:54:00:00:00:66" });
  await send(a, { watchedMs: 400_000, add: [told(unseen), told(conflict), told(mtu)] });
  a.close();
  const restarted = await controller.agent("a").connect([], both);
  const name = { kind: "guest-never-seen", vni: parseVni(100), subject: "52:54:00:00:00:01" } as const;
  await send(restarted, { watchedMs: 1, undecided: [name] });
  expect(await kindsOn(controller, "a")).toEqual(["address-conflict", "guest-never-seen"]);
  await send(restarted, { whole: false, watchedMs: 2, remove: [name] });
  expect(await kindsOn(controller, "a")).toEqual(["address-conflict"]);
  restarted.close();
  // Of a run that has watched long enough the set is all there is.
  const later = await controller.agent("a").connect([], both);
  await send(later, { watchedMs: 300_000 });
  expect(await kindsOn(controller, "a")).toEqual([]);
});

test("begin and end as operational events, and a report says nothing of them once more", async () => {
  const { controller, a } = await started();
  const consumer = controller.events();
  await consumer.untilBookmark(1);
  await send(a, { add: [told(mtu)] });
  await consumer.untilOperational("mtu-too-large");
  a.send({
    type: "report",
    reports: [{ kind: "mtu-too-large", vni: parseVni(100), count: 1, firstAgoMs: 0, lastAgoMs: 0 }],
  });
  await send(a, { whole: false, remove: [{ kind: "mtu-too-large", vni: parseVni(100), subject: "eth0" }] });
  await consumer.untilOperational("condition-ended");
  expect(consumer.operational.map(({ type, data }) => [type.split(".").at(-1), data.condition])).toEqual([
    ["mtu-too-large", "mtu-too-large"],
    ["condition-ended", "mtu-too-large"],
  ]);
});

test("of other networks are hidden from a limited token, and so are the host's devices", async () => {
  const controller = await startController();
  await populate(controller);
  const make = async (networks: string[]) =>
    (await call(controller, 201, "POST", "/v1/tokens", { role: "viewer", networks })).token as string;
  const [blue, red] = [await make(["blue"]), await make(["red"])];
  const a = await controller.agent("a").connect([], both);
  await send(a, { add: [told(exampleOf("second-device", 100)), told(vtep)] });
  const seen = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`http://${controller.base}/v1/conditions?host=a`, { headers });
    return ((await answer.json()) as { conditions: { kind: string; reason: string }[] }).conditions;
  };
  expect(await seen(red)).toEqual([]);
  const [one, ...rest] = await seen(blue);
  expect([one?.kind, rest]).toEqual(["second-device", []]);
  expect(JSON.stringify(one)).not.toContain("eth0");
});

test("a VM that is being migrated here sends before the commit: no theft, no stranger, no conflict", async () => {
  const { controller, a } = await started();
  await call(controller, 201, "PUT", "/v1/vms/web-9", {
    host: "b",
    interfaces: [{ network: "blue", mac: "52:54:00:00:00:09", ips: ["10.20.1.9"] }],
  });
  await call(controller, 200, "POST", "/v1/vms/web-9/prepare", { host: "a" });
  const mac = "52:54:00:00:00:09";
  const report = { vni: parseVni(100), subject: mac, count: 1, firstAgoMs: 0, lastAgoMs: 0 };
  a.send({
    type: "report",
    reports: [
      { ...report, kind: "theft" },
      { ...report, kind: "scan" },
    ],
  });
  const stranger = exampleOf("unregistered-guest", 100, { mac });
  const claim = exampleOf("address-unregistered", 100, { mac, ip: "10.20.1.9" });
  await send(a, { add: [told(stranger), told(claim)] });
  expect(await kindsOn(controller, "a")).toEqual([]);
  const { events } = await call(controller, 200, "GET", "/v1/operational-events");
  const types = events.map(({ type }: { type: string }) => type);
  expect(types).toContain("nearmiss.operational.scan");
  expect(types).not.toContain("nearmiss.operational.theft");
});

test("an unregistered source address names VM and address, and is judged by the inventory", async () => {
  const { controller, a } = await started();
  const claim = (ip: string) => told(exampleOf("address-unregistered", 100, { ip, mac: "52:54:00:00:00:01" }));
  await send(a, { add: [claim("10.20.1.77"), claim("10.20.1.2"), claim("10.20.1.1")] });
  const found = await present(controller, "?host=a");
  expect(found.map(({ kind, vm, reason }) => [kind, vm, reason.match(/10\.20\.1\.\d+/)?.[0]])).toEqual([
    ["address-conflict", "web-2", "10.20.1.2"],
    ["address-unregistered", "web-1", "10.20.1.77"],
  ]);
});

test("a second machine under one name, and one with another's VTEP, are named in the host's conditions", async () => {
  const controller = await startController({ selfRegistration: true });
  await populate(controller);
  const other = controller.agent("zzz");
  await other.opened;
  other.send({
    type: "hello",
    protocol: { min: 1, max: 2 },
    version: "test",
    host: "zzz",
    vtep: "192.0.2.1" as never,
    vtepPort: 4789,
  });
  await other.closed;
  const [refused] = await present(controller, "?kind=host-refused");
  expect(refused).toMatchObject({ host: "a", kind: "host-refused" });
  expect(refused?.reason).toContain("zzz");
});
