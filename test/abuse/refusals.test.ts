// Refusals that a tenant can provoke: they never contain a name of others that the request did not contain itself.
import { expect, test } from "vitest";
import { type Controller, call, populate, startSecured } from "../integration/harness.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const hidden = /secret/;

/** In addition to the usual inventory, resources of others, all of them named "secret-…"; the tenant has blue alone. */
async function tenant() {
  const secured = await startSecured();
  const { admin } = secured;
  await populate(admin);
  const put = (path: string, body: object) => call(admin, 201, "PUT", path, body);
  await put("/v1/networks/secret-net", { vni: 777, subnets: ["10.20.1.0/24"] });
  await put("/v1/hosts/secret-host", { vtep: "192.0.2.77" });
  await put("/v1/hosts/six", { vtep: "2001:db8::6" });
  await put("/v1/hosts/down", { vtep: "192.0.2.66", down: true });
  const interfaces = [{ network: "secret-net", port: "tap1", mac: "52:54:00:00:00:01", ips: ["10.20.1.1"] }];
  await put("/v1/vms/secret-vm", { host: "a", interfaces });
  await put("/v1/vms/taken", { host: "secret-host", interfaces: [{ network: "secret-net" }] });
  await put("/v1/vms/secret-inner", { host: "a", interfaces: [{ network: "secret-net", parent: "secret-vm/eth0" }] });
  await put("/v1/vms/shared", {
    host: "a",
    interfaces: [{ network: "blue" }, { network: "secret-net", name: "secret-eth" }],
  });
  await call(admin, 200, "POST", "/v1/vms/taken/prepare", { host: "c" });
  const blue = secured.as((await secured.issue({ role: "operator", networks: ["blue"], quota: { vms: 5 } })).token);
  return { blue, admin };
}

const on = (host: string, more: object = {}) => ({ host, interfaces: [{ network: "blue", ...more }] });

type Attempt = [
  status: number,
  method: string,
  path: string,
  body?: object | undefined,
  headers?: Record<string, string>,
];

/** Each with the status that shows that it was refused for the reason that is meant. */
const attempts: readonly Attempt[] = [
  [409, "PUT", "/v1/networks/blue", { vni: 777, subnets: ["10.20.1.0/24"] }],
  [404, "PUT", "/v1/networks/other", { vni: 778, subnets: ["10.20.1.0/24"] }],
  [409, "PATCH", "/v1/networks/blue", { vni: 778 }],
  [409, "PATCH", "/v1/networks/blue", { subnets: ["10.99.0.0/24"] }],
  [409, "DELETE", "/v1/networks/blue"],
  [412, "DELETE", "/v1/networks/blue", undefined, { "if-match": '"999"' }],
  [409, "POST", "/v1/vms", { name: "taken", ...on("a") }],
  [409, "PUT", "/v1/vms/taken", on("a")],
  [409, "PUT", "/v1/vms/taken", on("a"), { "if-none-match": "*" }],
  [412, "PUT", "/v1/vms/taken", on("a"), { "if-match": "*" }],
  [404, "PATCH", "/v1/vms/taken", { host: "a" }],
  [404, "DELETE", "/v1/vms/taken"],
  [404, "POST", "/v1/vms/taken/move", { host: "b" }],
  [404, "POST", "/v1/vms/taken/commit", {}],
  [404, "POST", "/v1/vms/taken/abort", {}],
  [404, "GET", "/v1/vms/taken/holders"],
  [409, "PUT", "/v1/vms/x", on("a", { port: "tap1" })],
  [409, "PUT", "/v1/vms/x", on("a", { mac: "52:54:00:00:00:01" })],
  [409, "PUT", "/v1/vms/x", on("a", { ips: ["10.20.1.1"] })],
  [422, "PUT", "/v1/vms/x", on("a", { ips: ["10.99.0.1"] })],
  [422, "PUT", "/v1/vms/x", on("nowhere")],
  [409, "PUT", "/v1/vms/x", on("down")],
  [409, "PUT", "/v1/vms/x", on("six")],
  [422, "PUT", "/v1/vms/x", { host: "a", interfaces: [{ network: "guess" }] }],
  [422, "PUT", "/v1/vms/x", { host: "a", interfaces: [], ownerNetworks: ["guess"] }],
  [422, "PUT", "/v1/vms/x", on("a", { parent: "guess/eth0" })],
  [403, "PUT", "/v1/vms/x", on("a", { parent: "shared/eth0" })],
  [403, "PATCH", "/v1/vms/shared", { labels: { tier: "x" } }],
  [403, "DELETE", "/v1/vms/shared"],
  [403, "PUT", "/v1/vms/shared", on("a")],
  [403, "POST", "/v1/vms/shared/move", { host: "b" }],
  [403, "POST", "/v1/vms/shared/prepare", { host: "b" }],
  [409, "POST", "/v1/vms/shared/commit", {}],
  [409, "POST", "/v1/vms/web-1/commit", {}],
  [409, "POST", "/v1/vms/web-1/prepare", { host: "a" }],
  [404, "GET", "/v1/hosts/guess"],
  [403, "POST", "/v1/hosts/a/evacuate", { to: ["b"] }],
  [403, "DELETE", "/v1/hosts/a"],
  [403, "GET", "/v1/tokens"],
  [404, "GET", "/v1/topology?network=guess"],
  [404, "GET", "/v1/resolve?vni=777&ip=10.20.1.1"],
];

