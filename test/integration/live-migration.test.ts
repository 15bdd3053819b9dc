// A live migration: prepare, then commit or abort.
import { expect, test } from "vitest";
import { holdTimeouts } from "../support/held-timeouts.ts";
import { fleet, follow, web1 } from "./fleet.ts";
import { type Controller, call, problemType, startController } from "./harness.ts";

const red = { host: "a", interfaces: [{ network: "red", mac: "52:54:00:00:00:07", ips: ["10.20.1.7"] }] };

const ask = (controller: Controller, verb: string, body: object = {}, status = 200) =>
  call(controller, status, "POST", `/v1/vms/red-1/${verb}`, body);

/** As `fleet`, with a VM on a that is alone in network red. */
async function withRed() {
  const made = await fleet();
  await call(made.controller, 201, "PUT", "/v1/vms/red-1", red);
  for (const agent of [made.a, made.b, made.c]) follow(agent);
  await made.a.frame("changes");
  return made;
}

test("prepare gives the target host the VM's networks, reports when it has them, and changes nothing for other hosts", async () => {
  const { controller, a, b, c } = await withRed();
  const before = [a, c].map((agent) => agent.frames("changes").length);
  const told = await ask(controller, "prepare", { host: "b", wait: true });
  expect(told).toMatchObject({ vm: "red-1", from: "a", to: "b", revision: 10, confirmed: 1, of: 1, unconfirmed: [] });
  const frame = await b.frame("changes", ({ asOf }) => asOf === 10);
  expect(frame).toMatchObject({ networks: [{ name: "red", vni: 200 }], gone: [], answers: [] });
  // A version that does not know what is prepared.
  expect(frame.prepared).toBeUndefined();
  await Promise.all([a.heard(), c.heard()]);
  expect([a, c].map((agent) => agent.frames("changes").length)).toEqual(before);
  // It may ask, and is pointed to the VM's present host.
  b.send({ type: "resolve", id: 7, questions: [{ kind: "ip", vni: 200, ip: "10.20.1.7" } as never] });
  const { answers } = await b.frame("answers", ({ id }) => id === 7);
  expect(answers[0]?.binding).toMatchObject({ host: "a" });
  expect(await call(controller, 200, "GET", "/v1/vms/red-1")).toMatchObject({ host: "a", preparedHost: "b" });
  expect(await call(controller, 200, "GET", "/v1/hosts?network=red")).toMatchObject({
    hosts: [{ name: "a" }, { name: "b" }],
  });
});

test("commit is one revision, and the prepared host learns that the VM is its own", async () => {
  const { controller, b } = await withRed();
  await ask(controller, "prepare", { host: "b", wait: true });
  const told = await ask(controller, "commit", { host: "b", wait: true });
  expect(told).toMatchObject({ from: "a", to: "b", revision: 11, confirmed: 2, of: 2 });
  const { answers, networks, gone } = await b.frame("changes", ({ asOf }) => asOf === 11);
  expect([networks, gone]).toEqual([[], []]);
  expect(answers.map(({ binding }) => binding?.local)).toEqual([true, true]);
  const vm = await call(controller, 200, "GET", "/v1/vms/red-1");
  expect(vm).toMatchObject({ host: "b", revision: 11 });
  expect(vm.preparedHost).toBeUndefined();
  // A hook may call twice: it is where it should be.
  expect(await ask(controller, "commit", { host: "b" })).toMatchObject({ from: "b", to: "b", revision: 11 });
});

test("abort removes the networks from the target host again, and does nothing without a migration", async () => {
  const { controller, b } = await withRed();
  await ask(controller, "prepare", { host: "b", wait: true });
  const told = await ask(controller, "abort", { wait: true });
  expect(told).toMatchObject({ from: "b", to: "a", revision: 11, confirmed: 1, of: 1 });
  expect(await b.frame("changes", ({ asOf }) => asOf === 11)).toMatchObject({ networks: [], gone: [200] });
  expect(await ask(controller, "abort")).toMatchObject({ from: "a", to: "a", revision: 11, of: 0 });
});

test("a prepared host that has the network anyway keeps it after an abort", async () => {
  const { controller, b } = await fleet();
  for (const verb of ["prepare", "abort"]) {
    await call(controller, 200, "POST", `/v1/vms/web-1/${verb}`, verb === "prepare" ? { host: "b" } : {});
  }
  b.send({ type: "resolve", id: 9, questions: [web1] });
  await b.frame("answers", ({ id }) => id === 9);
  for (const frame of b.frames("changes")) expect(frame).toMatchObject({ networks: [], gone: [], answers: [] });
});

test("a prepared host is sent the VM's interfaces with their ports, also in a snapshot, and their end with the commit", async () => {
  const version2 = { protocol: { min: 1, max: 2 } } as const;
  const { controller, b } = await fleet({}, version2);
  const { interfaces } = await call(controller, 200, "GET", "/v1/vms/web-1");
  const [{ mac, ips }] = interfaces;
  await call(controller, 200, "PATCH", "/v1/vms/web-1", { interfaces: [{ network: "blue", mac, ips, port: "tap1" }] });
  follow(b);
  const told = await call(controller, 200, "POST", "/v1/vms/web-1/prepare", { host: "b", wait: true });
  expect(told).toMatchObject({ confirmed: 1, of: 1 });
  const guest = { vni: 100, mac, ips, port: "tap1" };
  const frame = await b.frame("changes", ({ asOf }) => asOf === told.revision);
  expect(frame).toMatchObject({ networks: [], gone: [], answers: [], prepared: [guest] });
  b.close();
  const again = await controller.agent("b").connect([], version2);
  expect(again.frames("snapshot")[0]?.prepared).toEqual([guest]);
  const { revision } = await call(controller, 200, "POST", "/v1/vms/web-1/commit", {});
  const commit = await again.frame("changes", ({ asOf }) => asOf === revision);
  expect(commit.prepared).toEqual([{ vni: 100, mac }]);
  expect(commit.answers.map(({ binding }) => binding?.guestPort)).toEqual(["tap1", "tap1", "tap1"]);
  const c = await controller.agent("c").connect([], version2);
  expect(c.frames("snapshot")[0]?.prepared).toBeUndefined();
});

