import { expect, test } from "vitest";
import { RefusedAgents, refusedForMs } from "../../controller/agents/refused-agents.ts";

const began = new Date("2026-01-01T00:00:00Z");

test("an agent that is refused is a condition of the host, with one line, as long as it comes again", () => {
  const refused = new RefusedAgents();
  expect(refused.note("a", { reason: "revoked" }, began, 0)).toBe(true);
  expect(refused.note("a", { reason: "revoked" }, new Date(), 300_000)).toBe(false);
  expect(refused.conditionOf("a", 300_000)).toMatchObject({ kind: "host-refused", reason: "revoked", since: began });
  expect(refused.note("a", { reason: "expired" }, new Date(), 300_001)).toBe(true);
  expect(refused.conditionOf("a", 300_001 + refusedForMs)).toBeUndefined();
  expect(refused.conditionOf("b", 0)).toBeUndefined();
});

test("and no longer than until that agent has a session", () => {
  const refused = new RefusedAgents();
  refused.note("a", { reason: "revoked" }, began, 0);
  expect(refused.accepted("b", "key 1")).toEqual([]);
  expect(refused.accepted("a", "key 1")).toEqual(["a"]);
  refused.note("a", { reason: "name-taken", key: "key 2" }, began, 0);
  expect(refused.accepted("a", "key 1")).toEqual([]);
  expect(refused.conditionOf("a", 0)).toBeDefined();
  expect(refused.accepted("a", "key 2")).toEqual(["a"]);
  refused.note("a", { reason: "vtep-taken", values: { agent: "c" } }, began, 0);
  expect(refused.accepted("a", "key 1")).toEqual([]);
  expect(refused.accepted("c", "key 3")).toEqual(["a"]);
  expect(refused.conditionOf("a", 0)).toBeUndefined();
});
