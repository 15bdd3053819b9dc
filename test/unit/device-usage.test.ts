// What `nearmiss agent remove` sees before it deletes a device.
import { expect, test } from "vitest";
import { type DeviceFacts, packetCounts, usesOf } from "../../node-agent/status/device-usage.ts";
import { link } from "../support/path-facts.ts";

const bridge = link(3, "nmb100", { kind: "bridge" });
const tunnel = link(4, "nmv100", { kind: "vxlan", master: 3 });
const unused: DeviceFacts = {
  links: [link(2, "eth0"), bridge, tunnel],
  addresses: new Map([[2, ["192.0.2.1"]]]),
  uppers: new Map([["nmv100", ["nmb100"]]]),
  packets: new Map([["eth0", 7]]),
  servedBy: new Map(),
};
const both = ["nmv100", "nmb100"];

test("a tunnel and its bridge without guests are used by nothing", () => {
  expect(usesOf(both, unused)).toEqual([]);
  expect(usesOf(both, { ...unused, addresses: new Map([[4, ["fe80::1"]]]) })).toEqual([]);
});

test.each<[string, readonly string[], Partial<DeviceFacts>, string]>([
  ["a guest's port", both, { links: [...unused.links, link(5, "tap0", { master: 3 })] }, "nmb100 has the port tap0"],
  [
    "a guest's port beside the tunnel alone",
    ["nmv100"],
    { links: [...unused.links, link(5, "tap0", { master: 3 })] },
    "nmv100 is a port of nmb100, beside tap0",
  ],
  [
    "an address",
    both,
    { addresses: new Map([[3, ["10.20.1.250"]]]) },
    "nmb100 has the address 10.20.1.250 of this host",
  ],
  ["a VLAN on top", both, { uppers: new Map([["nmb100", ["vlan7"]]]) }, "vlan7 is on top of nmb100"],
  [
    "traffic",
    both,
    { packets: new Map([["nmv100", 1]]) },
    "nmv100 carries traffic: it received 1 packet within a second",
  ],
  [
    "hardware",
    ["eth0"],
    { addresses: new Map(), packets: new Map() },
    "eth0 is hardware, or not a device that can be deleted",
  ],
  [
    "a running agent",
    both,
    { servedBy: new Map([["nmv100", "the agent of host a, for network blue"]]) },
    "nmv100 is in use by the agent of host a, for network blue",
  ],
])("%s is a use", (_what, names, more, says) => {
  expect(usesOf(names, { ...unused, ...more })).toEqual([says]);
});

test("packets are those that were received", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0
nmv100: 5000      40    0    0    0     0          0         0     7000      60    0    0    0     0       0          0
`;
  expect([...packetCounts(text)]).toEqual([
    ["lo", 2],
    ["nmv100", 40],
  ]);
});
