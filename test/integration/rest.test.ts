// REST as its clients see it: accepted requests. rest-refusals.test.ts has the refused ones.
import { describe, expect, test } from "vitest";
import { call, populate, startController, startSecured, vm } from "./harness.ts";

describe("networks", () => {
  test("are created, read, listed, replaced and deleted", async () => {
    const controller = await startController();
    const created = await controller.request("PUT", "/v1/networks/blue", { vni: 100, subnets: ["10.20.1.0/24"] });
    expect(created.status).toBe(201);
    expect(created.headers.get("location")).toBe("/v1/networks/blue");
    expect(created.body).toMatchObject({ name: "blue", vni: 100, subnets: ["10.20.1.0/24"], mtu: 1450, revision: 1 });
    expect(await call(controller, 200, "GET", "/v1/networks/blue")).toEqual(created.body);
    expect(await call(controller, 200, "GET", "/v1/networks")).toEqual({ networks: [created.body] });
    const changed = await call(controller, 200, "PUT", "/v1/networks/blue", {
      name: "blue",
      vni: 100,
      subnets: ["10.20.1.0/24", "fd00:20::/64"],
      mtu: 8950,
    });
    expect(changed).toMatchObject({ uid: created.body.uid, mtu: 8950, revision: 2 });
    await call(controller, 204, "DELETE", "/v1/networks/blue");
    await call(controller, 404, "GET", "/v1/networks/blue");
  });

  test("written unchanged make no revision", async () => {
    const controller = await startController();
    const body = { vni: 100, subnets: ["10.20.1.0/24"], mtu: 1450 };
    const created = await call(controller, 201, "PUT", "/v1/networks/blue", body);
    expect(await call(controller, 200, "PUT", "/v1/networks/blue", body)).toEqual(created);
  });

  test("deleted and created again have a new uid", async () => {
    const controller = await startController();
    const body = { vni: 100, subnets: ["10.20.1.0/24"] };
    const first = await call(controller, 201, "PUT", "/v1/networks/blue", body);
    await call(controller, 204, "DELETE", "/v1/networks/blue");
    const second = await call(controller, 201, "PUT", "/v1/networks/blue", body);
    expect(second.uid).not.toBe(first.uid);
  });

  test("addresses are returned in their canonical form", async () => {
    const controller = await startController();
    const { subnets } = await call(controller, 201, "PUT", "/v1/networks/blue", {
      vni: 1,
      subnets: ["FD00:0020:0::/64"],
    });
    expect(subnets).toEqual(["fd00:20::/64"]);
  });
});

describe("hosts", () => {
  test("show their agent's status beside the registered values", async () => {
    const controller = await startController();
    const host = await call(controller, 201, "PUT", "/v1/hosts/a", { vtep: "192.0.2.1" });
    expect(host).toMatchObject({ name: "a", vtep: "192.0.2.1", port: 4789, origin: "operator" });
    expect(host).toMatchObject({ connected: false, lastSeen: null, appliedRevision: null, problems: [] });
    expect(await call(controller, 200, "GET", "/v1/hosts")).toEqual({ hosts: [host] });
    await call(controller, 204, "DELETE", "/v1/hosts/a");
    await call(controller, 404, "GET", "/v1/hosts/a");
  });
});

