// Numbers of the controller that depend on numbers of the agent, which neither can import from the other.
import { expect, test } from "vitest";
import { hostAllowance } from "../../controller/agents/host-allowance.ts";
import { maxPerWindow, windowMs } from "../../controller/agents/host-findings.ts";
import { hostGraceMs } from "../../controller/app.ts";
import { maxBackoffMs } from "../../node-agent/controller-link/backoff.ts";
import { connectTimeoutMs, handshakeTimeoutMs } from "../../node-agent/controller-link/link.ts";
import { reportRate } from "../../node-agent/findings/aggregator.ts";
import { allowances } from "../../node-agent/misses/resolver.ts";
import { defaultCaps } from "../../node-agent/tables/ageing.ts";

test("all reports of an honest agent become events", () => {
  expect(maxPerWindow).toBeGreaterThan(reportRate.burst + (reportRate.perSecond * windowMs) / 1_000);
});

test("a host is not reported as lost between two attempts to connect", () => {
  expect(hostGraceMs).toBeGreaterThan(maxBackoffMs + connectTimeoutMs + handshakeTimeoutMs);
});

test("an honest agent does not exceed the allowance of its host", () => {
  // Each question may be followed by a release.
  expect(hostAllowance.perSecond).toBeGreaterThanOrEqual(2 * 2 * allowances.host.perSecond);
  expect(hostAllowance.burst).toBeGreaterThanOrEqual(3 * defaultCaps.perHost);
});
