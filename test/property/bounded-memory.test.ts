// Nothing that guests do makes anything of the agent grow beyond its bound: every collection that is reachable from the parts
// of its core is measured, whatever it is called.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Uplink } from "../../node-agent/controller-link/uplink.ts";
import type { Core } from "../../node-agent/core.ts";
import { maxSubjects } from "../../node-agent/findings/aggregator.ts";
import type { GuestEdge } from "../../node-agent/kernel/sockets/guest-sockets.ts";
import type { Heard } from "../../node-agent/misses/waiting.ts";
import { maxClaims } from "../../node-agent/tables/address-claims.ts";
import { maxAbsentPerNetwork } from "../../node-agent/tables/held-network.ts";
import { compareGuests, LastingFindings, maxUnregistered } from "../../node-agent/tables/local-guests.ts";
import type { IpAddress, MacAddress } from "../../schema/address/index.ts";
import { type AgentFrame, findingKinds } from "../../schema/agent/index.ts";
import { coreOn, inertEdges } from "../../testkit/agent-core.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { runs } from "../support/property-runs.ts";

const blue = vni(100);
const ipOf = (n: number): IpAddress => ip(`10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`);
const macOf = (n: number): MacAddress =>
  mac(`52:54:00:${(n + 0x1000000).toString(16).slice(1).match(/../g)?.join(":")}`);

/**
 * Of every Map, Set and array that is reachable, by where it is, the number of elements; of equal places the largest. A part's
 * dependencies are parts of their own, or the test's.
 */
function sizes(of: unknown, place = "", seen = new Set<unknown>(), found = new Map<string, number>()) {
  if (typeof of !== "object" || of === null || seen.has(of)) return found;
  // A timer, which leads to all others of the process.
  if ("hasRef" in of) return found;
  seen.add(of);
  const elements = of instanceof Map ? [...of.values()] : of instanceof Set || Array.isArray(of) ? [...of] : undefined;
  if (elements) {
    found.set(place, Math.max(found.get(place) ?? 0, elements.length));
    for (const each of elements) sizes(each, `${place}[]`, seen, found);
  } else {
    for (const [name, value] of Object.entries(of)) {
      if (name !== "deps") sizes(value, `${place}.${name}`, seen, found);
    }
  }
  return found;
}

/** The agent's core, and the guests of one network. */
class Host {
  readonly findings = new LastingFindings();
  readonly core: Core;
  private nowMs = 0;
  private heard: Heard[] = [];

  /** @param live there is a session, and the controller knows none of what is asked for */
  constructor(live: boolean) {
    const uplink = new Uplink();
    const guests: GuestEdge = {
      hear: (bridgeIfindex) => ({
        bridgeIfindex,
        drain: () => this.heard.splice(0),
        ignore: () => {},
        close: () => {},
      }),
      portsOf: () => ({ portOf: async () => 5, all: async () => [5] }),
      sender: { send: () => true, close: () => {} },
    };
    const turns = { over: false, next: async () => {} };
    const afterReading = (callback: () => void) => callback();
    const clock = {
      nowMs: () => this.nowMs,
      wallMs: () => this.nowMs,
      random: () => 0.5,
      turns,
      afterReading,
      later: () => {},
    };
    this.core = coreOn({ ...inertEdges, guests }, { uplink, clock });
    if (live) uplink.attach({ isLive: true, send: (frame) => this.answer(frame) });
    this.core.announcer?.attend(blue, 2, 3);
    const binding = { mac: macOf(0), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
    const answers = Array.from({ length: 200 }, (_, n) => ({
      key: { kind: "ip", vni: blue, ip: ipOf(n) } as const,
      revision: rev(1),
      binding: { ...binding, mac: macOf(0xff_00_00 + n) },
    }));
    this.core.held.take(answers, 0);
  }

  /** All that is measured, by name. */
  get parts(): Readonly<Record<string, unknown>> {
    return { ...this.core, findings: this.findings };
  }

  wait(ms: number): void {
    this.nowMs += ms;
  }

  /** A guest asks for `target` from an address that may be false. */
  asks(from: MacAddress, sender: IpAddress, target: IpAddress): void {
    const asker = { mac: from, ip: sender };
    this.heard.push({ asker, claim: asker, target });
    this.core.resolver.onMiss({ kind: "l3miss", vni: blue, ip: target });
    this.core.crowding.onMiss({ kind: "l3miss", vni: blue, ip: target }, 3);
  }

  sends(to: MacAddress): void {
    this.core.resolver.onMiss({ kind: "l2miss", vni: blue, mac: to });
    this.core.crowding.onMiss({ kind: "l2miss", vni: blue, mac: to }, 3);
  }

  isSeen(learned: readonly MacAddress[]): void {
    const port = { ifindex: 5, name: "tap5", carrier: true, learning: true, flood: true, pinned: [], learned };
    const seen = compareGuests(
      {
        vni: blue,
        registered: [],
        prepared: [],
        ports: [port],
        isRemote: () => false,
        placeOf: () => "absent" as const,
      },
      new Set(),
    );
    for (const finding of this.findings.update(blue, seen, this.nowMs)) this.core.reports.found(finding);
  }

  private answer(frame: AgentFrame): boolean {
    if (frame.type !== "resolve") return true;
    const answers = frame.questions.map(({ asker: _, ...key }) => ({ key, revision: rev(1), binding: null }));
    this.core.session.onAnswers({ type: "answers", id: frame.id, asOf: rev(1), answers });
    return true;
  }
}

/** The largest that any one collection may be, by the part that it is in; of the parts that are not named, `others`. */
const bounds: Readonly<Record<string, number>> = {
  announcer: 4_096,
  held: maxAbsentPerNetwork,
  resolver: 4_096,
  outcomes: 256,
  reporter: Math.max(findingKinds.length, maxSubjects + 1),
  findings: maxUnregistered,
  reports: maxClaims,
  // One condition for each claim.
  conditions: maxClaims,
  // A counter for each outcome.
  broadcasts: 3,
  groups: 3,
  takeovers: 3,
};
const others = 2;

/** Lets what was begun end. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

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
  return fc.assert(
    fc.asyncProperty(behaviour, async ({ live, macs, senders, targets, everyMs }) => {
      const host = new Host(live);
      for (let n = 0; n < 20_000; n++) {
        host.wait(everyMs);
        // A stride, so that the three do not go in step.
        host.asks(macOf(n % macs), ipOf((n * 7) % senders), ipOf((n * 13) % targets));
        if (n % 4 === 0) host.sends(macOf(n % targets));
        if (n % 5_000 === 0) host.isSeen(Array.from({ length: 1_000 }, (_, i) => macOf(n + i)));
        if (n % 100 === 0) await turn();
      }
      for (const [name, part] of Object.entries(host.parts)) {
        for (const [place, size] of sizes(part, name)) {
          const behaviour = JSON.stringify({ live, macs, senders, targets });
          expect(size, `${place} after ${behaviour}`).toBeLessThanOrEqual(bounds[name] ?? others);
        }
      }
      await host.core.close();
    }),
    { numRuns: runs(12) },
  );
});

test("and what is measured would show a collection without a bound", async () => {
  const host = new Host(true);
  for (let n = 0; n < 20_000; n++) host.asks(macOf(n), ipOf(n), ipOf(n));
  expect(sizes(host.core.announcer, "announcer").get("announcer.waiting.targets")).toBe(4_096);
  expect(sizes({ deep: { unbounded: new Map(Array.from({ length: 20_000 }, (_, n) => [n, n])) } }, "x")).toEqual(
    new Map([["x.deep.unbounded", 20_000]]),
  );
  await host.core.close();
});
