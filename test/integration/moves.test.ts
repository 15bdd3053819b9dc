// Moves that are answered when every holder of the VM has confirmed.
import { expect, test } from "vitest";
import type { Revision } from "../../schema/address/index.ts";
import { holdTimeouts } from "../support/held-timeouts.ts";
import { fleet, follow, web1 } from "./fleet.ts";
import { type Controller, call, populate, problemType, startController, startSecured } from "./harness.ts";

const move = (controller: Controller, body: object, status = 200) =>
  call(controller, status, "POST", "/v1/vms/web-1/move", body);

async function lines(controller: Controller, body: object) {
  const answer = await controller.request("POST", "/v1/vms/web-1/move", body, { accept: "application/x-ndjson" });
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  return answer.body
    .trim()
    .split("\n")
    .map((line: string) => JSON.parse(line));
}

test("answers when every holder of the VM has confirmed: the old host, the new one, and those that asked", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [a, b, c]) follow(agent);
  const moved = await move(controller, { host: "b", wait: true });
  expect(moved).toEqual({
    vm: "web-1",
    from: "a",
    to: "b",
    revision: 9,
    confirmed: 3,
    of: 3,
    slowestMs: expect.any(Number),
    unconfirmed: [],
  });
  expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "b", revision: 9 });
});

test("does not answer before the last of them has confirmed", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [a, b]) follow(agent);
  let answered = false;
  const moved = move(controller, { host: "b", wait: true }).finally(() => {
    answered = true;
  });
  await c.frame("changes");
  // The others have confirmed by the time that these are answered: their frames went first.
  for (const agent of [a, b]) await agent.frame("changes");
  await call(controller, 200, "GET", "/v1/hosts");
  expect(answered).toBe(false);
  c.send({ type: "applied", revision: 9 as Revision, problems: [] });
  expect(await moved).toMatchObject({ confirmed: 3, of: 3 });
});

test("counts only hosts that hold an address of the VM", async () => {
  const { controller, a, b, c } = await fleet();
  c.send({ type: "release", id: 2, keys: [web1, { kind: "mac", vni: 100, mac: "52:54:00:00:00:01" } as never] });
  await c.frame("answers", ({ id }) => id === 2);
  for (const agent of [a, b]) follow(agent);
  expect(await move(controller, { host: "b", wait: true })).toMatchObject({ confirmed: 2, of: 2 });
});

test("at the deadline names the unconfirmed hosts with the reason, and the move remains in effect", async () => {
  const { controller, a, b, c } = await fleet();
  follow(b);
  a.close();
  await a.closed;
  c.send({
    type: "applied",
    revision: 8 as Revision,
    problems: ["network blue: the kernel does not take all entries: ENOBUFS, the kernel's table is full"],
  });
  await c.heard();
  const pass = holdTimeouts();
  const moved = move(controller, { host: "b", wait: true, timeoutMs: 200 });
  await b.frame("changes");
  await b.heard();
  pass(200);
  const { unconfirmed, ...rest } = await moved;
  expect(rest).toMatchObject({ confirmed: 1, of: 3, slowestMs: expect.any(Number) });
  expect(unconfirmed).toEqual([
    {
      host: "a",
      why: expect.stringMatching(
        /^no agent is connected, last heard .*: its kernel still has the last state that it was sent$/,
      ),
    },
    {
      host: "c",
      why: "has not confirmed revision 9 within 200 ms; network blue: the kernel does not take all entries: ENOBUFS, the kernel's table is full",
    },
  ]);
  expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "b" });
});

test("a host that reconnects in time confirms with its snapshot", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [b, c]) follow(agent);
  a.close();
  await a.closed;
  const told = lines(controller, { host: "b", wait: true });
  await c.frame("changes");
  const back = await controller.agent("a").connect();
  back.send({ type: "applied", revision: 9 as Revision, problems: [] });
  expect((await told).at(-1)).toMatchObject({ type: "result", confirmed: 3, of: 3 });
});

test("after a start of the controller, a host that has not declared its interest counts as unconfirmed", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [a, b, c]) agent.close();
  await controller.stop();
  const again = await startController({ db: controller.db });
  const back = [await again.agent("a").connect(), await again.agent("b").connect()];
  const pass = holdTimeouts();
  const moved = move(again, { host: "b", wait: true, timeoutMs: 100 });
  for (const agent of back) {
    follow(agent);
    await agent.frame("changes");
    await agent.heard();
  }
  pass(100);
  const { unconfirmed, ...rest } = await moved;
  expect(rest).toMatchObject({ confirmed: 2, of: 3 });
  expect(unconfirmed).toEqual([
    {
      host: "c",
      why: "no agent is connected since the controller started: its kernel still has the last state that it was sent",
    },
  ]);
});

test("a host that is deleted during the wait need not confirm", async () => {
  const { controller, a, b, c } = await fleet();
  follow(a);
  follow(b);
  const moved = move(controller, { host: "b", wait: true });
  await c.frame("changes");
  await call(controller, 204, "DELETE", "/v1/vms/web-3");
  await call(controller, 204, "DELETE", "/v1/hosts/c");
  expect(await moved).toMatchObject({ confirmed: 2, of: 2, unconfirmed: [] });
});

test("without wait it answers at once, with the progress so far", async () => {
  const { controller } = await fleet();
  const moved = await move(controller, { host: "b" });
  expect(moved).toMatchObject({ revision: 9, confirmed: 0, of: 3, slowestMs: null });
  expect(moved.unconfirmed[0]).toEqual({ host: "a", why: "has not confirmed revision 9 yet" });
});

