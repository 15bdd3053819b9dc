import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseRevision } from "../../schema/address/index.ts";
import { changeVerb, toCloudEvent } from "../../schema/events/index.ts";
import { problemDetails, problemTypes } from "../../schema/plain/index.ts";
import { InputError, type InputFault, parseHost, parseNetwork, parseVm } from "../../schema/rest/index.ts";

function faultsOf(parse: () => unknown): readonly InputFault[] {
  try {
    parse();
  } catch (error) {
    if (error instanceof InputError) return error.faults;
    throw error;
  }
  return [];
}
const pointers = (parse: () => unknown) => faultsOf(parse).map(({ pointer }) => pointer);

describe("networks", () => {
  test("get the default MTU, and at least 1280 if they carry IPv6", () => {
    expect(parseNetwork("n", { vni: 1, subnets: ["10.0.0.0/8"] }).mtu).toBe(1450);
    expect(pointers(() => parseNetwork("n", { vni: 1, subnets: ["fd00::/64"], mtu: 1279 }))).toEqual(["/mtu"]);
    expect(pointers(() => parseNetwork("n", { vni: 1, subnets: ["10.0.0.0/8"], mtu: 1279 }))).toEqual([]);
  });

  test("all faults are reported at once, each with its place", () => {
    const body = { name: "other", vni: 0, subnets: ["10.0.0.1/8", "fd00::/64", "fd00::/48"] };
    expect(pointers(() => parseNetwork("n", body))).toEqual(["/name", "/vni", "/subnets/0", "/subnets"]);
  });
});

describe("VMs", () => {
  const eth = { network: "n", mac: "52:54:00:00:00:01", ips: ["10.0.0.1"] };

  test("number unnamed interfaces by their position", () => {
    const { interfaces } = parseVm("v", { host: "h", interfaces: [eth, { ...eth, name: "lan" }, eth] });
    expect(interfaces.map(({ name }) => name)).toEqual(["eth0", "lan", "eth2"]);
  });

  test("refuse one name and one address twice", () => {
    const twice = [
      { ...eth, name: "eth1" },
      { ...eth, ips: ["fd00::1", "fd00:0::1"] },
    ];
    expect(pointers(() => parseVm("v", { host: "h", interfaces: twice }))).toEqual([
      "/interfaces/1/ips",
      "/interfaces/1/name",
    ]);
  });

  test("absent and false mean the same for router, so that equal VMs are equal", () => {
    const [off] = parseVm("v", { host: "h", interfaces: [{ ...eth, router: false }] }).interfaces;
    expect(off).toEqual(parseVm("v", { host: "h", interfaces: [eth] }).interfaces[0]);
  });

  test("for any text as address, only InputError is thrown", () =>
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string(), { maxLength: 3 }), (mac, ips) => {
        faultsOf(() => parseVm("v", { host: "h", interfaces: [{ network: "n", mac, ips }] }));
        faultsOf(() => parseHost("h", { vtep: mac }, "operator"));
        faultsOf(() => parseNetwork("n", { vni: 1, subnets: ips }));
      }),
    ));
});

test("a change event names the resource and what happened to it", () => {
  const after = { ...parseHost("a", { vtep: "192.0.2.1" }, "operator"), uid: "u", revision: parseRevision(3) };
  const change = { kind: "host", before: null, after } as const;
  expect(changeVerb(change)).toBe("created");
  expect(changeVerb({ ...change, before: after })).toBe("updated");
  expect(changeVerb({ kind: "host", before: after, after: null })).toBe("deleted");
  const event = { revision: parseRevision(3), index: 1, time: "2026-01-02T03:04:05Z", dataVersion: 1, change };
  expect(toCloudEvent(event, "e")).toMatchObject({
    id: "3.1",
    source: "/nearmiss/e",
    type: "nearmiss.host.created",
    subject: "hosts/a",
    dataschema: "urn:nearmiss:event:host:v1",
    data: { before: null, after },
  });
});

test("every problem type has a 4xx or 5xx status and a title of its own", () => {
  const all = Object.values(problemTypes);
  expect(all.every(({ status }) => status >= 400 && status < 600)).toBe(true);
  expect(new Set(all.map(({ title }) => title)).size).toBe(all.length);
  expect(problemDetails("in-use", "why", { instance: "/x" })).toEqual({
    type: "urn:nearmiss:problem:in-use",
    title: "The resource is still in use",
    status: 409,
    detail: "why",
    instance: "/x",
  });
});
