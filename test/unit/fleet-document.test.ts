// Reports on an invalid fleet.yaml, and the output of a plan.
import { expect, test } from "vitest";
import { parseFleet, parseFleets } from "../../cli/fleet/document.ts";
import { presentOf } from "../../cli/fleet/fleet.ts";
import { planFleet } from "../../cli/fleet/plan.ts";
import { describePlan } from "../../cli/fleet/show.ts";

const faultsOf = (text: string): string => {
  try {
    parseFleet(text, "fleet.yaml");
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it was taken");
};

test("every fault is reported with its line, and the correct form", () => {
  const message = faultsOf(`networks:
  blue:
    vni: 99999999
    subnets: [10.20.1.0/33]
hosts:
  a: {}
vms:
  web 1: { host: a, interfaces: [] }
  web-2:
    host: a
    interfaces:
      - network: blue
        mac: nonsense
        color: red
trees: {}
`);
  expect(message.split("\n")).toEqual([
    "the fleet is not valid, and nothing was sent:",
    expect.stringMatching(/^fleet.yaml:3:10: networks\.blue\.vni VNI must be a whole number in 1 … 16777215/),
    expect.stringMatching(/^fleet.yaml:4:15: networks\.blue\.subnets\.0 /),
    "fleet.yaml:6:6: hosts.a.vtep is required",
    expect.stringMatching(/^fleet.yaml:8:10: vms\.web 1 is not a valid name: 1 … 63 of letters/),
    "fleet.yaml:14:16: vms.web-2.interfaces.0.color is not a known field",
    "fleet.yaml:15:8: trees is not a valid section: use networks, hosts, vms",
  ]);
});

test.each([
  [
    "two of a name",
    "hosts:\n  a: {vtep: 192.0.2.1}\n  a: {vtep: 192.0.2.2}\n",
    /fleet.yaml:3:3: Map keys must be unique/,
  ],
  ["broken YAML", "hosts: [", /fleet.yaml:1:\d+: /],
  ["no object", "- a\n", /fleet.yaml:1:1: the file must be an object with networks, hosts, vms/],
  ["an empty file", "", /the file must be an object/],
  ["a number where text belongs", "hosts: {a: {vtep: 192.0.2.1, labels: {rack: 7}}}", /labels\.rack must be string/],
])("%s is refused", (_name, text, message) => {
  expect(faultsOf(text)).toMatch(message);
});

test("several files are one fleet, and a resource in two of them is a fault that names both places", () => {
  const blue = { path: "net.yaml", text: "networks:\n  blue: {vni: 100, subnets: [10.20.1.0/24]}\n" };
  const hosts = { path: "hosts.yaml", text: "hosts:\n  a: {vtep: 192.0.2.1}\n  b: {vtep: 192.0.2.2}\n" };
  const { wanted, placeOf } = parseFleets([blue, hosts]);
  expect([...(wanted.network?.keys() ?? []), ...(wanted.host?.keys() ?? [])]).toEqual(["blue", "a", "b"]);
  // No file has a section for VMs: they are left alone.
  expect(wanted.vm).toBeUndefined();
  expect([placeOf("host", "b"), placeOf("vm", "b")]).toEqual(["hosts.yaml:3:3", undefined]);
  const twice = { path: "more.yaml", text: "# as before\nhosts:\n  b: {vtep: 192.0.2.3}\n" };
  expect(() => parseFleets([blue, hosts, twice])).toThrow("more.yaml:3:3: host b is also at hosts.yaml:3:3");
});

test("a plan lists resources to create, changed fields from old to new, and unchanged resources", () => {
  const present = presentOf([
    { kind: "export", version: 1, revision: 7, epoch: "x" },
    {
      kind: "network",
      name: "blue",
      vni: 100,
      subnets: ["10.20.1.0/24"],
      mtu: 1450,
      labels: { env: "prod" },
      description: "",
    },
    { kind: "host", name: "old", vtep: "192.0.2.9", port: 4789, origin: "operator", labels: {}, description: "" },
    {
      kind: "vm",
      name: "web-1",
      host: "a",
      interfaces: [{ name: "eth0", network: "blue", mac: "52:54:00:00:00:01", ips: ["10.20.1.1"] }],
      labels: {},
      description: "",
    },
  ]);
  const wanted = parseFleet(
    `networks:
  blue: {vni: 100, subnets: [10.20.1.0/24], mtu: 8950, labels: {team: red}}
hosts:
  a: {vtep: 192.0.2.1}
vms:
  web-1: {host: b, interfaces: [{network: blue, port: tap0}, {network: blue}]}
`,
    "fleet.yaml",
  );
  expect(describePlan(planFleet(wanted, present, { prune: false }))).toBe(`~ network blue
    mtu: 1450 → 8950
    labels.env: prod → (none)
    labels.team: (none) → red
+ host a
    vtep: 192.0.2.1
    port: 4789
~ vm web-1
    host: a → b
    interfaces.eth0.port: (none) → tap0
    interfaces.eth1: (none) → network blue
1 to create, 2 to update, 0 to delete, 0 unchanged
Not in the file, left alone without --prune: host old
`);
  expect(describePlan(planFleet(wanted, present, { prune: true }))).toContain("- host old\n");
});
