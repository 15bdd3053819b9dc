// How every resource is written, beside its own fields: preconditions, retries, patches, dry runs, labels.
import { describe, expect, test } from "vitest";
import { type Controller, call, populate, problemType, startController, vm } from "./harness.ts";

/** As `request`, with headers. */
async function send(
  controller: Controller,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
) {
  const response = await fetch(`http://${controller.base}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

const revisionOf = async (controller: Controller) => (await call(controller, 200, "GET", "/readyz")).revision;

describe("preconditions", () => {
  test.each(["networks/blue", "hosts/a", "vms/web-1"])("%s: the ETag is the revision", async (path) => {
    const controller = await startController();
    await populate(controller);
    const { headers, body } = await send(controller, "GET", `/v1/${path}`, undefined);
    expect(headers.get("etag")).toBe(`"${body.revision}"`);
    for (const tag of [`"${body.revision}"`, `W/"${body.revision}"`, `"1", "${body.revision}"`, "*"]) {
      const again = await send(controller, "GET", `/v1/${path}`, undefined, { "if-none-match": tag });
      expect([again.status, again.body, again.headers.get("etag")]).toEqual([304, undefined, `"${body.revision}"`]);
    }
    const other = await send(controller, "GET", `/v1/${path}`, undefined, { "if-none-match": '"9999"' });
    expect(other.status).toBe(200);
  });

  test.each([
    ["PUT", "networks/blue", { vni: 100, subnets: ["10.20.1.0/24", "fd00:20::/64"], mtu: 1400 }],
    ["PATCH", "networks/blue", { mtu: 1400 }],
    ["PUT", "hosts/c", { vtep: "192.0.2.33" }],
    ["PATCH", "hosts/c", { vtep: "192.0.2.33" }],
    ["DELETE", "hosts/c", undefined],
    ["PUT", "vms/web-1", vm("c", 1)],
    ["PATCH", "vms/web-1", { host: "c" }],
    ["DELETE", "vms/web-1", undefined],
  ])("%s %s: If-Match with another revision is 412 and names both", async (method, path, body) => {
    const controller = await startController();
    await populate(controller);
    const { revision } = await call(controller, 200, "GET", `/v1/${path}`);
    const before = await revisionOf(controller);
    const refused = await send(controller, method, `/v1/${path}`, body, { "if-match": `"${revision + 100}"` });
    expect([refused.status, problemType(refused.body)]).toEqual([412, "precondition-failed"]);
    expect(refused.body.detail).toContain(`revision ${revision}`);
    expect(refused.body.detail).toContain(`revision ${revision + 100}`);
    expect(await revisionOf(controller)).toBe(before);
    const done = await send(controller, method, `/v1/${path}`, body, { "if-match": `"7777", "${revision}"` });
    expect(done.status).toBeLessThan(300);
  });

  test("of many writers that have read the same revision, one succeeds", async () => {
    const controller = await startController();
    await populate(controller);
    const { revision } = await call(controller, 200, "GET", "/v1/vms/web-1");
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        send(controller, "PATCH", "/v1/vms/web-1", { description: `${i}` }, { "if-match": `"${revision}"` }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
  });

  test("If-None-Match: * creates and never replaces; If-Match: * replaces and never creates", async () => {
    const controller = await startController();
    await populate(controller);
    const absent = { "if-none-match": "*" };
    expect((await send(controller, "PUT", "/v1/vms/web-1", vm("c", 1), absent)).status).toBe(412);
    expect((await send(controller, "PUT", "/v1/vms/new", vm("c", 3), absent)).status).toBe(201);
    const present = { "if-match": "*" };
    expect((await send(controller, "PUT", "/v1/vms/newer", vm("c", 4), present)).status).toBe(412);
    expect((await send(controller, "PUT", "/v1/vms/new", vm("a", 3), present)).status).toBe(200);
  });

  test.each([
    ["if-match", 'W/"5"'],
    ["if-match", "5"],
    ["if-match", ""],
    ["if-none-match", '"5"'],
  ])("%s: %s is refused, not ignored", async (name, value) => {
    const controller = await startController();
    await populate(controller);
    const { status, body } = await send(controller, "PUT", "/v1/hosts/a", { vtep: "192.0.2.1" }, { [name]: value });
    expect([status, body.errors[0].pointer, body.errors[0].in]).toEqual([400, `/${name}`, "header"]);
  });
});

describe("an idempotency key", () => {
  const key = { "idempotency-key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"' };

  test("makes one change of any number of requests, concurrent or consecutive", async () => {
    const controller = await startController();
    await populate(controller);
    const body = { name: "db", host: "c", interfaces: [{ network: "blue" }] };
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(controller, "POST", "/v1/vms", body, key)));
    answers.push(
      await send(controller, "POST", "/v1/vms", body, { "idempotency-key": key["idempotency-key"].slice(1, -1) }),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get("idempotency-replayed") === "true")).toHaveLength(10);
    expect(await revisionOf(controller)).toBe(8);
  });

  test("is remembered across a restart, with the answer", async () => {
    const first = await startController();
    await populate(first);
    const body = { name: "db", host: "c", interfaces: [{ network: "blue" }] };
    const answer = await send(first, "POST", "/v1/vms", body, key);
    await first.stop();
    const second = await startController({ db: first.db });
    const again = await send(second, "POST", "/v1/vms", { interfaces: body.interfaces, host: "c", name: "db" }, key);
    expect([again.status, again.body]).toEqual([201, answer.body]);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
  });

  test("of another request is refused, and a refused request stores none", async () => {
    const controller = await startController();
    await populate(controller);
    const taken = await send(controller, "POST", "/v1/vms", { name: "web-1", ...vm("c", 9) }, key);
    expect([taken.status, problemType(taken.body)]).toEqual([409, "name-taken"]);
    expect((await send(controller, "POST", "/v1/vms", { name: "db", ...vm("c", 9) }, key)).status).toBe(201);
    const other = await send(controller, "POST", "/v1/vms", { name: "db2", ...vm("c", 8) }, key);
    expect([other.status, problemType(other.body)]).toEqual([422, "idempotency-key-reused"]);
    await call(controller, 404, "GET", "/v1/vms/db2");
  });

  test("that is malformed is refused", async () => {
    const controller = await startController();
    await populate(controller);
    const answer = await send(
      controller,
      "POST",
      "/v1/vms",
      { name: "db", ...vm("c", 9) },
      { "idempotency-key": '""' },
    );
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, "/idempotency-key"]);
  });
});

describe("labels and description", () => {
  test("are stored on every resource, merged key by key, and make a revision", async () => {
    const first = await startController();
    await populate(first);
    for (const path of ["networks/blue", "hosts/a", "vms/web-1"]) {
      const set = { labels: { b: "2", a: "1" }, description: "for people" };
      expect(await call(first, 200, "PATCH", `/v1/${path}`, set)).toMatchObject(set);
      const merged = await call(first, 200, "PATCH", `/v1/${path}`, { labels: { a: null, c: "" }, description: null });
      expect(merged).toMatchObject({ labels: { b: "2", c: "" }, description: "" });
      expect(merged.labels.a).toBeUndefined();
    }
    await first.stop();
    const second = await startController({ db: first.db });
    expect(await call(second, 200, "GET", "/v1/hosts/a")).toMatchObject({
      labels: { b: "2", c: "" },
      vtep: "192.0.2.1",
    });
  });

  test.each([
    [{ labels: { "-a": "x" } }, "/labels/-a"],
    [{ labels: { "a/b/c": "x" } }, "/labels/a~1b~1c"],
    [{ labels: { a: "no spaces" } }, "/labels/a"],
    [{ labels: { a: 1 } }, "/labels/a"],
    [{ labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) }, "/labels"],
    [{ description: "x".repeat(1_025) }, "/description"],
  ])("%j is refused", async (patch, pointer) => {
    const controller = await startController();
    await populate(controller);
    const { status, body } = await controller.request("PATCH", "/v1/hosts/a", patch);
    expect([status, body.errors[0].pointer]).toEqual([400, pointer]);
  });
});

describe("a merge patch", () => {
  test("changes one interface by its name, adds one, removes one, and leaves the others unchanged", async () => {
    const controller = await startController();
    await populate(controller);
    const path = "/v1/vms/web-1";
    const before = await call(controller, 200, "GET", path);
    const added = await call(controller, 200, "PATCH", path, {
      interfaces: { eth1: { network: "red", port: "tap6" } },
    });
    expect(added.interfaces).toMatchObject([before.interfaces[0], { name: "eth1", network: "red", port: "tap6" }]);
    const changed = await call(controller, 200, "PATCH", path, { interfaces: { eth1: { port: "tap7" } } });
    expect(changed.interfaces).toEqual([added.interfaces[0], { ...added.interfaces[1], port: "tap7" }]);
    const plain = await call(controller, 200, "PATCH", path, { interfaces: { eth1: { port: null } } });
    expect(plain.interfaces[1].port).toBeUndefined();
    const anew = await call(controller, 200, "PATCH", path, { interfaces: { eth1: { mac: null, ips: null } } });
    expect(anew.interfaces[1].mac).not.toBe(plain.interfaces[1].mac);
    expect(anew.interfaces[1].ips).not.toEqual(plain.interfaces[1].ips);
    const removed = await call(controller, 200, "PATCH", path, { interfaces: { eth1: null } });
    expect(removed.interfaces).toEqual(before.interfaces);
  });

  test.each([
    [{ interfaces: { eth9: { port: "tap1" } } }, "/interfaces/eth9/network"],
    [{ interfaces: { eth0: { mac: "nonsense" } } }, "/interfaces/eth0/mac"],
    [{ interfaces: { eth0: { colour: 1 } } }, "/interfaces/eth0/colour"],
    [{ interfaces: { "a b": { network: "blue" } } }, "/interfaces/a b"],
    [{ interfaces: [{ mac: "52:54:00:00:00:01" }] }, "/interfaces/0/network"],
    [{ interfaces: 7 }, "/interfaces"],
    [{ interfaces: { eth0: 7 } }, "/interfaces/eth0"],
  ])("%j is refused with a pointer", async (patch, pointer) => {
    const controller = await startController();
    await populate(controller);
    const { status, body } = await controller.request("PATCH", "/v1/vms/web-1", patch);
    expect([status, body.errors.map((each: { pointer: string }) => each.pointer)]).toEqual([
      400,
      expect.arrayContaining([pointer]),
    ]);
  });
});

describe("a dry run", () => {
  test.each([
    ["POST", "/v1/vms", { name: "db", ...vm("c", 3) }],
    ["PUT", "/v1/networks/green", { vni: 300, subnets: ["10.9.0.0/16"] }],
    ["PATCH", "/v1/hosts/a", { vtep: "192.0.2.77" }],
    ["DELETE", "/v1/vms/web-1", undefined],
  ])("of %s %s answers like the real request, says so, and changes nothing", async (method, path, body) => {
    const controller = await startController();
    await populate(controller);
    const before = await revisionOf(controller);
    const dry = await send(controller, method, `${path}?dryRun=true`, body, { "idempotency-key": "k" });
    expect(dry.headers.get("dry-run")).toBe("true");
    expect(dry.headers.get("etag")).toBeNull();
    expect(dry.body?.dryRun).toBe(method === "DELETE" ? undefined : true);
    expect(await revisionOf(controller)).toBe(before);
    const real = await send(controller, method, path, body, { "idempotency-key": "k" });
    expect([real.status, real.headers.get("dry-run")]).toEqual([dry.status, null]);
    expect(await revisionOf(controller)).toBe(before + 1);
  });

  test("is refused like the real request", async () => {
    const controller = await startController();
    await populate(controller);
    const { status, body } = await controller.request("PUT", "/v1/vms/x?dryRun=true", vm("c", 1));
    expect([status, problemType(body)]).toEqual([409, "address-taken"]);
    expect(body.detail).toContain('52:54:00:00:00:01 belongs to VM "web-1", interface "eth0" on host "a"');
  });
});
