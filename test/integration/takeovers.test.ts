// Claims of agents: what the controller decides, what hosts are sent, and what is left of it after a restart.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ip, mac, vni } from "../support/addresses.ts";
import { holdTimeouts } from "../support/held-timeouts.ts";
import { type AgentClient, type Controller, call, populate, startController, temporaryDatabase } from "./harness.ts";

const protocol = { min: 1, max: 2 };
const shared = "10.20.1.100";

async function withShared(controller: Controller): Promise<void> {
  await populate(controller);
  for (const [name, n] of [
    ["web-1", 1],
    ["web-2", 2],
  ] as const) {
    const eth0 = { port: `tap${n}`, allowedAddresses: [{ ip: shared }, { ip: "172.16.0.0/12" }] };
    await call(controller, 200, "PATCH", `/v1/vms/${name}`, { interfaces: { eth0 } });
  }
}

const ipsOf = async (controller: Controller, name: string): Promise<string[]> =>
  ((await controller.request("GET", `/v1/vms/${name}`)).body as { interfaces: { ips: string[] }[] }).interfaces.flatMap(
    ({ ips }) => ips,
  );
/** The address is at web-2, on host b. @param agoMs since it came there */
async function withOwner(agoMs = 0, options: Parameters<typeof startController>[0] = {}) {
  if (agoMs > 0) vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const controller = await startController(options);
  await withShared(controller);
  const a = await controller.agent("a").connect([], { protocol });
  const b = await controller.agent("b").connect([], { protocol });
  const claim = claimOf(2);
  b.send(claim);
  expect(await b.frame("claimed", ({ id }) => id === claim.id)).toMatchObject({ granted: true });
  if (agoMs > 0) vi.advanceTimersByTime(agoMs);
  return { controller, a, b };
}

/** Its guest does, or does not. */
function answer(agent: AgentClient, answers: boolean): void {
  agent.listen((frame) => {
    if (frame.type === "probe") agent.send({ type: "probed", id: frame.id, answers });
  });
}

let ids = 0;
const claimOf = (n: number, more: object = {}) =>
  ({
    type: "claim",
    id: ++ids,
    vni: vni(100),
    mac: mac(`52:54:00:00:00:0${n}`),
    ip: ip(shared),
    port: `tap${n}`,
    agoMs: 0,
    ...more,
  }) as const;

