// A tenant's share of common resources: hosts to place VMs on, VMs, addresses.
import { describe, expect, test } from "vitest";
import type { Quota, TokenInput } from "../../schema/rest/index.ts";
import { type Controller, call, populate, problemType, startSecured } from "../integration/harness.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const lines = (...vms: readonly object[]) => vms.map((vm) => JSON.stringify({ kind: "vm", ...vm })).join("\n");
type Answer = Awaited<ReturnType<Controller["request"]>>;
const told = ({ status, body }: Answer) => [status, problemType(body)];

/** The usual inventory, with web-1 and web-2 on hosts a and b in blue, and an operator of blue. */
async function tenant(more: Partial<TokenInput>, networks = ["blue"]) {
  const secured = await startSecured();
  await populate(secured.admin);
  const { token, id } = await secured.issue({ role: "operator", networks, ...more });
  return { ...secured, id, blue: secured.as(token) };
}

describe("an operator whose token names hosts", () => {
  /** Every request that places a VM, on `host`; m is a VM of blue on host a. */
  const placings: Readonly<Record<string, (caller: Controller, host: string) => Promise<Answer>>> = {
    POST: ({ request }, host) => request("POST", "/v1/vms", { name: "x", host, interfaces: [{ network: "blue" }] }),
    "POST as a dry run": ({ request }, host) =>
      request("POST", "/v1/vms?dryRun=true", { name: "x", host, interfaces: [{ network: "blue" }] }),
    "PUT of a new VM": ({ request }, host) => request("PUT", "/v1/vms/x", { host, interfaces: [{ network: "blue" }] }),
    "PUT without interfaces": ({ request }, host) => request("PUT", "/v1/vms/x", { host, interfaces: [] }),
    "PUT of a known VM": ({ request }, host) =>
      request("PUT", "/v1/vms/m", { host, interfaces: [{ network: "blue" }] }),
    PATCH: ({ request }, host) => request("PATCH", "/v1/vms/m", { host }),
    move: ({ request }, host) => request("POST", "/v1/vms/m/move", { host }),
    "move as a dry run": ({ request }, host) => request("POST", "/v1/vms/m/move?dryRun=true", { host }),
    prepare: ({ request }, host) => request("POST", "/v1/vms/m/prepare", { host }),
    import: ({ request }, host) =>
      request("POST", "/v1/import", lines({ name: "x", host, interfaces: [{ network: "blue" }] }), ndjson),
    "import with what else would be refused": ({ request }, host) =>
      request(
        "POST",
        "/v1/import",
        lines(
          { name: "x", host, interfaces: [{ network: "blue", port: "tap1" }] },
          { name: "y", host, interfaces: [{ network: "blue", ips: ["10.20.1.1"] }] },
        ),
        ndjson,
      ),
  };

  test.each(Object.entries(placings))("learns nothing about other hosts through %s", async (_, place) => {
    const { admin, blue } = await tenant({ hosts: ["a"] });
    await call(admin, 201, "PUT", "/v1/vms/m", { host: "a", interfaces: [{ network: "blue" }] });
    const host = (name: string, body: object) => call(admin, 201, "PUT", `/v1/hosts/${name}`, body);
    await host("down", { vtep: "192.0.2.8", down: true });
    await host("other-family", { vtep: "2001:db8::8" });
    await host("taken", { vtep: "192.0.2.9" });
    await call(admin, 201, "PUT", "/v1/vms/r", { host: "taken", interfaces: [{ network: "red", port: "tap1" }] });
    const absent = await place(blue, "absent");
    expect(absent.status).toBe(422);
    for (const name of ["b", "c", "down", "other-family", "taken"]) {
      const { status, body } = await place(blue, name);
      expect({ status, body: JSON.parse(JSON.stringify(body).replaceAll(`\\"${name}\\"`, '\\"absent\\"')) }).toEqual({
        status: absent.status,
        body: absent.body,
      });
    }
    const there = await place(blue, "a");
    expect(
      there.status === 422 ? there.body.errors.map(({ type }: { type: string }) => type) : there.status,
    ).not.toContain("urn:nearmiss:problem:unknown-reference");
  });

  test("sees these hosts, and otherwise only hosts that run its VMs", async () => {
    const { blue, admin } = await tenant({ hosts: ["c"] });
    await call(admin, 201, "PUT", "/v1/hosts/d", { vtep: "192.0.2.4" });
    const { hosts } = await call(blue, 200, "GET", "/v1/hosts");
    expect(hosts.map(({ name }: { name: string }) => name)).toEqual(["a", "b", "c"]);
    await call(blue, 404, "GET", "/v1/hosts/d");
    await call(blue, 201, "PUT", "/v1/vms/x", { host: "c", interfaces: [{ network: "blue" }] });
  });

  test("changes VMs on hosts where others have placed them, and cannot move them back there", async () => {
    const { blue } = await tenant({ hosts: ["c"] });
    await call(blue, 200, "PATCH", "/v1/vms/web-1", { labels: { tier: "x" } });
    await call(blue, 200, "POST", "/v1/vms/web-1/move", { host: "c" });
    expect(told(await blue.request("POST", "/v1/vms/web-1/move", { host: "a" }))).toEqual([422, "unknown-reference"]);
  });

  test("completes and aborts migrations that others have prepared", async () => {
    const { blue, admin } = await tenant({ hosts: ["c"] });
    await call(admin, 200, "POST", "/v1/vms/web-1/prepare", { host: "b" });
    await call(blue, 200, "POST", "/v1/vms/web-1/commit", {});
  });
});

