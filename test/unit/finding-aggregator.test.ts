// Reports of an agent: counted by kind and subject, rate limited, and never lost in transit.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type Finding, FindingAggregator, intervalMs, maxSubjects } from "../../node-agent/findings/aggregator.ts";
import { findingKinds, maxFindingsPerFrame, parseAgentFrame, type ReportedFinding } from "../../schema/agent/index.ts";
import { vni } from "../support/addresses.ts";

const blue = vni(100);
const theft = (subject: string): Finding => ({ kind: "theft", vni: blue, subject });

let aggregator: FindingAggregator;
beforeEach(() => {
  aggregator = new FindingAggregator();
});

/** Takes what is due and lets it arrive. */
function tell(nowMs: number): ReportedFinding[] {
  const reports = aggregator.take(nowMs);
  aggregator.confirm();
  return reports;
}

describe("the report aggregator", () => {
  test("gives the first of a subject at once, and what follows together, once a minute", () => {
    expect(aggregator.note(theft("a"), 1_000)).toBe(true);
    expect(tell(1_005)).toEqual([{ kind: "theft", vni: 100, subject: "a", count: 1, firstAgoMs: 5, lastAgoMs: 5 }]);
    for (let nowMs = 2_000; nowMs <= 50_000; nowMs += 1_000) {
      expect(aggregator.note(theft("a"), nowMs)).toBe(false);
      expect(tell(nowMs)).toEqual([]);
    }
    expect(tell(1_004 + intervalMs)).toEqual([]);
    const [later] = tell(1_005 + intervalMs);
    expect(later).toMatchObject({ count: 49, firstAgoMs: 59_005, lastAgoMs: 11_005 });
    expect(tell(10 * intervalMs)).toEqual([]);
  });

  test("is worth a line in the log once a minute for each subject", () => {
    expect([0, 1, 59_999, 60_000, 60_001].map((nowMs) => aggregator.note(theft("a"), nowMs))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
    expect(aggregator.note(theft("b"), 60_001)).toBe(true);
  });

  test("keeps kinds, networks and subjects apart, and counts what comes as a number", () => {
    aggregator.note({ kind: "overrun", subject: "misses", count: 900 }, 0);
    aggregator.note({ kind: "overrun", subject: "misses", count: 100 }, 1);
    aggregator.note({ kind: "scan", vni: blue }, 2);
    aggregator.note({ kind: "scan", vni: vni(200) }, 3);
    expect(tell(4)).toEqual([
      { kind: "overrun", subject: "misses", count: 1_000, firstAgoMs: 4, lastAgoMs: 3 },
      { kind: "scan", vni: 100, count: 1, firstAgoMs: 2, lastAgoMs: 2 },
      { kind: "scan", vni: 200, count: 1, firstAgoMs: 1, lastAgoMs: 1 },
    ]);
    expect(Object.fromEntries(aggregator.totals)).toEqual({ overrun: 1_000, scan: 2 });
  });

  test("what did not arrive is returned again with later findings, and with its time", () => {
    aggregator.note(theft("a"), 0);
    expect(aggregator.take(10)).toHaveLength(1);
    aggregator.note(theft("a"), 5_000);
    expect(aggregator.take(6_000)).toEqual([]);
    aggregator.restore();
    expect(aggregator.take(7_000)).toMatchObject([{ count: 2, firstAgoMs: 7_000, lastAgoMs: 2_000 }]);
    aggregator.confirm();
    expect(aggregator.take(20 * intervalMs)).toEqual([]);
  });

  test("subjects beyond the bound are counted together, and quiet ones make room", () => {
    for (let n = 0; n < 1_000; n++) aggregator.note(theft(`guest ${n}`), n);
    expect(aggregator.list()).toHaveLength(maxSubjects + 1);
    const rest = aggregator.list().find(({ subject }) => subject === undefined);
    expect(rest).toMatchObject({ count: 1_000 - maxSubjects, vni: undefined });
    for (let nowMs = 1_000; nowMs < 200_000; nowMs += 1_000) tell(nowMs);
    aggregator.note(theft("new"), 3_600_000);
    expect(aggregator.list()[0]).toMatchObject({ subject: "new", count: 1 });
    expect(aggregator.list()).toHaveLength(maxSubjects + 1);
    // What is not told yet stays: the new one may go, the host may be cut off for hours.
    expect(aggregator.totals.get("theft")).toBe(1_001);
  });
});

const finding: fc.Arbitrary<Finding> = fc.record(
  {
    kind: fc.constantFrom(...findingKinds),
    vni: fc.constantFrom(blue, vni(200)),
    subject: fc.oneof(fc.nat(500).map(String), fc.string({ maxLength: 200 })),
    detail: fc.string({ maxLength: 1_000 }),
    count: fc.integer({ min: 1, max: 10_000 }),
  },
  { requiredKeys: ["kind"] },
);
const step = fc.oneof(
  { weight: 20, arbitrary: fc.record({ do: fc.constant("note" as const), finding }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("take" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("confirm" as const, "restore" as const) }) },
);

test("in any sequence: bounded memory, few frames that the controller can parse, and every occurrence in one of them", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.integer({ min: 0, max: 5_000 })), { maxLength: 400 }), (steps) => {
      const tried = new FindingAggregator();
      const noted = new Map<string, number>();
      const arrived = new Map<string, number>();
      let onTheWay: ReportedFinding[] = [];
      let nowMs = 0;
      let given = 0;
      const add = (counts: Map<string, number>, kind: string, count: number) =>
        counts.set(kind, (counts.get(kind) ?? 0) + count);
      const confirm = () => {
        for (const { kind, count } of onTheWay) add(arrived, kind, count);
        onTheWay = [];
        tried.confirm();
      };
      const take = () => {
        const reports = tried.take(nowMs);
        given += reports.length;
        expect(reports.length).toBeLessThanOrEqual(maxFindingsPerFrame);
        const text = JSON.stringify({ type: "report", reports });
        expect(Buffer.byteLength(text)).toBeLessThan(64 * 1_024);
        expect(parseAgentFrame(text)).toEqual({ type: "report", reports });
        onTheWay.push(...reports);
      };
      for (const [each, laterMs] of steps) {
        nowMs += laterMs;
        if (each.do === "note") {
          tried.note(each.finding, nowMs);
          add(noted, each.finding.kind, each.finding.count ?? 1);
        } else if (each.do === "take") take();
        else if (each.do === "confirm") confirm();
        else {
          onTheWay = [];
          tried.restore();
        }
      }
      expect(given).toBeLessThanOrEqual(128 + nowMs / 1_000);
      expect(tried.list().length).toBeLessThanOrEqual(findingKinds.length * (maxSubjects + 1));
      expect(Object.fromEntries(tried.totals)).toEqual(Object.fromEntries(noted));
      for (let i = 0; i < 50; i++) {
        confirm();
        nowMs += intervalMs;
        take();
      }
      confirm();
      expect(Object.fromEntries(arrived)).toEqual(Object.fromEntries(noted));
    }),
  );
});