describe("a claim", () => {
  test("gives the address to the guest, and tells the hosts before its answer", async () => {
    const controller = await startController();
    await withShared(controller);
    const [a, b] = [
      await controller.agent("a").connect([], { protocol }),
      await controller.agent("b").connect([{ kind: "ip", vni: vni(100), ip: ip(shared) }], { protocol }),
    ];
    expect(a.frames("snapshot").flatMap(({ answers }) => answers)).toContainEqual(
      expect.objectContaining({
        key: { kind: "mac", vni: 100, mac: "52:54:00:00:00:01" },
        binding: expect.objectContaining({ local: true, guestPort: "tap1", allowed: [shared, "172.16.0.0/12"] }),
      }),
    );
    const claim = claimOf(1);
    a.send(claim);
    expect(await a.frame("claimed", ({ id }) => id === claim.id)).toEqual({
      type: "claimed",
      id: claim.id,
      granted: true,
    });
    expect(a.received.findIndex(({ type }) => type === "changes")).toBeLessThan(
      a.received.findIndex(({ type }) => type === "claimed"),
    );
    const change = await b.frame("changes", ({ answers }) =>
      answers.some(({ key }) => key.kind === "ip" && key.ip === shared),
    );
    // Nothing of what is allowed there is said to other hosts.
    expect(change.answers).toMatchObject([{ binding: { mac: "52:54:00:00:00:01", host: "a" } }]);
    expect(JSON.stringify(change)).not.toContain("allowed");
    expect(await ipsOf(controller, "web-1")).toEqual(["10.20.1.1", "fd00:20::1", shared]);
    const again = claimOf(1);
    a.send(again);
    expect(await a.frame("claimed", ({ id }) => id === again.id)).toMatchObject({ granted: true });
    const other = claimOf(2);
    b.send(other);
    expect(await b.frame("claimed", ({ id }) => id === other.id)).toMatchObject({ granted: true });
    expect([await ipsOf(controller, "web-1"), await ipsOf(controller, "web-2")]).toEqual([
      ["10.20.1.1", "fd00:20::1"],
      ["10.20.1.2", "fd00:20::2", shared],
    ]);
  });

  test.each([
    ["for another port", { port: "tap9" }, "not-allowed"],
    ["for the MAC of another host's VM", { mac: mac("52:54:00:00:00:02"), port: "tap2" }, "not-allowed"],
    ["for an address that it may not take", { ip: ip("10.20.1.50") }, "not-allowed"],
    ["for an address of a prefix", { ip: ip("172.16.0.1") }, "not-allowed"],
    ["in another network", { vni: vni(200) }, "not-allowed"],
    ["in a network that does not exist", { vni: vni(999) }, "not-allowed"],
    ["that is older than the last move", { agoMs: 60_000 }, "overtaken"],
  ])("%s is refused", async (_, more, reason) => {
    const controller = await startController();
    await withShared(controller);
    const [a, b] = [
      await controller.agent("a").connect([], { protocol }),
      await controller.agent("b").connect([], { protocol }),
    ];
    for (const [agent, claim] of [
      [a, claimOf(1)],
      [b, claimOf(2)],
    ] as const) {
      agent.send(claim);
      await agent.frame("claimed", ({ id }) => id === claim.id);
    }
    const claim = claimOf(1, more);
    a.send(claim);
    expect(await a.frame("claimed", ({ id }) => id === claim.id)).toMatchObject({ granted: false, reason });
    expect(await ipsOf(controller, "web-2")).toContain(shared);
  });

  test("of an address that another guest has, by one that only uses it, is refused when that one answers: a condition", async () => {
    const { controller, a, b } = await withOwner();
    answer(b, true);
    const claim = claimOf(1, { ifFree: true });
    a.send(claim);
    expect(await a.frame("claimed", ({ id }) => id === claim.id)).toMatchObject({ granted: false, reason: "in-use" });
    expect(b.frames("probe")).toEqual([
      { type: "probe", id: expect.any(Number), vni: 100, mac: "52:54:00:00:00:02", ip: shared, port: "tap2" },
    ]);
    expect(await ipsOf(controller, "web-2")).toContain(shared);
    const view = await controller.request("GET", "/v1/vms/web-2");
    expect(view.body).toMatchObject({ conditions: [{ kind: "address-disputed" }] });
    // A guest that announces it gets it, and then no other one uses it.
    const announced = claimOf(1);
    a.send(announced);
    expect(await a.frame("claimed", ({ id }) => id === announced.id)).toMatchObject({ granted: true });
    for (const name of ["web-1", "web-2"])
      expect((await controller.request("GET", `/v1/vms/${name}`)).body).not.toHaveProperty("conditions");
  });

  test.each([
    ["that only uses it", { ifFree: true }],
    ["that announced it a while ago", { agoMs: 2_001 }],
  ])("of an address whose guest does not answer gives it to the guest %s", async (_, more) => {
    const { controller, a, b } = await withOwner(3_000);
    answer(b, false);
    const claim = claimOf(1, more);
    a.send(claim);
    expect(await a.frame("claimed", ({ id }) => id === claim.id)).toMatchObject({ granted: true });
    expect(await ipsOf(controller, "web-1")).toContain(shared);
  });

  test("that may have waited on the way is granted only when the guest that has the address does not answer", async () => {
    const { a, b } = await withOwner(6_001);
    answer(b, true);
    const claim = claimOf(1);
    a.send(claim);
    expect(await a.frame("claimed", ({ id }) => id === claim.id)).toMatchObject({ granted: false, reason: "in-use" });
  });

  test("that was announced just now is granted at once: the guest that has the address is not asked", async () => {
    const { a, b } = await withOwner();
    const claim = claimOf(1);
    a.send(claim);
    expect(await a.frame("claimed", ({ id }) => id === claim.id)).toMatchObject({ granted: true });
    await b.heard();
    expect(b.frames("probe")).toEqual([]);
  });

  test("is refused when the agent of the guest that has the address does not answer, as one of 0.1.0", async () => {
    const letPass = holdTimeouts();
    const { a, b } = await withOwner();
    const claim = claimOf(1, { ifFree: true });
    a.send(claim);
    await b.frame("probe");
    letPass(3_000);
    expect(await a.frame("claimed", ({ id }) => id === claim.id)).toMatchObject({ granted: false, reason: "in-use" });
  });

  test("is decided by the time when it was said: the guest that has the address announces it again beside the question", async () => {
    const { controller, a, b } = await withOwner();
    const claim = claimOf(1, { ifFree: true });
    a.send(claim);
    const { id } = await b.frame("probe");
    // Another one takes it in between, and gives it back.
    for (const [agent, each] of [
      [a, claimOf(1)],
      [b, claimOf(2)],
    ] as const) {
      agent.send(each);
      expect(await agent.frame("claimed", (frame) => frame.id === each.id)).toMatchObject({ granted: true });
    }
    b.send({ type: "probed", id, answers: false });
    expect(await a.frame("claimed", (frame) => frame.id === claim.id)).toMatchObject({ reason: "overtaken" });
    expect(await ipsOf(controller, "web-2")).toContain(shared);
  });

  test("answers to questions count from the asked host alone", async () => {
    const { a, b } = await withOwner();
    const claim = claimOf(1, { ifFree: true });
    a.send(claim);
    const { id } = await b.frame("probe");
    a.send({ type: "probed", id, answers: false });
    await a.heard();
    b.send({ type: "probed", id, answers: true });
    expect(await a.frame("claimed", (frame) => frame.id === claim.id)).toMatchObject({ reason: "in-use" });
  });

  test("of an address on a host without a session is granted if it was announced, and otherwise when the host is lost", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const { controller, a, b } = await withOwner(0, { hostGraceMs: 0 });
    b.close();
    await b.closed;
    const used = claimOf(1, { ifFree: true });
    a.send(used);
    // The controller has just been started.
    expect(await a.frame("claimed", ({ id }) => id === used.id)).toMatchObject({ granted: false, reason: "in-use" });
    vi.advanceTimersByTime(30_000);
    const again = claimOf(1, { ifFree: true });
    a.send(again);
    expect(await a.frame("claimed", ({ id }) => id === again.id)).toMatchObject({ granted: true });
    expect(await ipsOf(controller, "web-1")).toContain(shared);
  });

  test("beyond five moves within 180 s is refused until it is thawed, which is a condition", async () => {
    const controller = await startController();
    await withShared(controller);
    const agents = [
      await controller.agent("a").connect([], { protocol }),
      await controller.agent("b").connect([], { protocol }),
    ] as const;
    const claim = async (n: 1 | 2) => {
      const frame = claimOf(n);
      agents[n - 1]?.send(frame);
      return agents[n - 1]?.frame("claimed", ({ id }) => id === frame.id);
    };
    // The first is no move: it had no guest.
    for (const n of [1, 2, 1, 2, 1, 2] as const) expect(await claim(n)).toMatchObject({ granted: true });
    expect(await claim(1)).toMatchObject({ granted: false, reason: "frozen" });
    expect(await claim(2)).toMatchObject({ granted: true });
    const view = (await controller.request("GET", "/v1/vms/web-2")).body as { conditions: object[] };
    expect(view.conditions).toMatchObject([
      {
        kind: "address-frozen",
        reason: expect.stringContaining("10.20.1.100 moved 5 times between guests within 180 s"),
      },
    ]);
    expect((await controller.request("GET", "/v1/networks/blue")).body).toMatchObject({
      conditions: [{ kind: "address-frozen" }],
    });
    const thaw = (body: object, network = "blue") => controller.request("POST", `/v1/networks/${network}/thaw`, body);
    expect(await thaw({ ip: "10.20.1.51" })).toMatchObject({ status: 404 });
    expect(await thaw({ ip: shared }, "green")).toMatchObject({ status: 404 });
    expect(await thaw({ ip: "nonsense" })).toMatchObject({ status: 400 });
    expect((await thaw({ ip: shared })).body).toEqual({ network: "blue", ip: shared, thawed: true });
    expect((await thaw({ ip: shared })).body).toMatchObject({ thawed: false });
    expect((await controller.request("GET", "/v1/vms/web-2")).body).not.toHaveProperty("conditions");
    expect(await claim(1)).toMatchObject({ granted: true });
  });

  test("of an agent of version 1 ends the session, as every frame that it cannot know", async () => {
    const controller = await startController();
    await withShared(controller);
    const old = await controller.agent("a").connect();
    old.send(claimOf(1));
    expect(await old.closed).toMatchObject({ code: 4400 });
  });
});

test("who has an address is there after a restart, with what is allowed", async () => {
  const db = temporaryDatabase();
  const first = await startController({ db });
  await withShared(first);
  const a = await first.agent("a").connect([], { protocol });
  a.send(claimOf(1));
  await a.frame("claimed");
  const before = (await first.request("GET", "/v1/vms/web-1")).body;
  await first.stop();
  const second = await startController({ db });
  const { hostConnected: _, ...after } = (await second.request("GET", "/v1/vms/web-1")).body as Record<string, unknown>;
  expect(before).toMatchObject(after);
  const b = await second.agent("b").connect([], { protocol });
  b.send(claimOf(2));
  expect(await b.frame("claimed")).toMatchObject({ granted: true });
});
