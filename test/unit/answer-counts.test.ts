import { expect, test } from "vitest";
import { Metrics } from "../../controller/metrics.ts";
import { addCounts, countAnswers, noAnswers } from "../../controller/observe/answer-counts.ts";
import {
  type Answer,
  type BindingKey,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
} from "../../schema/address/index.ts";

const vni = parseVni(100);
const mac = parseMac("52:54:00:00:00:01");
const ipKey: BindingKey = { kind: "ip", vni, ip: parseIp("10.0.0.1") };
const macKey: BindingKey = { kind: "mac", vni, mac };
const binding = { mac, host: "a", vtep: parseVtep("192.0.2.1"), vtepPort: 4789 };

const answer = (key: BindingKey, isKnown: boolean): Answer => ({
  key,
  revision: parseRevision(1),
  binding: isKnown ? binding : null,
});

const answers = [
  ...[answer(ipKey, true), answer(macKey, false), answer(ipKey, false), answer(macKey, true)],
  ...[answer(macKey, false), answer(ipKey, true), answer(macKey, false), answer(ipKey, true)],
  ...[answer(ipKey, true), answer(ipKey, false)],
];

test("answers are counted by kind of address and result", () => {
  expect(countAnswers([])).toEqual(noAnswers);
  expect(countAnswers(answers)).toEqual({ knownIps: 4, unknownIps: 2, knownMacs: 1, unknownMacs: 3 });
});

test("counts are added one by one", () => {
  const a = { knownIps: 1, unknownIps: 20, knownMacs: 300, unknownMacs: 4_000 };
  const b = { knownIps: 5, unknownIps: 60, knownMacs: 700, unknownMacs: 8_000 };
  expect(addCounts(a, b)).toEqual({ knownIps: 6, unknownIps: 80, knownMacs: 1_000, unknownMacs: 12_000 });
});

test("/metrics has all four numbers from the start, and those of all frames together", async () => {
  const metrics = new Metrics();
  const shown = async () => {
    const text = await metrics.registry.metrics();
    return [...text.matchAll(/^nearmiss_controller_resolves_total(\{.*\}) (\d+)$/gm)].map(([, labels, count]) => [
      labels,
      Number(count),
    ]);
  };
  const of = (counts: readonly number[]) => [
    ['{kind="ip",result="known"}', counts[0]],
    ['{kind="ip",result="unknown"}', counts[1]],
    ['{kind="mac",result="known"}', counts[2]],
    ['{kind="mac",result="unknown"}', counts[3]],
  ];
  expect(await shown()).toEqual(of([0, 0, 0, 0]));
  metrics.resolved(countAnswers(answers), 0.001);
  metrics.resolved(countAnswers([answer(macKey, true)]), 0.001);
  expect(await shown()).toEqual(of([4, 2, 2, 3]));
  expect(await shown()).toEqual(of([4, 2, 2, 3]));
});
