// Reports of an agent: counted by kind and subject, rate limited, and never lost in transit.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type Finding, intervalMs, maxSubjects, ReportBook } from "../../node-agent/reports/report-book.ts";
import { maxReportsPerFrame, parseAgentFrame, type Report, reportKinds } from "../../schema/index.ts";
import { vni } from "../support/addresses.ts";

const blue = vni(100);
const theft = (subject: string): Finding => ({ kind: "theft", vni: blue, subject });

let book: ReportBook;
beforeEach(() => {
  book = new ReportBook();
});

/** Takes the due reports and confirms them. */
function tell(nowMs: number): Report[] {
  const reports = book.take(nowMs);
  book.confirm();
  return reports;
}

describe("the report book", () => {
  test("gives the first report of a subject at once, and later ones together, once a minute", () => {
    expect(book.note(theft("a"), 1_000)).toBe(true);
    expect(tell(1_005)).toEqual([{ kind: "theft", vni: 100, subject: "a", count: 1, firstAgoMs: 5, lastAgoMs: 5 }]);
    for (let nowMs = 2_000; nowMs <= 50_000; nowMs += 1_000) {
      expect(book.note(theft("a"), nowMs)).toBe(false);
      expect(tell(nowMs)).toEqual([]);
    }
    expect(tell(1_004 + intervalMs)).toEqual([]);
    const [later] = tell(1_005 + intervalMs);
    expect(later).toMatchObject({ count: 49, firstAgoMs: 59_005, lastAgoMs: 11_005 });
    expect(tell(10 * intervalMs)).toEqual([]);
  });

  test("logs one line a minute for each subject", () => {
    expect([0, 1, 59_999, 60_000, 60_001].map((nowMs) => book.note(theft("a"), nowMs))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
    expect(book.note(theft("b"), 60_001)).toBe(true);
  });

  test("keeps kinds, networks and subjects apart, and adds up reports with a number", () => {
    book.note({ kind: "overrun", subject: "misses", count: 900 }, 0);
    book.note({ kind: "overrun", subject: "misses", count: 100 }, 1);
    book.note({ kind: "scan", vni: blue }, 2);
    book.note({ kind: "scan", vni: vni(200) }, 3);
    expect(tell(4)).toEqual([
      { kind: "overrun", subject: "misses", count: 1_000, firstAgoMs: 4, lastAgoMs: 3 },
      { kind: "scan", vni: 100, count: 1, firstAgoMs: 2, lastAgoMs: 2 },
      { kind: "scan", vni: 200, count: 1, firstAgoMs: 1, lastAgoMs: 1 },
    ]);
    expect(Object.fromEntries(book.totals)).toEqual({ overrun: 1_000, scan: 2 });
  });

  test("undelivered reports are given again with newer ones, and with their time", () => {
    book.note(theft("a"), 0);
    expect(book.take(10)).toHaveLength(1);
    book.note(theft("a"), 5_000);
    expect(book.take(6_000)).toEqual([]);
    book.restore();
    expect(book.take(7_000)).toMatchObject([{ count: 2, firstAgoMs: 7_000, lastAgoMs: 2_000 }]);
    book.confirm();
    expect(book.take(20 * intervalMs)).toEqual([]);
  });

  test("subjects beyond the bound are counted together, and quiet ones make room", () => {
    for (let n = 0; n < 1_000; n++) book.note(theft(`guest ${n}`), n);
    expect(book.list()).toHaveLength(maxSubjects + 1);
    const rest = book.list().find(({ subject }) => subject === undefined);
    expect(rest).toMatchObject({ count: 1_000 - maxSubjects, vni: undefined });
    for (let nowMs = 1_000; nowMs < 200_000; nowMs += 1_000) tell(nowMs);
    book.note(theft("new"), 3_600_000);
    expect(book.list()[0]).toMatchObject({ subject: "new", count: 1 });
    expect(book.list()).toHaveLength(maxSubjects + 1);
    // Unsent subjects stay, and the new one is counted with the rest: the host may be disconnected for hours.
    expect(book.totals.get("theft")).toBe(1_001);
  });
});

const finding: fc.Arbitrary<Finding> = fc.record(
  {
    kind: fc.constantFrom(...reportKinds),
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
      const tried = new ReportBook();
      const noted = new Map<string, number>();
      const arrived = new Map<string, number>();
      let onTheWay: Report[] = [];
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
        expect(reports.length).toBeLessThanOrEqual(maxReportsPerFrame);
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
      expect(tried.list().length).toBeLessThanOrEqual(reportKinds.length * (maxSubjects + 1));
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
        book.note({ kind, vni: blue, subject: `${n}` }, 0);
      }
    }
    book.note({ kind: "theft", vni: vni(200), subject: "other" }, 1);
    book.note({ kind: "table-full", vni: vni(200) }, 1);
    book.note({ kind: "vtep-missing", subject: "192.0.2.1" }, 1);
    const first = tell(1);
    expect(first.length).toBe(maxReportsPerFrame);
    const others = first.filter((report) => report.vni !== blue);
    expect(others.map(({ kind }) => kind).sort()).toEqual(["table-full", "theft", "vtep-missing"]);
  });

  test("that exhausts the host's reports leaves the next turn to reports that arrive later", () => {
    for (let n = 0; n < 60; n += 1) {
      for (const kind of ["theft", "unregistered-guest", "address-conflict"] as const) {
        book.note({ kind, vni: blue, subject: `${n}` }, 0);
      }
    }
    while (tell(0).length > 0);
    book.note({ kind: "network-not-ready", vni: vni(200) }, 1);
    const later = [tell(1_001), tell(2_002), tell(3_003), tell(4_004)].flat();
    expect(later.map(({ kind }) => kind)).toContain("network-not-ready");
  });

  test("with unlimited addresses leaves the subjects of another network apart", () => {
    for (let n = 0; n < 1_000; n += 1) book.note({ kind: "theft", vni: blue, subject: `${n}` }, 0);
    book.note({ kind: "theft", vni: vni(200), subject: "other" }, 1);
    const told = book.list().filter(({ vni: of }) => of === vni(200));
    expect(told.map(({ subject }) => subject)).toEqual(["other"]);
  });
});
