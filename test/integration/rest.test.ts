// REST as its clients see it: what is accepted, and for every refusal of the inventory a request that provokes it.
import { describe, expect, test } from "vitest";
import { type Controller, call, populate, problemType, startController, vm } from "./harness.ts";

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

  test("written as they stand make no revision", async () => {
    const controller = await startController();
    const body = { vni: 100, subnets: ["10.20.1.0/24"], mtu: 1450 };
    const created = await call(controller, 201, "PUT", "/v1/networks/blue", body);
    expect(await call(controller, 200, "PUT", "/v1/networks/blue", body)).toEqual(created);
  });

  test("deleted and created again have another uid", async () => {
    const controller = await startController();
    const body = { vni: 100, subnets: ["10.20.1.0/24"] };
    const first = await call(controller, 201, "PUT", "/v1/networks/blue", body);
    await call(controller, 204, "DELETE", "/v1/networks/blue");
    const second = await call(controller, 201, "PUT", "/v1/networks/blue", body);
    expect(second.uid).not.toBe(first.uid);
  });

  test("addresses come back in their canonical form", async () => {
    const controller = await startController();
    const { subnets } = await call(controller, 201, "PUT", "/v1/networks/blue", {
      vni: 1,
      subnets: ["FD00:0020:0::/64"],
    });
    expect(subnets).toEqual(["fd00:20::/64"]);
  });
});