describe("a quota", () => {
  const vm = (ips: readonly string[] = [], host = "a") => ({ host, interfaces: [{ network: "blue", ips }] });

  test.each<[string, Quota, (blue: Controller) => Promise<Answer>, string]>([
    [
      "VMs",
      { vms: 2 },
      ({ request }) => request("PUT", "/v1/vms/x", vm()),
      "3 VMs, and the token's quota is 2 (2 in use)",
    ],
    [
      "VMs without interfaces",
      { vms: 2 },
      ({ request }) => request("PUT", "/v1/vms/x", { host: "a", interfaces: [] }),
      "3 VMs, and the token's quota is 2 (2 in use)",
    ],
    [
      "VMs of an import together",
      { vms: 3 },
      ({ request }) => request("POST", "/v1/import", lines({ name: "x", ...vm() }, { name: "y", ...vm() }), ndjson),
      "4 VMs, and the token's quota is 3 (2 in use)",
    ],
    [
      "VMs on one host",
      { vmsPerHost: 1 },
      ({ request }) => request("POST", "/v1/vms/web-2/move", { host: "a" }),
      '2 VMs on host \\"a\\", and the token\'s quota is 1 (1 in use)',
    ],
    [
      "addresses that are named",
      { addresses: 4 },
      ({ request }) =>
        request("PATCH", "/v1/vms/web-1", { interfaces: { eth1: { network: "blue", ips: ["10.20.1.9"] } } }),
      "5 addresses, and the token's quota is 4 (4 in use)",
    ],
    [
      "addresses that are assigned",
      { addresses: 4 },
      ({ request }) => request("POST", "/v1/vms", { name: "x", host: "a", interfaces: [{ network: "blue" }] }),
      "6 addresses, and the token's quota is 4 (4 in use)",
    ],
    [
      "hosts",
      { hosts: 2 },
      ({ request }) => request("PUT", "/v1/vms/x", vm([], "c")),
      "3 hosts, and the token's quota is 2 (2 in use)",
    ],
    [
      "hosts that are prepared",
      { hosts: 2 },
      ({ request }) => request("POST", "/v1/vms/web-1/prepare", { host: "c" }),
      "3 hosts, and the token's quota is 2 (2 in use)",
    ],
  ])("of %s refuses what exceeds it, and states how much is in use", async (_, quota, attempt, why) => {
    const { blue, admin } = await tenant({ quota });
    const before = await call(admin, 200, "GET", "/v1/export");
    const answer = await attempt(blue);
    if (answer.status === 422) {
      expect(answer.body.errors.map(({ type }: { type: string }) => type)).toEqual([
        "urn:nearmiss:problem:quota-exceeded",
      ]);
    } else expect(told(answer)).toEqual([403, "quota-exceeded"]);
    expect(JSON.stringify(answer.body)).toContain(why);
    expect(await call(admin, 200, "GET", "/v1/export")).toBe(before);
  });

  test("does not block changes that use less or the same", async () => {
    const quota = { vms: 1, addresses: 1, hosts: 1, vmsPerHost: 0 };
    const { blue } = await tenant({ quota });
    await call(blue, 200, "PATCH", "/v1/vms/web-1", { labels: { tier: "x" } });
    await call(blue, 200, "PATCH", "/v1/vms/web-1", { interfaces: { eth0: { ips: ["10.20.1.1"] } } });
    await call(blue, 200, "PUT", "/v1/vms/web-1", { host: "a", interfaces: [] });
    await call(blue, 204, "DELETE", "/v1/vms/web-1");
    const swap = lines({ name: "web-2", delete: true }, { name: "web-3", ...vm([], "b") });
    expect((await blue.request("POST", "/v1/import", swap, ndjson)).status).toBe(200);
    expect(told(await blue.request("PUT", "/v1/vms/x", vm([], "b")))).toEqual([403, "quota-exceeded"]);
  });

  test("counts each of the token's networks separately, regardless of who created its resources", async () => {
    const { blue, admin } = await tenant({ quota: { vms: 4, addresses: 100 } }, ["blue", "red"]);
    const both = {
      host: "a",
      interfaces: [
        { network: "blue", ips: [] },
        { network: "red", ips: [] },
      ],
    };
    await call(admin, 201, "PUT", "/v1/vms/both", both);
    const { quota, used, hosts } = await call(blue, 200, "GET", "/v1/identity");
    expect({ quota, used, hosts }).toEqual({
      quota: { vms: 4, addresses: 100 },
      used: { vms: 4, addresses: 4, hosts: 3 },
      hosts: null,
    });
    expect(told(await blue.request("PUT", "/v1/vms/x", vm()))).toEqual([403, "quota-exceeded"]);
    await call(admin, 201, "PUT", "/v1/vms/x", vm());
  });

  test("is exact for requests that arrive together", async () => {
    const { blue } = await tenant({ quota: { vms: 5 } });
    const puts = Array.from({ length: 20 }, (_, i) => blue.request("PUT", `/v1/vms/x-${i}`, vm()));
    const statuses = (await Promise.all(puts)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(3);
    expect(statuses.filter((status) => status === 403)).toHaveLength(17);
  });

  test("and hosts are in the list of tokens and in the audit trail, and survive a restart", async () => {
    const bounds = { hosts: ["b", "a"], quota: { vms: 2, vmsPerHost: 1 } };
    const { admin, adminToken, id, db, stop } = await tenant(bounds);
    const kept = { id, hosts: ["a", "b"], quota: { vms: 2, vmsPerHost: 1 } };
    expect((await call(admin, 200, "GET", "/v1/tokens")).tokens).toContainEqual(expect.objectContaining(kept));
    const { entries } = await call(admin, 200, "GET", "/v1/audit");
    expect(JSON.stringify(entries)).toContain('for blue on a, b with quota {\\"vms\\":2,\\"vmsPerHost\\":1}');
    await stop();
    const again = (await startSecured({ db })).as(adminToken);
    expect((await call(again, 200, "GET", "/v1/tokens")).tokens).toContainEqual(expect.objectContaining(kept));
  });

  test.each<TokenInput>([
    { role: "operator", quota: { vms: 1 } },
    { role: "admin", hosts: ["a"] },
    { role: "viewer", networks: ["blue"], hosts: ["a"] },
    { role: "viewer", networks: ["blue"], quota: {} },
    { role: "operator", networks: ["blue"], quota: { vms: -1 } },
    { role: "operator", networks: ["blue"], hosts: [] },
  ])("is refused where it would limit nothing: %j", async (input) => {
    const { admin } = await startSecured();
    await call(admin, 400, "POST", "/v1/tokens", input);
  });
});