test("as NDJSON it reports each confirmation as it arrives", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [a, b, c]) follow(agent);
  const told = await lines(controller, { host: "b", wait: true });
  expect(told.map(({ type }: { type: string }) => type)).toEqual([
    "committed",
    "confirmed",
    "confirmed",
    "confirmed",
    "result",
  ]);
  expect(told[0]).toEqual({ type: "committed", revision: 9, of: 3 });
  const confirmed = told.slice(1, 4);
  expect(confirmed.map(({ host }: { host: string }) => host).sort()).toEqual(["a", "b", "c"]);
  expect(confirmed.map((each: { confirmed: number }) => each.confirmed)).toEqual([1, 2, 3]);
  expect(told[4]).toMatchObject({ vm: "web-1", from: "a", to: "b", confirmed: 3, of: 3, unconfirmed: [] });
});

test("a move to the current host changes nothing, and waits for hosts that have not applied the last one", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [a, b, c]) follow(agent);
  await move(controller, { host: "b", wait: true });
  expect(await move(controller, { host: "b", wait: true })).toMatchObject({
    from: "b",
    to: "b",
    revision: 9,
    confirmed: expect.any(Number),
    unconfirmed: [],
  });
});

test("the same request with the same key moves once, and waits again", async () => {
  const { controller, a, b, c } = await fleet();
  const key = { "idempotency-key": "k1" };
  const send = (body: object) => controller.request("POST", "/v1/vms/web-1/move", body, key);
  const first = await send({ host: "b", wait: true, timeoutMs: 0 });
  expect(first.body).toMatchObject({ from: "a", to: "b", revision: 9, confirmed: 0, of: 3 });
  for (const agent of [a, b, c]) {
    agent.send({ type: "applied", revision: 9 as Revision, problems: [] });
    await agent.heard();
  }
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "c" });
  const again = await send({ host: "b", wait: true, timeoutMs: 0 });
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(again.body).toMatchObject({ from: "a", to: "b", revision: 9, confirmed: 3, of: 3 });
  expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "c" });
  expect(problemType((await send({ host: "a" })).body)).toBe("idempotency-key-reused");
});

test("a dry run states how many hosts would have to confirm, and moves nothing", async () => {
  const { controller } = await fleet();
  const told = await call(controller, 200, "POST", "/v1/vms/web-1/move?dryRun=true", { host: "b", wait: true });
  expect(told).toMatchObject({ from: "a", to: "b", revision: 6, confirmed: 0, of: 3, unconfirmed: [], dryRun: true });
  expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "a", revision: 6 });
});

test("is refused like any change, without effect", async () => {
  const { controller } = await fleet();
  const stale = await controller.request("POST", "/v1/vms/web-1/move", { host: "b" }, { "if-match": '"5"' });
  expect([stale.status, problemType(stale.body)]).toEqual([412, "precondition-failed"]);
  expect(problemType(await move(controller, { host: "nowhere" }, 422))).toBe("unknown-reference");
  expect(problemType(await call(controller, 404, "POST", "/v1/vms/nobody/move", { host: "b" }))).toBe("not-found");
  expect(problemType(await move(controller, { host: "b", timeoutMs: 60_001 }, 400))).toBe("invalid-input");
  expect(await call(controller, 200, "GET", "/v1/vms/web-1")).toMatchObject({ host: "a", revision: 6 });
  const fresh = await controller.request("POST", "/v1/vms/web-1/move", { host: "b" }, { "if-match": '"6"' });
  expect([fresh.status, fresh.headers.get("etag")]).toEqual([200, '"9"']);
});

test("requires an operator's token for the VM's networks, shows agents' complaints only to admins of all networks, and is audited", async () => {
  const controller = await startSecured();
  await populate(controller.admin);
  const body = { host: "b", wait: true, timeoutMs: 0 };
  const as = async (input: Parameters<typeof controller.issue>[0]) =>
    controller.as((await controller.issue(input)).token).request("POST", "/v1/vms/web-1/move", body);
  expect((await as({ role: "viewer" })).status).toBe(403);
  expect((await as({ role: "operator", networks: ["red"] })).status).toBe(404);
  const { status, body: moved } = await as({ role: "operator", networks: ["blue"] });
  expect([status, moved.of]).toEqual([200, 2]);
  const { entries } = await call(controller.admin, 200, "GET", "/v1/audit?limit=1000");
  expect(entries.filter(({ what }: { what: string[] }) => what.includes("vm.updated vms/web-1"))).toHaveLength(1);
});

test("the operational stream reports that all hosts have applied the move, whether a client waited or not", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [a, b, c]) follow(agent);
  const stream = controller.events();
  await stream.opened;
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "b" });
  const event = await stream.untilOperational("move-confirmed");
  expect(event).toMatchObject({
    subject: "hosts/b",
    data: {
      host: "b",
      network: "blue",
      vni: 100,
      subject: "web-1",
      detail: expect.stringMatching(/^VM web-1 from host a to b: 3 of 3 hosts, slowest \d+ ms$/),
    },
  });
});

test("it names the hosts that have not: at once if all missing ones are marked down", async () => {
  const { controller, a, b } = await fleet();
  for (const agent of [a, b]) follow(agent);
  await call(controller, 200, "PATCH", "/v1/hosts/c", { down: true });
  const stream = controller.events();
  await stream.opened;
  await call(controller, 200, "POST", "/v1/hosts/c/evacuate", { to: ["a"] });
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { host: "b" });
  const event = await stream.untilOperational("move-unconfirmed");
  expect(event).toMatchObject({ data: { detail: expect.stringContaining("; not c") } });
});
