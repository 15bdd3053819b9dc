import { expect, test } from "vitest";
import { decodeDropping } from "../../node-agent/kernel/filters/forward-chains.ts";
import { findFilterProblems } from "../../node-agent/watch/host-filter.ts";
import { capturedForwardChain } from "../support/captured.ts";

const bridges = [{ name: "nmb100", filters: [] }];
const chain = { name: "ip filter FORWARD", filters: ["iptables"], sparesOurs: false } as const;

test("bridged frames that meet a dropping chain are a problem, and the fix concerns our bridges alone", () => {
  expect(findFilterProblems(["iptables", "ip6tables"], bridges, [chain])).toEqual([
    {
      facts: {
        kind: "host-filter",
        reason: "host",
        values: { filter: "iptables", chain: "ip filter FORWARD", lost: "all IPv4" },
      },
      filter: "iptables",
      says:
        "bridged frames go through the host's iptables (net.bridge.bridge-nf-call-iptables is 1), and chain ip filter FORWARD drops " +
        "what no rule accepts: between guests here all IPv4 is lost",
      fix: "let the bridges pass (iptables -I FORWARD -i nmb+ -o nmb+ -j ACCEPT)",
    },
  ]);
});

test("a filter that drops nothing, accepts our bridges, or sees none of our frames, is no problem", () => {
  expect(findFilterProblems(["iptables"], bridges, [])).toEqual([]);
  expect(findFilterProblems(["iptables"], bridges, [{ ...chain, sparesOurs: true }])).toEqual([]);
  expect(findFilterProblems(["ip6tables"], bridges, [chain])).toEqual([]);
});

test("a bridge that enables the filter by itself is named", () => {
  const [problem] = findFilterProblems([], [{ name: "br-blue", filters: ["iptables"] }, ...bridges], [chain]);
  expect(problem?.fix).toBe("let the bridge pass (iptables -I FORWARD -i br-blue -o br-blue -j ACCEPT)");
});

test("a chain is decoded as the kernel sends it, and truncated or foreign messages are not mistaken for one", () => {
  expect(decodeDropping(capturedForwardChain)).toEqual({
    family: 2,
    table: "filter",
    name: "ip filter FORWARD",
    filters: ["iptables"],
  });
  for (let length = 0; length < capturedForwardChain.length - 1; length++) {
    expect(() => decodeDropping(capturedForwardChain.subarray(0, length))).not.toThrow();
  }
  expect(decodeDropping(Buffer.concat([Buffer.of(7), capturedForwardChain.subarray(1)]))).toBeUndefined();
});