describe("noise of one guest", () => {
  test("does not delay other kinds, nor the same kind in another network", () => {
    for (let n = 0; n < 60; n += 1) {
      for (const kind of ["theft", "unregistered-guest", "address-conflict"] as const) {
        aggregator.note({ kind, vni: blue, subject: `${n}` }, 0);
      }
    }
    aggregator.note({ kind: "theft", vni: vni(200), subject: "other" }, 1);
    aggregator.note({ kind: "table-full", vni: vni(200) }, 1);
    aggregator.note({ kind: "vtep-missing", subject: "192.0.2.1" }, 1);
    const first = tell(1);
    expect(first.length).toBe(maxFindingsPerFrame);
    const others = first.filter((report) => report.vni !== blue);
    expect(others.map(({ kind }) => kind).sort()).toEqual(["table-full", "theft", "vtep-missing"]);
  });

  test("that exhausts the host's reports leaves the next turn to reports that arrive later", () => {
    for (let n = 0; n < 60; n += 1) {
      for (const kind of ["theft", "unregistered-guest", "address-conflict"] as const) {
        aggregator.note({ kind, vni: blue, subject: `${n}` }, 0);
      }
    }
    while (tell(0).length > 0);
    aggregator.note({ kind: "network-not-ready", vni: vni(200) }, 1);
    const later = [tell(1_001), tell(2_002), tell(3_003), tell(4_004)].flat();
    expect(later.map(({ kind }) => kind)).toContain("network-not-ready");
  });

  test("with addresses without end leaves the subjects of another network apart", () => {
    for (let n = 0; n < 1_000; n += 1) aggregator.note({ kind: "theft", vni: blue, subject: `${n}` }, 0);
    aggregator.note({ kind: "theft", vni: vni(200), subject: "other" }, 1);
    const told = aggregator.list().filter(({ vni: of }) => of === vni(200));
    expect(told.map(({ subject }) => subject)).toEqual(["other"]);
  });
});