describe("VMs", () => {
  test("are registered with POST, also on a host whose agent never connected", async () => {
    const controller = await startController();
    await populate(controller);
    const answer = await controller.request("POST", "/v1/vms", { name: "db", ...vm("c", 3) });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("location")).toBe("/v1/vms/db");
    expect(answer.body).toMatchObject({ name: "db", host: "c", hostConnected: false, interfaces: [{ name: "eth0" }] });
  });

  test("move with all their interfaces by a merge patch of the host", async () => {
    const controller = await startController();
    await populate(controller);
    const before = await call(controller, 200, "GET", "/v1/vms/web-1");
    const response = await fetch(`http://${controller.base}/v1/vms/web-1`, {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body: JSON.stringify({ host: "c" }),
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ host: "c", uid: before.uid, interfaces: before.interfaces });
    const at = await call(controller, 200, "GET", "/v1/resolve?vni=100&ip=10.20.1.1");
    expect(at).toMatchObject({ host: "c", vtep: "192.0.2.3", mac: "52:54:00:00:00:01", vm: "web-1" });
  });

  test("keep port and router, and accept link-local addresses", async () => {
    const controller = await startController();
    await populate(controller);
    const interfaces = [
      {
        name: "lan",
        network: "blue",
        mac: "52-54-00-00-00-0A",
        ips: ["10.20.1.10", "fe80::1"],
        port: "tap0",
        router: true,
      },
    ];
    const { interfaces: stored } = await call(controller, 201, "PUT", "/v1/vms/gw", { host: "a", interfaces });
    expect(stored).toEqual([{ ...interfaces[0], mac: "52:54:00:00:00:0a" }]);
  });

  test("can be listed and deleted, which frees their addresses", async () => {
    const controller = await startController();
    await populate(controller);
    const { vms } = await call(controller, 200, "GET", "/v1/vms");
    expect(vms.map(({ name }: { name: string }) => name)).toEqual(["web-1", "web-2"]);
    await call(controller, 204, "DELETE", "/v1/vms/web-1");
    await call(controller, 404, "GET", "/v1/resolve?vni=100&ip=10.20.1.1");
    await call(controller, 201, "PUT", "/v1/vms/other", vm("c", 1));
  });

  test("overlap freely between networks", async () => {
    const controller = await startController();
    await populate(controller);
    await call(controller, 201, "PUT", "/v1/vms/red-1", vm("b", 1, "red"));
    expect(await call(controller, 200, "GET", "/v1/resolve?vni=100&ip=10.20.1.1")).toMatchObject({ vm: "web-1" });
    expect(await call(controller, 200, "GET", "/v1/resolve?vni=200&ip=10.20.1.1")).toMatchObject({ vm: "red-1" });
  });

  test("are independent: one refusal does not affect the others sent at the same time", async () => {
    const controller = await startController();
    await populate(controller);
    const bodies = [vm("a", 3), vm("a", 1), vm("nowhere", 5), vm("b", 4)];
    const answers = await Promise.all(bodies.map((body, i) => controller.request("PUT", `/v1/vms/new-${i}`, body)));
    expect(answers.map(({ status }) => status)).toEqual([201, 409, 422, 201]);
  });
});

describe("resolve", () => {
  test("answers for an IP and for a MAC, with the latest revision that the answer derives from", async () => {
    const controller = await startController();
    await populate(controller);
    const byIp = await call(controller, 200, "GET", "/v1/resolve?vni=100&ip=fd00:20:0::1");
    const { revision } = await call(controller, 200, "GET", "/v1/vms/web-1");
    const expected = {
      vni: 100,
      mac: "52:54:00:00:00:01",
      vtep: "192.0.2.1",
      port: 4789,
      host: "a",
      vm: "web-1",
      revision,
    };
    expect(byIp).toEqual({ ...expected, ip: "fd00:20::1" });
    expect(await call(controller, 200, "GET", "/v1/resolve?vni=100&mac=52:54:00:00:00:01")).toEqual(expected);
    const moved = await call(controller, 200, "PUT", "/v1/hosts/a", { vtep: "192.0.2.9", port: 8472 });
    expect(await call(controller, 200, "GET", "/v1/resolve?vni=100&mac=52:54:00:00:00:01")).toEqual({
      ...expected,
      vtep: "192.0.2.9",
      port: 8472,
      revision: moved.revision,
    });
  });
});

test("every answer carries the headers that restrict browsers, and how many requests are left", async () => {
  const controller = await startController();
  for (const [status, path] of [
    [200, "/livez"],
    [200, "/v1/vms"],
    [404, "/v1/nothing"],
    [404, "/v1/vms/none"],
  ] as const) {
    const answer = await controller.request("GET", path);
    expect(answer.status).toBe(status);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-security-policy": expect.stringMatching(/^default-src 'self';.*script-src 'self';.*upgrade-insecure/),
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "origin-agent-cluster": "?1",
      "referrer-policy": "no-referrer",
      "strict-transport-security": "max-age=31536000; includeSubDomains",
      "x-content-type-options": "nosniff",
      "x-dns-prefetch-control": "off",
      "x-download-options": "noopen",
      "x-frame-options": "SAMEORIGIN",
      "x-permitted-cross-domain-policies": "none",
      "x-xss-protection": "0",
    });
  }
  const shown = { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4999", "x-ratelimit-reset": "10" };
  const { admin } = await startSecured();
  expect(Object.fromEntries((await admin.request("GET", "/v1/vms")).headers)).toMatchObject(shown);
});
