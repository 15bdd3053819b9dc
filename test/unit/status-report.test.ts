// What `agent status` makes of the agent's parts.
import { describe, expect, test } from "vitest";
import { type FinishedMiss, RecentMisses } from "../../node-agent/misses/recent.ts";
import { allowances } from "../../node-agent/misses/resolver.ts";
import { describeEntries } from "../../node-agent/status/entries.ts";
import { printStatus } from "../../node-agent/status/print-status.ts";
import { describeMiss, describeSession, type StatusReport } from "../../node-agent/status/report.ts";
import { duration, table } from "../../node-agent/status/table.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const missed = (n: number): FinishedMiss => ({
  miss: { kind: "l3miss", vni: blue, ip: ip(`10.20.${n >> 8}.${n & 0xff}`) },
  missedMs: n,
  outcome: "unknown",
});

describe("the last misses", () => {
  test("are kept up to a limit, the newest first", () => {
    const recent = new RecentMisses(4);
    for (let n = 1; n <= 2; n++) recent.push(missed(n));
    expect(recent.list().map(({ missedMs }) => missedMs)).toEqual([2, 1]);
    for (let n = 3; n <= 10; n++) recent.push(missed(n));
    expect(recent.list().map(({ missedMs }) => missedMs)).toEqual([10, 9, 8, 7]);
  });

  test("list their steps from the kernel's message on", () => {
    const miss = {
      ...missed(1_000),
      askedMs: 1_000.25,
      answeredMs: 1_001.5,
      programmedMs: 1_002,
      announcedMs: 1_002.125,
    };
    const report = describeMiss({ ...miss, outcome: "answered" }, () => "blue", 4_000);
    expect(report).toMatchObject({ network: "blue", agoMs: 3_000, outcome: "answered" });
    expect(report.steps).toEqual({ askedMs: 0.25, answeredMs: 1.5, programmedMs: 2, announcedMs: 2.125 });
    expect(describeMiss({ ...missed(1_000), outcome: "waiting" }, () => null, 1_000).steps).toEqual({});
  });
});

