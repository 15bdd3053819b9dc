// Hosts that are down: marked, evacuated, deleted.
import { expect, test } from "vitest";
import { fleet, follow } from "./fleet.ts";
import { type Controller, call, populate, problemType, startController, startSecured, vm } from "./harness.ts";

const evacuate = (controller: Controller, body: object, status = 200, query = "") =>
  call(controller, status, "POST", `/v1/hosts/c/evacuate${query}`, body);

/** As `fleet`, with VMs v-0 … v-<n-1> on c besides web-3. */
async function crowded(n: number) {
  const made = await fleet();
  const lines = Array.from({ length: n }, (_, i) => {
    const mac = `52:54:00:01:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
    return JSON.stringify({ kind: "vm", name: `v-${i}`, host: "c", interfaces: [{ network: "blue", mac, ips: [] }] });
  });
  const headers = { "content-type": "application/x-ndjson" };
  const answer = await made.controller.request("POST", "/v1/import", lines.join("\n"), headers);
  expect(answer.status).toBe(200);
  return made;
}

test("a host that is marked down gets no VM, no move waits for it, and its status shows it", async () => {
  const { controller, a, b, c } = await fleet();
  follow(a);
  follow(b);
  expect(await call(controller, 200, "PATCH", "/v1/hosts/c", { down: true })).toMatchObject({
    down: true,
    problems: [
      "the host is marked down, and its agent is connected: no VM is placed on it; remove the mark (nearmiss host up) if the host is well",
    ],
  });
  c.close();
  const moved = await call(controller, 200, "POST", "/v1/vms/web-1/move", { host: "b", wait: true });
  expect(moved).toMatchObject({ confirmed: 2, of: 3 });
  expect(moved.unconfirmed).toEqual([
    {
      host: "c",
      why: "is marked down, so the move does not wait for it: its kernel still has the last state that it was sent",
    },
  ]);
  const refused = [
    await call(controller, 409, "PUT", "/v1/vms/new", vm("c", 9)),
    await call(controller, 409, "PATCH", "/v1/vms/web-1", { host: "c" }),
    await call(controller, 409, "POST", "/v1/vms/web-1/move", { host: "c" }),
    await call(controller, 409, "POST", "/v1/vms/web-1/prepare", { host: "c" }),
  ];
  expect(refused.map(problemType)).toEqual(Array(4).fill("host-down"));
  expect(refused[0].detail).toContain('PATCH /v1/hosts/c {"down": false}');
  // Existing VMs may be changed, and may leave.
  await call(controller, 200, "PATCH", "/v1/vms/web-3", { labels: { tier: "x" } });
  expect(await call(controller, 200, "PUT", "/v1/hosts/c", { vtep: "192.0.2.33" })).toMatchObject({ down: true });
  const up = await call(controller, 200, "PATCH", "/v1/hosts/c", { down: false });
  expect(up.down).toBeUndefined();
  await call(controller, 200, "POST", "/v1/vms/web-1/move", { host: "c" });
});

test("a commit to a host that was marked down after the prepare is refused", async () => {
  const { controller } = await fleet();
  await call(controller, 200, "POST", "/v1/vms/web-1/prepare", { host: "b" });
  await call(controller, 200, "PATCH", "/v1/hosts/b", { down: true });
  expect(problemType(await call(controller, 409, "POST", "/v1/vms/web-1/commit", {}))).toBe("host-down");
  await call(controller, 200, "POST", "/v1/vms/web-1/abort", {});
});

test("all VMs of a dead host move in one revision, spread over the others, and the holders confirm", async () => {
  const { controller, a, b, c } = await crowded(301);
  follow(a);
  follow(b);
  c.close();
  await call(controller, 200, "PATCH", "/v1/hosts/c", { down: true });
  const { revision } = await call(controller, 200, "GET", "/readyz");
  const told = await evacuate(controller, { to: ["a", "b"], wait: true });
  expect(told).toMatchObject({ host: "c", revision: revision + 1, confirmed: 2, of: 3, unconfirmed: [{ host: "c" }] });
  expect(told.moved).toHaveLength(302);
  for (const host of ["a", "b"]) {
    // web-1 was on a, web-2 on b.
    const { vms } = await call(controller, 200, "GET", `/v1/vms?host=${host}&limit=1000`);
    expect(vms).toHaveLength(152);
    expect(told.moved.filter(({ to }: { to: string }) => to === host)).toHaveLength(151);
  }
  expect(await call(controller, 200, "GET", "/readyz")).toMatchObject({ revision: revision + 1 });
  expect(await evacuate(controller, { to: ["a"] })).toMatchObject({ moved: [], of: 0, revision: revision + 1 });
  await call(controller, 204, "DELETE", "/v1/hosts/c");
});

test("a dry run of an evacuation is the plan that is then carried out", async () => {
  const { controller } = await crowded(7);
  const plan = await evacuate(controller, { to: ["b", "a"] }, 200, "?dryRun=true");
  expect(plan).toMatchObject({ dryRun: true, confirmed: 0, of: 3 });
  expect(await call(controller, 200, "GET", "/v1/vms?host=c")).toMatchObject({ vms: { length: 8 } });
  const { moved } = await evacuate(controller, { to: ["b", "a"] });
  expect(moved).toEqual(plan.moved);
});

test("the same request with the same key evacuates once, If-Match refers to the host, and lines report each confirmation", async () => {
  const { controller, a, b, c } = await fleet();
  for (const agent of [a, b, c]) follow(agent);
  const path = "/v1/hosts/c/evacuate";
  const body = { to: ["a"], wait: true };
  expect((await controller.request("POST", path, body, { "if-match": '"1"' })).status).toBe(412);
  const headers = { "idempotency-key": "e1", accept: "application/x-ndjson" };
  const lines = async () =>
    (await controller.request("POST", path, body, headers)).body
      .trim()
      .split("\n")
      .map((line: string) => JSON.parse(line));
  const first = await lines();
  expect(first.map(({ type }: { type: string }) => type)).toEqual(["committed", "confirmed", "confirmed", "result"]);
  await call(controller, 200, "PATCH", "/v1/vms/web-3", { host: "b" });
  expect((await lines()).at(-1)).toMatchObject({ type: "result", moved: [{ vm: "web-3", to: "a" }], confirmed: 2 });
  expect(await call(controller, 200, "GET", "/v1/vms/web-3")).toMatchObject({ host: "b" });
});

test("an impossible evacuation is refused, and no VM has moved", async () => {
  const { controller } = await fleet();
  const refused = async (status: number, to: unknown) => problemType(await evacuate(controller, { to }, status));
  expect(await refused(422, ["a", "nowhere"])).toBe("unknown-reference");
  expect(await refused(400, ["a", "c"])).toBe("invalid-input");
  expect(await refused(400, [])).toBe("invalid-input");
  expect(await refused(400, ["a", "a"])).toBe("invalid-input");
  await call(controller, 200, "PATCH", "/v1/hosts/b", { down: true });
  expect(await refused(409, ["b"])).toBe("host-down");
  expect(problemType(await call(controller, 404, "POST", "/v1/hosts/z/evacuate", { to: ["a"] }))).toBe("not-found");
  expect(await call(controller, 200, "GET", "/v1/vms/web-3")).toMatchObject({ host: "c" });
});

test("force deletes a host with its VMs in one revision if it is marked down", async () => {
  const { controller, a } = await crowded(3);
  await call(controller, 200, "POST", "/v1/vms/web-1/prepare", { host: "c" });
  const refusal = await call(controller, 409, "DELETE", "/v1/hosts/c?force=true");
  expect(problemType(refusal)).toBe("in-use");
  expect(refusal.detail).toContain("mark it down first");
  await call(controller, 200, "PATCH", "/v1/hosts/c", { down: true });
  expect(problemType(await call(controller, 409, "DELETE", "/v1/hosts/c"))).toBe("in-use");
  await call(controller, 204, "DELETE", "/v1/hosts/c?force=true&dryRun=true");
  const { revision } = await call(controller, 200, "GET", "/readyz");
  await call(controller, 204, "DELETE", "/v1/hosts/c?force=true");
  expect(await call(controller, 200, "GET", "/readyz")).toMatchObject({ revision: revision + 1 });
  const { vms } = await call(controller, 200, "GET", "/v1/vms");
  expect(vms.map(({ name }: { name: string }) => name)).toEqual(["web-1", "web-2"]);
  expect(vms[0].preparedHost).toBeUndefined();
  await a.untilAll(() => a.isOpen);
});

test("marking, evacuating and deleting require a token for all networks, and are audited", async () => {
  const controller = await startSecured();
  await populate(controller.admin);
  const { token } = await controller.issue({ role: "operator", networks: ["blue"] });
  const narrowed = controller.as(token);
  expect((await narrowed.request("PATCH", "/v1/hosts/a", { down: true })).status).toBe(403);
  expect((await narrowed.request("POST", "/v1/hosts/a/evacuate", { to: ["b"] })).status).toBe(403);
  expect((await narrowed.request("DELETE", "/v1/hosts/a?force=true")).status).toBe(403);
  const operator = controller.as((await controller.issue({ role: "operator" })).token);
  await call(operator, 200, "PATCH", "/v1/hosts/a", { down: true });
  await call(operator, 200, "POST", "/v1/hosts/a/evacuate", { to: ["b"] });
  await call(operator, 204, "DELETE", "/v1/hosts/a?force=true");
  const { entries } = await call(controller.admin, 200, "GET", "/v1/audit?limit=1000");
  expect(entries.slice(-3).map(({ what }: { what: string[] }) => what)).toEqual([
    ["host.updated hosts/a"],
    ["vm.updated vms/web-1"],
    ["host.deleted hosts/a"],
  ]);
});

test("a fleet with a host that is down is exported and imported unchanged", async () => {
  const { controller } = await fleet();
  await call(controller, 200, "PATCH", "/v1/hosts/c", { down: true });
  const { body } = await controller.request("GET", "/v1/export");
  const other = await startController();
  const answer = await other.request("POST", "/v1/import", body, { "content-type": "application/x-ndjson" });
  expect(answer.status).toBe(200);
  expect(await call(other, 200, "GET", "/v1/hosts/c")).toMatchObject({ down: true });
  expect(await call(other, 200, "GET", "/v1/vms/web-3")).toMatchObject({ host: "c" });
});
