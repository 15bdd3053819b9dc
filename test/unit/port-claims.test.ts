import { expect, test } from "vitest";
import { disputedPorts, judgePort, type NetworkBridge, type PortDevice } from "../../node-agent/tables/port-claims.ts";
import { conditionSentence } from "../../schema/agent/index.ts";
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
  ["the host's card in an adopted bridge", "eth0", device("br-blue", true), adopted, "host"],
  ["a port of another network's bridge", "tap1", device("nmb200"), own, "other-bridge"],
  ["a port of a bridge of the host's", "eth0", device("br0", true), own, "other-bridge"],
  ["a port of some bridge, while the network has none", "tap1", device("br0"), undefined, "elsewhere"],
  ["another network's tunnel", "nmv200", device("nmb200", true), own, "own"],
  ["the network's own tunnel", "nmv100", device("nmb100", true), own, "own"],
  ["a bridge of ours", "nmb16777215", undefined, own, "own"],
  ["a name that only begins like ours", "nmv", undefined, own, "free"],
  ["a name that goes on after ours", "nmv100x", undefined, own, "free"],
  ["a name that only ends like ours", "x-nmv100", undefined, own, "free"],
])("%s", (_, port, found, bridge, expected) => {
  const verdict = judgePort({ vni: blue, port }, found, bridge);
  if (typeof verdict === "string") expect(verdict).toBe(expected);
  else expect(verdict.wrong).toBe(expected);
});

test("a port of another bridge is named with both bridges, as far as there are two", () => {
  const claim = { vni: blue, port: "tap1" };
  expect(judgePort(claim, device("nmb200"), own)).toEqual({
    wrong: "other-bridge",
    values: { bridge: "nmb200", wanted: "nmb100" },
  });
  expect(judgePort(claim, device("br0"), undefined)).toEqual({ wrong: "elsewhere", values: { bridge: "br0" } });
});

test("a wrong port is described for operators: what is registered, what is wrong, what to do", () => {
  const values = { mac: "52:54:00:00:00:01", port: "tap1", bridge: "br0" };
  expect(conditionSentence({ kind: "wrong-port", reason: "elsewhere", vni: blue, values }, "blue")).toBe(
    "network blue: the interface with MAC 52:54:00:00:00:01 is registered for the port tap1, which is a port of br0: it is neither " +
      "guarded nor pinned there; attach the guest's port to the network's bridge, or correct the registration",
  );
});

test("a port is disputed where interfaces of two networks claim it, not where two of one do", () => {
  const claim = (network: number, port: string) => ({ vni: vni(network), port });
  expect([...disputedPorts([claim(1, "a"), claim(1, "a"), claim(1, "b"), claim(2, "b"), claim(2, "c")])]).toEqual([
    "b",
  ]);
});
