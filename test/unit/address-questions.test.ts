// Which guests are asked for which address, and when.
import { describe, expect, test } from "vitest";
import { inTurn, maxPerTurn, maxProbes, OwnerProbes } from "../../node-agent/tables/address-questions.ts";
import { ip, mac, vni } from "../support/addresses.ts";

const guest = { vni: vni(100), mac: mac("52:54:00:00:00:01"), ip: ip("10.20.1.100"), port: "tap1" };

describe("guests that may take addresses are asked in turn", () => {
  test.each([0, 1, 2, 10, 11, 640])("%i of them each once in ten turns", (count) => {
    const all = Array.from({ length: count }, (_, n) => n);
    const asked = Array.from({ length: 10 }, (_, turn) => inTurn(all, 7 + turn));
    expect(asked.flat().toSorted((a, b) => a - b)).toEqual(all);
    const largest = Math.max(...asked.map(({ length }) => length));
    expect(largest).toBe(Math.ceil(count / 10));
  });

  test("more of them more slowly, and no turn has more than its limit", () => {
    const all = Array.from({ length: 5_000 }, (_, n) => n);
    const turns = Math.ceil(5_000 / maxPerTurn);
    const asked = Array.from({ length: turns }, (_, turn) => inTurn(all, turn));
    expect(asked.flat().toSorted((a, b) => a - b)).toEqual(all);
    expect(Math.max(...asked.map(({ length }) => length))).toBeLessThanOrEqual(maxPerTurn);
  });
});

describe("a guest that the controller wants to know of", () => {
  const asked = (isLast: boolean) => ({ questions: [{ ...guest, isLast }], silent: [] });
  const nothing = { questions: [], silent: [] };

  test("is asked three times, the last time otherwise, and is silent after a second", () => {
    const probes = new OwnerProbes();
    probes.begin({ id: 4, ...guest }, 1_000);
    expect([1_000, 1_001, 1_299].map((atMs) => probes.due(atMs))).toEqual([asked(false), nothing, nothing]);
    expect([1_300, 1_301, 1_599].map((atMs) => probes.due(atMs))).toEqual([asked(false), nothing, nothing]);
    expect([1_600, 1_601, 1_999].map((atMs) => probes.due(atMs))).toEqual([asked(true), nothing, nothing]);
    expect(probes.due(2_000)).toEqual({ questions: [], silent: [4] });
    expect([probes.due(2_001), probes.size]).toEqual([nothing, 0]);
  });

  test("answers with any sign of the address, and with none of another guest, network or address", () => {
    const probes = new OwnerProbes();
    probes.begin({ id: 4, ...guest }, 0);
    probes.begin({ id: 5, ...guest }, 0);
    for (const other of [{ mac: mac("52:54:00:00:00:02") }, { vni: vni(200) }, { ip: ip("10.20.1.101") }])
      expect(probes.heard({ ...guest, ...other })).toEqual([]);
    expect(probes.heard(guest)).toEqual([4, 5]);
    expect([probes.heard(guest), probes.due(2_000), probes.size]).toEqual([[], nothing, 0]);
  });

  test("is not asked when the session has ended, nor when too many are asked for", () => {
    const probes = new OwnerProbes();
    for (let id = 0; id <= maxProbes; id++) probes.begin({ id, ...guest }, 0);
    expect(probes.size).toBe(maxProbes);
    probes.clear();
    expect(probes.due(2_000)).toEqual(nothing);
  });
});