test.each<Attempt>(attempts)(
  "%i for %s %s %j reveals nothing about other tenants",
  async (status, method, path, body, headers = {}) => {
    const { blue, admin } = await tenant();
    const before = await call(admin, 200, "GET", "/v1/export");
    const send = (at: string) => blue.request(method, at, body, headers);
    const answer = await send(path);
    expect([answer.status, JSON.stringify(answer.body)]).toEqual([status, expect.not.stringMatching(hidden)]);
    // A dry run reveals the same, and no more.
    if (method !== "GET" && !path.endsWith("/tokens")) {
      const dry = await send(`${path}?dryRun=true`);
      expect([dry.status, dry.body.detail]).toEqual([status, answer.body.detail]);
    }
    expect(await call(admin, 200, "GET", "/v1/export")).toBe(before);
  },
);

test("an import that breaks every rule reveals nothing about other tenants", async () => {
  const { blue } = await tenant();
  const vms = attempts.flatMap(([, method, path, body], i) =>
    method === "PUT" && path === "/v1/vms/x" ? [{ kind: "vm", name: `x-${i}`, ...body }] : [],
  );
  const send = (lines: readonly object[]) =>
    blue.request("POST", "/v1/import", lines.map((line) => JSON.stringify(line)).join("\n"), ndjson);
  const beyond = await send([...vms, { kind: "vm", name: "taken", ...on("a") }]);
  // Changes within the scope are checked only if none is beyond it.
  const within = await send(vms.filter((vm) => !JSON.stringify(vm).includes("guess")));
  for (const { status, body } of [beyond, within]) {
    expect([status, JSON.stringify(body)]).toEqual([422, expect.not.stringMatching(hidden)]);
    expect(body.errors.length).toBeGreaterThan(1);
  }
});

test("the answer to a successful change reveals nothing about other tenants either", async () => {
  const { blue } = await tenant();
  const answers = async (controller: Controller) => [
    await call(controller, 201, "PUT", "/v1/vms/x?wait=ready&timeoutMs=0", on("c")),
    await call(controller, 200, "POST", "/v1/vms/x/move", { host: "secret-host", wait: true, timeoutMs: 0 }),
    await call(controller, 200, "POST", "/v1/vms/x/move", { host: "b" }),
  ];
  const [put, there, back] = await answers(blue);
  expect(JSON.stringify(put)).not.toMatch(hidden);
  // Only the host that the request named, without its content.
  expect(JSON.stringify([there, back]).replaceAll("secret-host", "")).not.toMatch(hidden);
});
