// Nothing that guests do makes a part of the agent grow beyond its limit: every collection that is reachable from the
// parts that process guests' traffic is measured, whatever its name.
import fc from "fast-check";
import { expect, test } from "vitest";
import { RecentMisses } from "../../node-agent/misses/recent.ts";
import { MissResolver } from "../../node-agent/misses/resolver.ts";
import { WaitingGuests } from "../../node-agent/misses/waiting.ts";
import { maxSubjects, ReportBook } from "../../node-agent/reports/report-book.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { maxAbsentPerNetwork } from "../../node-agent/tables/held-network.ts";
import { compareGuests, findConflict, LastingFindings, maxUnregistered } from "../../node-agent/tables/local-guests.ts";
import { type IpAddress, type MacAddress, reportKinds } from "../../schema/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { runs } from "../support/property-runs.ts";

const blue = vni(100);
const ipOf = (n: number): IpAddress => ip(`10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`);
const macOf = (n: number): MacAddress =>
  mac(`52:54:00:${(n + 0x1000000).toString(16).slice(1).match(/../g)?.join(":")}`);

/** Of every Map, Set and array that is reachable, by where it is, the number of elements; of equal places the largest. */
function sizes(of: unknown, place = "", seen = new Set<unknown>(), found = new Map<string, number>()) {
  if (typeof of !== "object" || of === null || seen.has(of)) return found;
  seen.add(of);
  const elements = of instanceof Map ? [...of.values()] : of instanceof Set || Array.isArray(of) ? [...of] : undefined;
  if (elements) {
    found.set(place, Math.max(found.get(place) ?? 0, elements.length));
    for (const each of elements) sizes(each, `${place}[]`, seen, found);
  } else for (const [name, value] of Object.entries(of)) sizes(value, `${place}.${name}`, seen, found);
  return found;
}

/** The parts that process guests' traffic, connected as in the agent. */
class Ears {
  nowMs = 0;
  readonly waiting = new WaitingGuests();
  readonly held = new HeldAnswers();
  readonly book = new ReportBook();
  readonly recent = new RecentMisses();
  readonly findings = new LastingFindings();
  readonly resolver = new MissResolver({
    lookUp: (key, nowMs) => this.held.lookUp(key, nowMs),
    listen: () => {},
    askerOf: (on, target) => this.waiting.lastAsker(on, target),
    suspectIn: () => undefined,
    ask: (asked) => {
      if (!this.live) return;
      const answers = asked.map(({ key }) => ({ key, revision: rev(1), binding: null }));
      const timelines = this.resolver.onAnswers(answers);
      this.held.take(answers, this.nowMs);
      for (const timeline of timelines) this.recent.push({ ...timeline, outcome: "unknown" });
    },
    reassert: () => {},
    overBudget: (on, guest) =>
      this.book.note({ kind: "scan", vni: on, ...(guest === undefined ? {} : { subject: guest }) }, this.nowMs),
    afterReading: (callback) => callback(),
    nowMs: () => this.nowMs,
  });

  /** @param live there is a session, and all requested addresses are unknown to the controller */
  constructor(private readonly live: boolean) {
    const binding = { mac: macOf(0), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
    const answers = Array.from({ length: 200 }, (_, n) => ({
      key: { kind: "ip", vni: blue, ip: ipOf(n) } as const,
      revision: rev(1),
      binding: { ...binding, mac: macOf(0xff_00_00 + n) },
    }));
    this.held.take(answers, 0);
  }

  /** A guest asks for `target` from an address that may be false. */
  asks(from: MacAddress, sender: IpAddress, target: IpAddress): void {
    this.waiting.missed(blue, target, this.nowMs);
    this.waiting.heard(blue, { asker: { mac: from, ip: sender }, target }, this.nowMs);
    const conflict = findConflict(
      blue,
      { mac: from, ip: sender },
      this.held.find({ kind: "ip", vni: blue, ip: sender }),
    );
    if (conflict) this.book.note(conflict, this.nowMs);
    this.resolver.onMiss({ kind: "l3miss", vni: blue, ip: target });
  }

  sends(to: MacAddress): void {
    this.resolver.onMiss({ kind: "l2miss", vni: blue, mac: to });
  }

  isSeen(learned: readonly MacAddress[]): void {
    const port = { ifindex: 5, name: "tap5", carrier: true, learning: true, flood: true, pinned: [], learned };
    const seen = compareGuests({ vni: blue, registered: [], ports: [port], isRemote: () => false }, new Set());
    for (const { kind, mac: subject } of this.findings.update(blue, seen, this.nowMs)) {
      this.book.note({ kind, vni: blue, subject }, this.nowMs);
    }
  }
}

/** The largest that any one collection may be, by the part that it is in. */
const bounds: Readonly<Record<string, number>> = {
  waiting: 4_096,
  held: maxAbsentPerNetwork,
  resolver: 4_096,
  recent: 256,
  book: Math.max(reportKinds.length, maxSubjects + 1),
  findings: maxUnregistered,
};

test("whatever guests ask, claim and send, from however many addresses, nothing exceeds its limit", () => {
  const behaviour = fc.record({
    live: fc.boolean(),
    /** Different ones of each, drawn in turn: one guest that scans, or as many as there are addresses. */
    macs: fc.constantFrom(1, 100, 20_000),
    senders: fc.constantFrom(1, 500, 20_000),
    targets: fc.constantFrom(1, 500, 20_000),
    /** Between two frames. */
    everyMs: fc.constantFrom(0.01, 1, 20),
  });
  fc.assert(
    fc.property(behaviour, ({ live, macs, senders, targets, everyMs }) => {
      const ears = new Ears(live);
      for (let n = 0; n < 20_000; n++) {
        ears.nowMs += everyMs;
        // A stride, so that the three do not go in step.
        ears.asks(macOf(n % macs), ipOf((n * 7) % senders), ipOf((n * 13) % targets));
        if (n % 4 === 0) ears.sends(macOf(n % targets));
        if (n % 5_000 === 0) ears.isSeen(Array.from({ length: 1_000 }, (_, i) => macOf(n + i)));
      }
      for (const [part, bound] of Object.entries(bounds)) {
        for (const [place, size] of sizes(ears[part as keyof Ears], part)) {
          expect(size, `${place} after ${JSON.stringify({ live, macs, senders, targets })}`).toBeLessThanOrEqual(bound);
        }
      }
    }),
    { numRuns: runs(12) },
  );
});

test("and the measurement would show a collection without a limit", () => {
  const ears = new Ears(true);
  for (let n = 0; n < 20_000; n++) ears.asks(macOf(n), ipOf(n), ipOf(n));
  const found = sizes(ears.waiting, "waiting");
  expect(found.get("waiting.targets")).toBe(4_096);
  expect(sizes({ deep: { unbounded: new Map(Array.from({ length: 20_000 }, (_, n) => [n, n])) } }, "x")).toEqual(
    new Map([["x.deep.unbounded", 20_000]]),
  );
});
