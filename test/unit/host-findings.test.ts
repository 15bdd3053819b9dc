// How many reports of one host become operational events, and for how long those beyond are only counted.
import { pino } from "pino";
import { beforeEach, describe, expect, test } from "vitest";
import { HostFindings } from "../../controller/agents/host-findings.ts";
import { OperationalEvents } from "../../controller/events/operational-events.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { Metrics } from "../../controller/metrics.ts";
import type { ReportedFinding } from "../../schema/agent/index.ts";

const overrun: ReportedFinding = { kind: "overrun", count: 1, firstAgoMs: 0, lastAgoMs: 0 };

describe("reports of one host", () => {
  let nowMs: number;
  let events: OperationalEvents;
  let reports: HostFindings;

  beforeEach(() => {
    nowMs = 1_000;
    events = new OperationalEvents("epoch");
    reports = new HostFindings({
      committer: { current: new CommittedInventory() },
      operational: events,
      metrics: new Metrics(),
      reportsConditions: () => false,
      log: pino({ level: "silent" }),
      now: () => new Date(nowMs),
      nowMs: () => nowMs,
    });
  });

  const reported = (host: string): number => events.list().filter((event) => event.host === host).length;
  const report = (host: string, count: number): void => {
    reports.take(
      host,
      Array.from({ length: count }, () => overrun),
    );
  };

  test("become at most 240 events a minute; the minute starts with the first, and each host has its own", () => {
    report("a", 1);
    nowMs += 59_999;
    report("a", 300);
    expect(reported("a")).toBe(240);
    report("b", 1);
    expect(reported("b")).toBe(1);
    nowMs += 1;
    report("a", 300);
    expect(reported("a")).toBe(480);
    nowMs += 59_999;
    report("a", 1);
    expect(reported("a")).toBe(480);
  });

  test("start again after the host was deleted and registered again", () => {
    report("a", 241);
    reports.forget("a");
    report("a", 1);
    expect(reported("a")).toBe(241);
  });
});
