import { expect, test } from "vitest";
import { disputedPorts, judgePort, type NetworkBridge, type PortDevice } from "../../node-agent/tables/port-claims.ts";
import { vni } from "../support/addresses.ts";

const blue = vni(100);
const own: NetworkBridge = { name: "nmb100", adopted: false };
const adopted: NetworkBridge = { name: "br-blue", adopted: true };
const device = (bridge: string, isHosts = false): PortDevice => ({ isHosts: () => isHosts, bridge });

test.each([
  ["a device that is in no bridge yet, or not there", "tap1", undefined, own, "free"],
  ["a port of the network's bridge", "tap1", device("nmb100"), own, "here"],
  ["a network card that was added to a bridge of ours", "eth1", device("nmb100", true), own, "here"],
  ["a guest's port of an adopted bridge", "tap1", device("br-blue"), adopted, "here"],
  ["the host's card in an adopted bridge", "eth0", device("br-blue", true), adopted, "the host's own device"],
  ["a port of another network's bridge", "tap1", device("nmb200"), own, "is a port of nmb200"],
  ["a port of a bridge of the host's", "eth0", device("br0", true), own, "is a port of br0"],
  ["a port of some bridge, while the network has none", "tap1", device("br0"), undefined, "is a port of br0"],
  ["another network's tunnel", "nmv200", device("nmb200", true), own, "a device of nearmiss"],
  ["the network's own tunnel", "nmv100", device("nmb100", true), own, "a device of nearmiss"],
  ["a bridge of ours", "nmb16777215", undefined, own, "a device of nearmiss"],
  ["a name that only begins like ours", "nmv", undefined, own, "free"],
])("%s", (_, port, found, bridge, expected) => {
  const verdict = judgePort({ vni: blue, port }, found, bridge);
  if (typeof verdict === "string") expect(verdict).toBe(expected);
  else expect(verdict.wrong).toContain(expected);
});

test("a port is disputed where interfaces of two networks claim it, not where two of one do", () => {
  const claim = (network: number, port: string) => ({ vni: vni(network), port });
  expect([...disputedPorts([claim(1, "a"), claim(1, "a"), claim(1, "b"), claim(2, "b"), claim(2, "c")])]).toEqual([
    "b",
  ]);
});
