import { beforeEach, describe, expect, test } from "vitest";
import type { Miss } from "../../node-agent/misses/miss.ts";
import { allowances, MissResolver } from "../../node-agent/misses/resolver.ts";
import type { WaitingGuest } from "../../node-agent/misses/waiting.ts";
import type { Entry } from "../../node-agent/tables/entry.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import type { Answer, BindingKey, MacAddress } from "../../schema/address/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const network = vni(100);
const miss = { kind: "l3miss", vni: network, ip: ip("10.20.1.1") } as const satisfies Miss;
const key = { kind: "ip", vni: network, ip: ip("10.20.1.1") } as const;
const found: Answer = {
  key,
  revision: rev(5),
  binding: { mac: mac("52:54:00:00:00:01"), host: "b", vtep: vtep("192.0.2.2"), vtepPort: 4789 },
};
const unknown: Answer = { key, revision: rev(5), binding: null };
/** A network exists on a host that has a VM in it. */
const own: Answer = {
  key: { kind: "mac", vni: network, mac: mac("52:54:00:00:00:0a") },
  revision: rev(1),
  binding: { mac: mac("52:54:00:00:00:0a"), host: "a", vtep: vtep("192.0.2.1"), vtepPort: 4789, local: true },
};

describe("the resolver", () => {
  let held: HeldAnswers;
  let resolver: MissResolver;
  let asked: BindingKey[][];
  let reasserted: Entry[][];
  let askers: Map<string, WaitingGuest>;
  let exceeded: (MacAddress | undefined)[];
  let ignored: MacAddress[];
  let suspect: MacAddress | undefined;
  let readingDone: () => void;
  let nowMs: number;

  beforeEach(() => {
    held = new HeldAnswers();
    held.take([own], 0);
    asked = [];
    reasserted = [];
    askers = new Map();
    exceeded = [];
    ignored = [];
    suspect = undefined;
    nowMs = 1_000;
    let later: (() => void)[] = [];
    readingDone = () => {
      const callbacks = later;
      later = [];
      for (const callback of callbacks) callback();
    };
    resolver = new MissResolver({
      held,
      askers: {
        missed: () => {},
        listen: () => {},
        askerOf: (_, target) => askers.get(target),
        suspectIn: () => suspect,
        locate: () => {},
        ignore: (_, guest) => void ignored.push(guest),
      },
      uplink: {
        send: (frame) => {
          if (frame.type === "resolve") asked.push(frame.questions.map(({ asker: _, ...each }) => each));
        },
        nextId: () => 1,
      },
      overBudget: (_, guest) => void exceeded.push(guest),
      reassert: (entries) => void reasserted.push([...entries]),
      afterReading: (callback) => void later.push(callback),
      nowMs: () => nowMs,
    });
  });

  function answer(given: Answer): void {
    resolver.onAnswers([given]);
    held.take([given], nowMs);
  }

  test("the first miss is asked at once, and misses already waiting behind it in one more frame", () => {
    resolver.onMiss(miss);
    expect(asked).toEqual([[key]]);
    resolver.onMiss({ kind: "l2miss", vni: network, mac: mac("52:54:00:00:00:09") });
    resolver.onMiss({ kind: "l2miss", vni: network, mac: mac("52:54:00:00:00:0b") });
    expect(asked).toHaveLength(1);
    readingDone();
    expect(asked.slice(1)).toEqual([
      [
        { kind: "mac", vni: network, mac: "52:54:00:00:00:09" },
        { kind: "mac", vni: network, mac: "52:54:00:00:00:0b" },
      ],
    ]);
  });

  test("a miss in flight is asked once, however often the guest repeats it", () => {
    resolver.onMiss(miss);
    readingDone();
    resolver.onMiss(miss);
    resolver.onMiss(miss);
    readingDone();
    expect(asked).toEqual([[key]]);
    expect(resolver.counters).toMatchObject({ missed: 3, asked: 1, joined: 2 });
  });

  test("a miss for a cached answer is answered from memory", () => {
    answer(found);
    resolver.onMiss(miss);
    readingDone();
    expect(asked).toEqual([]);
    expect(reasserted.flat().map((entry) => entry.kind)).toEqual(["tunnel", "bridge", "neighbour"]);
  });

  test("an address unknown to the controller is quiet for longer and longer, up to a minute", () => {
    for (const quiet of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      const before = asked.length;
      resolver.onMiss(miss);
      readingDone();
      expect(asked).toHaveLength(before + 1);
      answer(unknown);
      nowMs += quiet - 1;
      resolver.onMiss(miss);
      readingDone();
      expect(asked).toHaveLength(before + 1);
      nowMs += 1;
    }
  });

  test("an address is known at once when it is registered", () => {
    answer(unknown);
    answer({ ...found, revision: rev(6) });
    resolver.onMiss(miss);
    readingDone();
    expect(asked).toEqual([]);
    expect(reasserted).toHaveLength(1);
  });

  test("a miss for a VM on this host is left to the bridge", () => {
    answer({ ...found, binding: found.binding && { ...found.binding, local: true } });
    resolver.onMiss(miss);
    readingDone();
    expect([asked, reasserted]).toEqual([[], []]);
    expect(resolver.counters.local).toBe(1);
  });

  test("unanswered questions are the first of the next session", () => {
    resolver.onMiss(miss);
    readingDone();
    expect(resolver.unanswered()).toEqual([key]);
    answer(found);
    expect(resolver.unanswered()).toEqual([]);
  });

  test("an answer has the times at which its miss was read, asked and answered", () => {
    resolver.onMiss({ kind: "l2miss", vni: network, mac: mac("52:54:00:00:00:09") });
    resolver.onMiss(miss);
    nowMs = 1_001;
    readingDone();
    nowMs = 1_003;
    expect(resolver.onAnswers([found])).toMatchObject([{ miss, missedMs: 1_000, askedMs: 1_001, answeredMs: 1_003 }]);
  });

  const target = (i: number) => ip(`10.${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`);
  const scanner = { mac: mac("52:54:00:00:00:aa"), ip: ip("10.20.9.9") };

  function scan(count: number, by: WaitingGuest | undefined): void {
    for (let i = 1; i <= count; i++) {
      if (by) askers.set(target(i), by);
      resolver.onMiss({ ...miss, ip: target(i) });
      if (i % 32 === 0) readingDone();
    }
    readingDone();
  }

  test("a guest that scans uses up its own budget, and another guest's question is sent", () => {
    scan(10_000, scanner);
    expect(asked.flat()).toHaveLength(allowances.guest.burst);
    expect(new Set(exceeded)).toEqual(new Set([scanner.mac]));
    expect(new Set(ignored)).toEqual(new Set([scanner.mac]));
    askers.set("10.99.0.1", { mac: mac("52:54:00:00:00:bb"), ip: ip("10.20.9.8") });
    resolver.onMiss({ ...miss, ip: ip("10.99.0.1") });
    readingDone();
    expect(asked.at(-1)).toEqual([{ kind: "ip", vni: 100, ip: "10.99.0.1" }]);
  });

  test("a scan from an unheard source is limited by the network's budget, and another network is not affected", () => {
    scan(70_000, undefined);
    expect(asked.flat()).toHaveLength(allowances.network.burst);
    resolver.onMiss({ ...miss, vni: vni(200) });
    readingDone();
    expect(asked.at(-1)).toEqual([{ ...key, vni: 200 }]);
  });

  test("while a scanning guest is filtered, questions of unheard sources are charged to it, not to the network", () => {
    suspect = scanner.mac;
    scan(70_000, undefined);
    expect(asked.flat()).toHaveLength(allowances.guest.burst);
    expect(new Set(exceeded)).toEqual(new Set([scanner.mac]));
    askers.set("10.99.0.1", { mac: mac("52:54:00:00:00:bb"), ip: ip("10.20.9.8") });
    resolver.onMiss({ ...miss, ip: ip("10.99.0.1") });
    readingDone();
    expect(asked.at(-1)).toEqual([{ kind: "ip", vni: 100, ip: "10.99.0.1" }]);
  });

  test("scans in several networks are limited by the host's budget, which is restored over time", () => {
    const networks = [100, 200, 300].map(vni);
    const scanAll = (): void => {
      for (const each of networks) {
        for (let i = 1; i <= allowances.network.burst; i++) resolver.onMiss({ ...miss, vni: each, ip: target(i) });
        readingDone();
      }
    };
    scanAll();
    expect(asked.flat()).toHaveLength(allowances.host.burst);
    expect(resolver.counters.overBudget).toBe(networks.length * allowances.network.burst - allowances.host.burst);
    expect(new Set(exceeded)).toEqual(new Set([undefined]));
    for (const each of asked.flat()) resolver.onAnswers([{ key: each, revision: rev(5), binding: null }]);
    nowMs += 1_000;
    scanAll();
    expect(asked.flat()).toHaveLength(allowances.host.burst + allowances.host.perSecond);
  });

  test("questions in flight are limited, and the oldest are dropped for the newest", () => {
    const seconds = 10;
    for (let second = 0; second < seconds; second++) {
      for (let i = 1; i <= 900; i++) resolver.onMiss({ ...miss, ip: target(900 * second + i) });
      readingDone();
      nowMs += 1_000;
    }
    const all = Array.from({ length: 900 * seconds }, (_, i) => target(i + 1));
    expect(asked.flat()).toHaveLength(all.length);
    const inFlight = resolver.unanswered().map((each) => each.kind === "ip" && each.ip);
    expect(inFlight).toEqual(all.slice(-4_096));
  });

  test("a budget is restored over time", () => {
    scan(1_000, scanner);
    expect(asked.flat()).toHaveLength(allowances.guest.burst);
    nowMs += 1_000;
    scan(2_000, scanner);
    expect(asked.flat()).toHaveLength(allowances.guest.burst + allowances.guest.perSecond);
  });
});