test("the others receive a commit only after the prepared host has confirmed it", async () => {
  const { controller, a, b, c } = await fleet();
  const { revision } = await call(controller, 200, "POST", "/v1/vms/web-1/prepare", { host: "b" });
  follow(a);
  follow(c);
  // They are kept waiting for a moment only, which is not to end here.
  holdTimeouts();
  const done = call(controller, 200, "POST", "/v1/vms/web-1/commit", { wait: true });
  const { asOf } = await b.frame("changes", (frame) => frame.asOf > revision);
  await call(controller, 200, "GET", "/v1/hosts");
  expect([...a.frames("changes"), ...c.frames("changes")]).toEqual([]);
  b.send({ type: "applied", revision: asOf, problems: [] });
  expect(await done).toMatchObject({ confirmed: 3, of: 3 });
});

test("a prepared host that does not answer delays the others for a moment only, and their questions stay in order", async () => {
  const { controller, a, b, c } = await fleet();
  const { revision } = await call(controller, 200, "POST", "/v1/vms/web-1/prepare", { host: "b" });
  const pass = holdTimeouts();
  const done = call(controller, 200, "POST", "/v1/vms/web-1/commit", { wait: true, timeoutMs: 1_000 });
  await b.frame("changes", ({ asOf }) => asOf > revision);
  follow(a);
  c.send({ type: "resolve", id: 5, questions: [web1] });
  await call(controller, 200, "GET", "/v1/hosts");
  expect([...a.frames("changes"), ...c.frames("changes")]).toEqual([]);
  pass(100);
  await c.frame("answers", ({ id }) => id === 5);
  const order = c.received.flatMap((frame) => (frame.type === "changes" || frame.type === "answers" ? frame.asOf : []));
  expect(order).toEqual(order.toSorted((x, y) => x - y));
  follow(c);
  for (const agent of [a, c]) {
    await agent.frame("changes");
    await agent.heard();
  }
  pass(900);
  expect(await done).toMatchObject({ confirmed: 2, of: 3, unconfirmed: [{ host: "b" }] });
});

test("a step that does not fit the migration is refused, and changes nothing", async () => {
  const { controller } = await withRed();
  const refused = async (verb: string, body: object, says: string) => {
    const { revision } = await call(controller, 200, "GET", "/readyz");
    const problem = await ask(controller, verb, body, 409);
    expect(problemType(problem)).toBe("migration-conflict");
    expect(problem.detail).toContain(says);
    expect(await call(controller, 200, "GET", "/readyz")).toMatchObject({ revision });
  };
  await refused("commit", {}, "prepare one first, or move it");
  await refused("commit", { host: "b" }, "prepare one first, or move it");
  await refused("prepare", { host: "a" }, 'is on host "a" already');
  await ask(controller, "prepare", { host: "b" });
  expect(await ask(controller, "prepare", { host: "b" })).toMatchObject({ from: "a", to: "b", revision: 10 });
  await refused("prepare", { host: "c" }, 'being migrated to host "b": commit that first, or abort it');
  await refused("commit", { host: "c" }, 'being migrated to host "b", not to "c"');
  expect(problemType(await call(controller, 409, "DELETE", "/v1/hosts/b"))).toBe("in-use");
  await call(controller, 204, "DELETE", "/v1/vms/web-2");
  const problem = await call(controller, 409, "DELETE", "/v1/hosts/b");
  expect(problem.detail).toBe('host "b" is prepared for VM "red-1": abort that first');
  expect(problemType(await ask(controller, "prepare", { host: "nowhere" }, 409))).toBe("migration-conflict");
  await ask(controller, "abort");
  expect(problemType(await ask(controller, "prepare", { host: "nowhere" }, 422))).toBe("unknown-reference");
});

test("changing the VM leaves the migration untouched, and moving it ends the migration", async () => {
  const { controller } = await withRed();
  await ask(controller, "prepare", { host: "b" });
  expect(await call(controller, 200, "PATCH", "/v1/vms/red-1", { labels: { tier: "x" } })).toMatchObject({
    preparedHost: "b",
  });
  expect(await call(controller, 200, "PUT", "/v1/vms/red-1", red)).toMatchObject({ preparedHost: "b" });
  const told = await ask(controller, "move", { host: "c", wait: true });
  // The host that was prepared has its part: to give the network up.
  expect(told).toMatchObject({ from: "a", to: "c", confirmed: 3, of: 3 });
  expect((await call(controller, 200, "GET", "/v1/vms/red-1")).preparedHost).toBeUndefined();
});

test("a migration survives a restart of the controller, and an export shows the VM on its current host", async () => {
  const { controller } = await withRed();
  await ask(controller, "prepare", { host: "b" });
  const lines: string = (await controller.request("GET", "/v1/export")).body;
  expect(lines).toContain('"name":"red-1"');
  expect(lines).not.toContain("preparedHost");
  await controller.stop();
  const again = await startController({ db: controller.db });
  expect(await call(again, 200, "GET", "/v1/vms/red-1")).toMatchObject({ host: "a", preparedHost: "b" });
  const b = await again.agent("b").connect();
  expect(
    b
      .frames("snapshot")[0]
      ?.networks.map(({ name }) => name)
      .sort(),
  ).toEqual(["blue", "red"]);
});