describe("hosts", () => {
  test("tell of their agent beside what was registered", async () => {
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
  test("are registered with POST, and on a host whose agent never connected", async () => {
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

  test("of which one is refused leave the others, sent at once, alone", async () => {
    const controller = await startController();
    await populate(controller);
    const bodies = [vm("a", 3), vm("a", 1), vm("nowhere", 5), vm("b", 4)];
    const answers = await Promise.all(bodies.map((body, i) => controller.request("PUT", `/v1/vms/new-${i}`, body)));
    expect(answers.map(({ status }) => status)).toEqual([201, 409, 422, 201]);
  });
});

describe("resolve", () => {
  test("answers for an IP and for a MAC, with the last revision of all that the answer derives from", async () => {
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

interface Refused {
  readonly why: string;
  readonly request: readonly [method: string, path: string, body?: unknown];
  readonly status: number;
  readonly type: string;
  /** What the detail must name. */
  readonly names: string;
  readonly prepare?: (controller: Controller) => Promise<unknown>;
}

const oneInterface = (more: object) => ({
  host: "a",
  interfaces: [{ network: "blue", mac: "52:54:00:00:00:09", ips: [], ...more }],
});

const refusals: readonly Refused[] = [
  {
    why: "VNI 0",
    request: ["PUT", "/v1/networks/n", { vni: 0, subnets: ["10.1.0.0/16"] }],
    status: 400,
    type: "invalid-input",
    names: "16777215",
  },
  {
    why: "VNI 2^24",
    request: ["PUT", "/v1/networks/n", { vni: 16_777_216, subnets: ["10.1.0.0/16"] }],
    status: 400,
    type: "invalid-input",
    names: "16777216",
  },
  {
    why: "a VNI that is taken",
    request: ["PUT", "/v1/networks/n", { vni: 100, subnets: ["10.1.0.0/16"] }],
    status: 409,
    type: "address-taken",
    names: "blue",
  },
  {
    why: "another VNI while VMs are in",
    request: ["PUT", "/v1/networks/blue", { vni: 101, subnets: ["10.20.1.0/24"] }],
    status: 409,
    type: "immutable",
    names: "web-1",
  },
  {
    why: "a subnet that loses addresses in use",
    request: ["PUT", "/v1/networks/blue", { vni: 100, subnets: ["10.20.1.0/24"] }],
    status: 409,
    type: "in-use",
    names: "fd00:20::",
  },
  {
    why: "deleting a network with interfaces",
    request: ["DELETE", "/v1/networks/blue"],
    status: 409,
    type: "in-use",
    names: "web-1",
  },
  {
    why: "overlapping subnets",
    request: ["PUT", "/v1/networks/n", { vni: 9, subnets: ["10.1.0.0/16", "10.1.2.0/24"] }],
    status: 400,
    type: "invalid-input",
    names: "overlaps",
  },
  {
    why: "host bits in a subnet",
    request: ["PUT", "/v1/networks/n", { vni: 9, subnets: ["10.1.0.1/16"] }],
    status: 400,
    type: "invalid-input",
    names: "10.1.0.0/16",
  },
  {
    why: "a VTEP that is taken",
    request: ["PUT", "/v1/hosts/d", { vtep: "192.0.2.1" }],
    status: 409,
    type: "address-taken",
    names: '"a"',
  },
  {
    why: "a multicast VTEP",
    request: ["PUT", "/v1/hosts/d", { vtep: "239.0.0.1" }],
    status: 400,
    type: "invalid-input",
    names: "multicast",
  },
  { why: "deleting a host with VMs", request: ["DELETE", "/v1/hosts/a"], status: 409, type: "in-use", names: "web-1" },
  {
    why: "a name in the body that differs",
    request: ["PUT", "/v1/hosts/d", { name: "e", vtep: "192.0.2.8" }],
    status: 400,
    type: "invalid-input",
    names: "immutable",
  },
  {
    why: "a name that is none",
    request: ["PUT", "/v1/hosts/d%20e", { vtep: "192.0.2.8" }],
    status: 400,
    type: "invalid-input",
    names: "/name",
  },
  {
    why: "a host of the other underlay family in a network",
    request: ["PUT", "/v1/vms/x", { ...oneInterface({}), host: "v6" }],
    status: 409,
    type: "mixed-underlay",
    names: '"v6"',
    prepare: (controller) => call(controller, 201, "PUT", "/v1/hosts/v6", { vtep: "2001:db8::1" }),
  },
  {
    why: "moving to a host of the other underlay family",
    request: ["PATCH", "/v1/vms/web-1", { host: "v6" }],
    status: 409,
    type: "mixed-underlay",
    names: "blue",
    prepare: (controller) => call(controller, 201, "PUT", "/v1/hosts/v6", { vtep: "2001:db8::1" }),
  },
  {
    why: "a VTEP of the other underlay family",
    request: ["PUT", "/v1/hosts/a", { vtep: "2001:db8::1" }],
    status: 409,
    type: "mixed-underlay",
    names: "blue",
  },
  {
    why: "a VM's name that is taken",
    request: ["POST", "/v1/vms", { name: "web-1", ...vm("c", 9) }],
    status: 409,
    type: "name-taken",
    names: "web-1",
  },
  {
    why: "an IP twice in a network",
    request: ["PUT", "/v1/vms/x", oneInterface({ ips: ["10.20.1.1"] })],
    status: 409,
    type: "address-taken",
    names: "web-1",
  },
  {
    why: "an IP twice, spelled otherwise",
    request: ["PUT", "/v1/vms/x", oneInterface({ ips: ["fd00:0020::0001"] })],
    status: 409,
    type: "address-taken",
    names: "web-1",
  },
  {
    why: "a MAC twice in a network",
    request: ["PUT", "/v1/vms/x", oneInterface({ mac: "52:54:00:00:00:01" })],
    status: 409,
    type: "address-taken",
    names: "web-1",
  },
  {
    why: "a MAC twice in one VM",
    request: [
      "PUT",
      "/v1/vms/x",
      { host: "a", interfaces: [1, 2].map(() => ({ network: "blue", mac: "52:54:00:00:00:09", ips: [] })) },
    ],
    status: 409,
    type: "address-taken",
    names: "eth1",
  },
  {
    why: "an IP outside the subnets",
    request: ["PUT", "/v1/vms/x", oneInterface({ ips: ["10.99.0.1"] })],
    status: 422,
    type: "outside-subnets",
    names: "10.20.1.0/24",
  },
  {
    why: "the network address",
    request: ["PUT", "/v1/vms/x", oneInterface({ ips: ["10.20.1.0"] })],
    status: 422,
    type: "outside-subnets",
    names: "network address",
  },
  {
    why: "the broadcast address",
    request: ["PUT", "/v1/vms/x", oneInterface({ ips: ["10.20.1.255"] })],
    status: 422,
    type: "outside-subnets",
    names: "broadcast",
  },
  {
    why: "the subnet-router anycast address",
    request: ["PUT", "/v1/vms/x", oneInterface({ ips: ["fd00:20::"] })],
    status: 422,
    type: "outside-subnets",
    names: "anycast",
  },
  {
    why: "a multicast MAC",
    request: ["PUT", "/v1/vms/x", oneInterface({ mac: "01:00:5e:00:00:01" })],
    status: 400,
    type: "invalid-input",
    names: "multicast",
  },
  {
    why: "the zero MAC",
    request: ["PUT", "/v1/vms/x", oneInterface({ mac: "00:00:00:00:00:00" })],
    status: 400,
    type: "invalid-input",
    names: "zero",
  },
  {
    why: "the broadcast MAC",
    request: ["PUT", "/v1/vms/x", oneInterface({ mac: "ff:ff:ff:ff:ff:ff" })],
    status: 400,
    type: "invalid-input",
    names: "broadcast",
  },
  {
    why: "an unknown network",
    request: ["PUT", "/v1/vms/x", oneInterface({ network: "none" })],
    status: 422,
    type: "unknown-reference",
    names: '"none"',
  },
  {
    why: "an unknown host",
    request: ["PUT", "/v1/vms/x", { ...oneInterface({}), host: "none" }],
    status: 422,
    type: "unknown-reference",
    names: '"none"',
  },
  {
    why: "an unknown field",
    request: ["PUT", "/v1/vms/x", { ...oneInterface({}), colour: 1 }],
    status: 400,
    type: "invalid-input",
    names: "/colour",
  },
  {
    why: "an unknown field within",
    request: ["PUT", "/v1/vms/x", oneInterface({ ip: "10.20.1.9" })],
    status: 400,
    type: "invalid-input",
    names: "/interfaces/0/ip",
  },
  {
    why: "a missing field",
    request: ["PUT", "/v1/vms/x", { host: "a" }],
    status: 400,
    type: "invalid-input",
    names: "/interfaces",
  },
  {
    why: "a number as text",
    request: ["PUT", "/v1/networks/n", { vni: "9", subnets: ["10.1.0.0/16"] }],
    status: 400,
    type: "invalid-input",
    names: "/vni",
  },
  {
    why: "null in a patch",
    request: ["PATCH", "/v1/vms/web-1", { host: null }],
    status: 400,
    type: "invalid-input",
    names: "/host",
  },
  { why: "no body", request: ["PUT", "/v1/networks/n"], status: 400, type: "invalid-input", names: "body" },
  { why: "malformed JSON", request: ["PUT", "/v1/networks/n", "{"], status: 400, type: "invalid-input", names: "JSON" },
  {
    why: "prototype poisoning",
    request: ["PUT", "/v1/networks/n", '{"__proto__":{"vni":1}}'],
    status: 400,
    type: "invalid-input",
    names: "JSON",
  },
  {
    why: "a body that is too large",
    request: ["PUT", "/v1/networks/n", `"${"x".repeat(300_000)}"`],
    status: 413,
    type: "body-too-large",
    names: "large",
  },
  {
    why: "changing what is not there",
    request: ["PATCH", "/v1/vms/none", { host: "a" }],
    status: 404,
    type: "not-found",
    names: '"none"',
  },
  {
    why: "deleting what is not there",
    request: ["DELETE", "/v1/networks/none"],
    status: 404,
    type: "not-found",
    names: '"none"',
  },
  { why: "an unknown path", request: ["GET", "/v2/vms"], status: 404, type: "not-found", names: "/v2/vms" },
  {
    why: "a method that the path has not",
    request: ["POST", "/v1/hosts/a", {}],
    status: 405,
    type: "method-not-allowed",
    names: "PUT",
  },
  {
    why: "another wait",
    request: ["PATCH", "/v1/vms/web-1?wait=done", { host: "b" }],
    status: 400,
    type: "invalid-input",
    names: "/wait",
  },
  {
    why: "too long a wait",
    request: ["PATCH", "/v1/vms/web-1?wait=ready&timeoutMs=60001", { host: "b" }],
    status: 400,
    type: "invalid-input",
    names: "/timeoutMs",
  },
  {
    why: "resolving what is not registered",
    request: ["GET", "/v1/resolve?vni=100&ip=10.20.1.77"],
    status: 404,
    type: "not-found",
    names: "10.20.1.77",
  },
  {
    why: "resolving neither",
    request: ["GET", "/v1/resolve?vni=100"],
    status: 400,
    type: "invalid-input",
    names: "ip or a mac",
  },
  {
    why: "resolving both",
    request: ["GET", "/v1/resolve?vni=100&ip=10.20.1.1&mac=52:54:00:00:00:01"],
    status: 400,
    type: "invalid-input",
    names: "not for both",
  },
  {
    why: "a VNI that is no number",
    request: ["GET", "/v1/resolve?vni=1e2&ip=10.20.1.1"],
    status: 400,
    type: "invalid-input",
    names: "/vni",
  },
  {
    why: "an unknown query parameter",
    request: ["GET", "/v1/resolve?vni=100&ip=10.20.1.1&x=1"],
    status: 400,
    type: "invalid-input",
    names: "/x",
  },
  { why: "no upgrade", request: ["GET", "/v1/events"], status: 426, type: "upgrade-required", names: "WebSocket" },
];

describe("refused, and nothing changed:", () => {
  test.each(refusals)("$why", async ({ request, status, type, names, prepare }) => {
    const controller = await startController();
    await populate(controller);
    await prepare?.(controller);
    const { revision } = await call(controller, 200, "GET", "/readyz");
    const answer = await controller.request(...request);
    expect(answer.body).toMatchObject({ status, type: `urn:nearmiss:problem:${type}` });
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(JSON.stringify(answer.body).replaceAll('\\"', '"')).toContain(names);
    expect(answer.body.instance).toBe(request[1].split("?")[0]);
    expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.ts:|\.js:/);
    expect(await call(controller, 200, "GET", "/readyz")).toEqual({ ready: true, revision });
  });

  test("a wrong method names those that the path has", async () => {
    const controller = await startController();
    const { headers } = await controller.request("POST", "/v1/hosts/a", {});
    expect(headers.get("allow")).toBe("DELETE, GET, HEAD, PATCH, PUT");
  });

  test("a body of another media type", async () => {
    const controller = await startController();
    const answer = await fetch(`http://${controller.base}/v1/hosts/a`, { method: "PUT", body: "vtep=192.0.2.1" });
    expect(answer.status).toBe(415);
    expect(problemType(JSON.parse(await answer.text()))).toBe("unsupported-media-type");
  });

  test("all faults of a body are told at once", async () => {
    const controller = await startController();
    const { body } = await controller.request("PUT", "/v1/networks/n", { vni: 0, subnets: ["10.0.0.1/8", "x"] });
    expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      "/vni",
      "/subnets/0",
      "/subnets/1",
    ]);
  });
});
