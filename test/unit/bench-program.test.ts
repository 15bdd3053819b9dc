// How the bench of kernel entries compares and reports.
import { expect, test } from "vitest";
import { answerFor, placeOf } from "../../testkit/bench/core-host.ts";
import { compare } from "../../testkit/bench/program/bench.ts";
import { reportProgram } from "../../testkit/bench/program/report.ts";

const written = (perCpuSecond: number) => ({ perCpuSecond, perSecond: 1_000 });
const agent = { batch: written(80_000), single: written(50_000), exec: written(400) };
const native = { nativeBatch: written(100_000), nativeSingle: written(200_000) };
const among = (sides: object) => compare(10_000, new Map(Object.entries(sides)) as Parameters<typeof compare>[1]);

test("entries are compared by CPU seconds, and not at all without an opponent", () => {
  expect(among({ ...agent, ...native }).ratios).toEqual({ batchToNative: 0.8, singleToNative: 0.25, batchToExec: 200 });
  expect(among(agent).ratios).toEqual({ batchToNative: null, singleToNative: null, batchToExec: 200 });
});

test("the result says what is absent and what is missed", () => {
  const missed = ["the agent : a process for each entry is 200 ×"];
  const text = reportProgram({ rounds: 5, answers: 64, perFrame: 64, sizes: [among(agent)], missed });
  expect(text).toMatch(/^ {2}the agent, 64 answers a frame +10,000 +80,000 +1,000$/m);
  expect(text).toMatch(/^ {2}C, 64 messages in a send +10,000 +absent: no cc on this machine$/m);
  expect(text).toContain("  missed: the agent : a process for each entry is 200 ×\n");
});

test("made-up VMs have an address each, on one of ten hosts", () => {
  expect(placeOf(65_793)).toMatchObject({ mac: "52:54:00:01:01:01", ip: "10.1.1.1", host: "host-3" });
  expect(answerFor(1)).toMatchObject({ revision: 2, binding: { vtep: "192.0.2.11", vtepPort: 4789 } });
});
