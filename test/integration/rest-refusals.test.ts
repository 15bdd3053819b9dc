// For every refusal of REST a request that provokes it: the problem names the fault, and nothing has changed.
import { describe, expect, test } from "vitest";
import { type Controller, call, populate, problemType, startController, vm } from "./harness.ts";

interface Refused {
  readonly why: string;
  readonly request: readonly [method: string, path: string, body?: unknown];
  readonly status: number;
  readonly type: string;
  /** The text that the detail must contain. */
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

  test("a wrong method is answered with the allowed ones", async () => {
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

  test("all faults of a body are reported at once", async () => {
    const controller = await startController();
    const { body } = await controller.request("PUT", "/v1/networks/n", { vni: 0, subnets: ["10.0.0.1/8", "x"] });
    expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      "/vni",
      "/subnets/0",
      "/subnets/1",
    ]);
  });
});
