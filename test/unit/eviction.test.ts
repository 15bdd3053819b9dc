// When ages are read, and when they are not. test/property/ageing.test.ts tests what is evicted.
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Finding } from "../../node-agent/findings/aggregator.ts";
import { NetlinkError } from "../../node-agent/kernel/sockets/request-socket.ts";
import { maxIdleAtOnce } from "../../node-agent/tables/ageing.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { Eviction } from "../../node-agent/watch/eviction.ts";
import { type Answer, type BindingKey, keyText, type Vni } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { FakeTables } from "../support/fake-tables.ts";

const idleMs = 60_000;
const networks = [vni(100), vni(200), vni(300)];

let held: HeldAnswers;
let tables: FakeTables;
let read: Vni[];
let evicted: BindingKey[];
let live: boolean;
let refuse: boolean;
let noted: Finding[];
let eviction: Eviction;
let kept: Set<Vni>;

beforeEach(async () => {
  vi.useFakeTimers();
  const nowMs = () => Date.now();
  held = new HeldAnswers();
  tables = new FakeTables(new Set(networks), nowMs);
  kept = new Set();
  [read, evicted, live, refuse, noted] = [[], [], true, false, []];
  for (const on of networks) await tables.apply(held.take([answer(on)], nowMs()).operations);
  eviction = new Eviction({
    keepsIdle: (on) => kept.has(on),
    held,
    tables: {
      idleMs: async (on) => {
        read.push(on);
        if (refuse) throw new NetlinkError("ages", { errno: 16 });
        return tables.idleMs(on);
      },
    },
    idleMs,
    uplink: {
      get isLive() {
        return live;
      },
    },
    writer: { write: (operations) => tables.apply(operations) },
    releases: { release: (keys) => void evicted.push(...keys) },
    reporter: { note: (finding) => noted.push(finding) === 1 },
    log: pino({ level: "silent" }),
    nowMs,
    random: () => 0.5,
  });
});
afterEach(() => {
  eviction.close();
  vi.useRealTimers();
});

function answer(on: Vni): Answer {
  const binding = { mac: mac("52:54:00:00:00:01"), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 };
  return { key: { kind: "ip", vni: on, ip: ip("10.20.1.1") }, revision: rev(1), binding };
}

test("networks are read one after the other, all of them in a sixteenth of the idle time", async () => {
  await vi.advanceTimersByTimeAsync(idleMs / 16 / 3);
  expect(read).toEqual([100]);
  await vi.advanceTimersByTimeAsync(idleMs / 16);
  expect(read).toEqual([100, 200, 300, 100]);
});

test("idle entries are evicted within a sixteenth of the idle time, separately for each network", async () => {
  await vi.advanceTimersByTimeAsync(idleMs / 2);
  tables.use(vni(200), mac("52:54:00:00:00:01"));
  await vi.advanceTimersByTimeAsync(idleMs / 2 + idleMs / 16);
  expect(evicted.map(keyText).sort()).toEqual(
    ["100 10.20.1.1", "100 52:54:00:00:00:01", "300 10.20.1.1", "300 52:54:00:00:00:01"].sort(),
  );
  expect(eviction.aged).toBe(4);
});

test("more idle entries than fit into one batch go at the same reading", async () => {
  const count = 2 * maxIdleAtOnce;
  const many = Array.from({ length: count }, (_, n): Answer => {
    const [high, low] = [n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, "0"));
    const one = answer(vni(100));
    return {
      ...one,
      key: { kind: "ip", vni: vni(100), ip: ip(`10.21.${n >> 8}.${n & 255}`) },
      binding: one.binding && { ...one.binding, mac: mac(`52:54:00:01:${high}:${low}`) },
    };
  });
  await tables.apply(held.take(many, Date.now()).operations);
  await vi.advanceTimersByTimeAsync(idleMs + idleMs / 16);
  expect(held.size).toBe(0);
  expect(eviction.aged).toBe(2 * (count + networks.length));
});

test("nothing is evicted without a session; idle entries are once there is one", async () => {
  live = false;
  await vi.advanceTimersByTimeAsync(10 * idleMs);
  expect(evicted).toEqual([]);
  live = true;
  await vi.advanceTimersByTimeAsync(idleMs / 16);
  expect(evicted).toHaveLength(6);
});

test("ages that cannot be read evict nothing, and are read again", async () => {
  refuse = true;
  await vi.advanceTimersByTimeAsync(2 * idleMs);
  expect(evicted).toEqual([]);
  refuse = false;
  await vi.advanceTimersByTimeAsync(idleMs / 16);
  expect(evicted).toHaveLength(6);
});

test("near a cap all are read at once, but at most every five seconds", async () => {
  for (let i = 0; i < 100; i++) eviction.hurry();
  await vi.advanceTimersByTimeAsync(0);
  expect(read).toEqual(networks);
  await vi.advanceTimersByTimeAsync(4_900);
  const before = read.length;
  eviction.hurry();
  expect(read).toHaveLength(before);
  await vi.advanceTimersByTimeAsync(100);
  const later = read.length;
  eviction.hurry();
  expect(read.slice(later)).toEqual(networks);
  expect(noted.map(({ kind }) => kind)).toEqual(["room-short", "room-short"]);
});

test("nothing happens after the end, not even with ages that were being read then", async () => {
  await vi.advanceTimersByTimeAsync(idleMs - 1);
  vi.setSystemTime(Date.now() + idleMs);
  eviction.hurry();
  eviction.close();
  await vi.advanceTimersByTimeAsync(10 * idleMs);
  expect(evicted).toEqual([]);
});

test("idle entries of a network that has all in the kernel stay, and their ages are known for the limits", async () => {
  kept.add(vni(200));
  await vi.advanceTimersByTimeAsync(2 * idleMs);
  expect(read).toContain(200);
  expect(new Set(evicted.map(({ vni: on }) => on))).toEqual(new Set([100, 300]));
});