test("entries are listed with revision and age, remote ones first", () => {
  const held = new HeldAnswers();
  const at = (n: number) => ({ kind: "ip", vni: blue, ip: ip(`10.20.1.${n}`) }) as const;
  const binding = { mac: mac("52:54:00:00:00:02"), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
  held.take(
    [{ key: at(1), revision: rev(4), binding: { ...binding, mac: mac("52:54:00:00:00:01"), local: true } }],
    200,
  );
  held.take([{ key: at(9), revision: rev(3), binding: null }], 250);
  held.take([{ key: at(2), revision: rev(5), binding: { ...binding, router: true } }], 300);
  const facts = held.keys().flatMap((key) => held.find(key) ?? []);
  const { held: counted, entries } = describeEntries(facts, 20, 1_000);
  expect(counted).toEqual({ remote: 1, local: 1, unknown: 1 });
  expect(entries).toEqual([
    {
      key: "10.20.1.2",
      kind: "remote",
      mac: "52:54:00:00:00:02",
      vtep: "192.0.2.2",
      port: 4789,
      router: true,
      revision: 5,
      ageMs: 700,
    },
    { key: "10.20.1.1", kind: "local", mac: "52:54:00:00:00:01", revision: 4, ageMs: 800 },
    { key: "10.20.1.9", kind: "unknown", revision: 3, ageMs: 750 },
  ]);
  expect(held.find(at(77))).toBeUndefined();
  const two = describeEntries(facts, 2, 1_000);
  expect(two.held).toEqual(counted);
  expect(two.entries).toEqual(entries.slice(0, 2));
});

test("the session is shown in its current state", () => {
  const url = new URL("http://192.0.2.10:4788");
  const connected = { link: { kind: "connected", sinceMs: 500 }, epoch: "e", asOf: rev(7), applied: rev(6) } as const;
  expect(describeSession(url, connected, 2_000)).toEqual({
    controller: "http://192.0.2.10:4788/",
    state: "connected",
    connectedForMs: 1_500,
    epoch: "e",
    asOf: 7,
    appliedRevision: 6,
  });
  const waiting = {
    link: { kind: "waiting", reason: "connect ECONNREFUSED", retryAtMs: 2_250, isRefused: false },
  } as const;
  expect(describeSession(url, waiting, 2_000)).toMatchObject({ reason: "connect ECONNREFUSED", retryInMs: 250 });
});

describe("on a terminal", () => {
  const report: StatusReport = {
    host: "a",
    version: "0.1.0",
    pid: 42,
    session: {
      controller: "http://192.0.2.10:4788/",
      state: "waiting",
      reason: "connect ECONNREFUSED",
      retryInMs: 250,
    },
    networks: [
      {
        name: null,
        vni: 100,
        bridge: { name: "nmb100", state: "up", mtu: 1_450 },
        vxlan: { name: "nmv100", state: "missing" },
        adopted: true,
        ports: [{ name: "tap1", state: "up", mtu: 1_450, pinned: ["52:54:00:00:00:01"] }],
        held: { remote: 3, local: 0, unknown: 0 },
        entries: [1, 2, 3].map((n) => ({ key: `10.20.1.${n}`, kind: "remote", revision: n, ageMs: n * 60_000 })),
      },
    ],
    misses: [],
    counters: {
      missed: 9,
      byThread: 0,
      asked: 5,
      joined: 1,
      local: 1,
      quiet: 1,
      reasserted: 0,
      here: 4,
      unregistered: 2,
      overBudget: 1,
      macFloods: 0,
      thefts: 2,
    },
    drops: { misses: 7, changes: 0 },
    budgets: {
      left: { host: 4_000, networks: [], guests: [{ name: "100 52:54:00:00:00:01", left: 3 }] },
      allowed: allowances,
    },
    room: {
      held: 3,
      perNetwork: 32_768,
      perHost: 131_072,
      replicaBytes: 3 * 2 ** 19,
      maxReplicaBytes: 256 * 2 ** 20,
      aged: 5,
    },
    repairs: { device: 4, timer: 1 },
    problems: ["no interface of this host has the VTEP address 192.0.2.1"],
    reports: [
      {
        kind: "theft",
        vni: 100,
        network: "blue",
        subject: "52:54:00:00:00:02",
        count: 2,
        firstAgoMs: 60_000,
        lastAgoMs: 250,
      },
      { kind: "overrun", subject: "misses", count: 7, firstAgoMs: 500, lastAgoMs: 500 },
    ],
    reported: { theft: 2, overrun: 7 },
    guests: [
      {
        kind: "guest-never-seen",
        network: "blue",
        vni: 100,
        mac: "52:54:00:00:00:02",
        detail: "its port tap2 has no carrier",
      },
      {
        kind: "unregistered-guest",
        network: null,
        vni: 100,
        mac: "52:54:00:00:00:77",
        detail: "it sends on port tap1",
      },
    ],
  };

  test("every problem is stated in words", () => {
    const text = printStatus(report, { entries: 2, misses: 2 });
    for (const line of [
      "controller  http://192.0.2.10:4788/ no session: connect ECONNREFUSED; next try in 250 ms",
      "position    no revision received yet",
      "tunnel end  not known before the first session",
      "  no interface of this host has the VTEP address 192.0.2.1",
      "network VNI 100: 3 remote, 0 here, 0 unknown",
      "  blue: 52:54:00:00:00:02 is registered here and not seen: its port tap2 has no carrier",
      "  VNI 100: 52:54:00:00:00:77 is not registered here: it sends on port tap1",
      "  nmb100 up (MTU 1450), nmv100 missing, adopted",
      "  ports: tap1 up (MTU 1450) pinned to 52:54:00:00:00:01",
      "  … and 1 more (--all)",
      "no misses yet",
      "reported to the controller",
      "  250 ms   1 min  blue     theft    52:54:00:00:00:02      2",
      "  500 ms  500 ms           overrun  misses                 7",
      "answers     not sent: --announce off",
      "drops       7 misses, 0 changes",
      "budgets     4000 of 4096 questions left; guest 52:54:00:00:00:01 in VNI 100: 3",
      "room        3 of 131072 addresses, 32768 in a network; 5 evicted as idle",
      "repairs     4 by device, 1 by timer, 2 stolen bridge entries restored",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });

  test("durations are short, columns are even", () => {
    expect([850, 12_400, 200_000, 20_000_000, 200_000_000].map(duration)).toEqual([
      "850 ms",
      "12 s",
      "3 min",
      "5 h",
      "2 d",
    ]);
    expect(table([{ title: "KEY" }, { title: "REV", right: true }], [["10.20.1.1", "7"], ["x"]], "  ")).toEqual([
      "  KEY        REV",
      "  10.20.1.1    7",
      "  x",
    ]);
  });
});
