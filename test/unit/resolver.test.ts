import { beforeEach, describe, expect, test } from "vitest";
import type { Miss, ThreadAnswer } from "../../node-agent/misses/miss.ts";
import { allowances, MissResolver } from "../../node-agent/misses/resolver.ts";
import type { Timeline } from "../../node-agent/misses/timeline.ts";
import type { WaitingGuest } from "../../node-agent/misses/waiting.ts";
import type { Entry } from "../../node-agent/tables/entry.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import type { Replicas } from "../../node-agent/tables/replicas.ts";
import type { Answer, BindingKey, MacAddress, Vni } from "../../schema/address/index.ts";
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
  let listened: Vni[];
  let shown: (readonly Timeline[])[];
  let reasserted: Entry[][];
  let askers: Map<string, WaitingGuest>;
  let exceeded: (MacAddress | undefined)[];
  let ignored: MacAddress[];
  let missed: string[];
  let located: [Vni, WaitingGuest][];
  let served: MacAddress[];
  let corrected: ThreadAnswer[];
  let suspect: MacAddress | undefined;
  let readingDone: () => void;
  let nowMs: number;
  let replica: Replicas["lookUp"];
  let here: { answers: readonly Answer[]; misses: readonly Timeline[]; unknown: readonly Timeline[] }[];

  beforeEach(() => {
    replica = () => undefined;
    here = [];
    held = new HeldAnswers();
    held.take([own], 0);
    asked = [];
    listened = [];
    shown = [];
    reasserted = [];
    askers = new Map();
    exceeded = [];
    ignored = [];
    missed = [];
    located = [];
    served = [];
    corrected = [];
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
      replicas: { lookUp: (each, atMs) => replica(each, atMs) },
      answerHere: (answers, misses, unknown) => void here.push({ answers, misses, unknown }),
      askers: {
        missed: (on, address) => void missed.push(`${on} ${address}`),
        isAwaited: () => false,
        listen: (each) => void listened.push(each),
        askerOf: (_, target) => askers.get(target),
        suspectIn: () => suspect,
        answered: (_, __, guest) => void served.push(guest),
        locate: (on, guest) => void located.push([on, guest]),
        ignore: (_, guest) => void ignored.push(guest),
      },
      uplink: {
        send: (frame) => {
          if (frame.type === "resolve") asked.push(frame.questions.map(({ asker: _, ...each }) => each));
        },
        nextId: () => 1,
      },
      overBudget: (_, guest) => void exceeded.push(guest),
      correct: (answers) => void corrected.push(...answers),
      reassert: (entries, misses) => {
        reasserted.push([...entries]);
        shown.push(misses);
      },
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

  test("guests may wait for missed IPs, and for no MAC", () => {
    resolver.onMiss(miss);
    resolver.onMiss({ kind: "l2miss", vni: network, mac: mac("52:54:00:00:00:09") });
    resolver.onMiss(miss);
    readingDone();
    expect(missed).toEqual(["100 10.20.1.1", "100 10.20.1.1"]);
  });

  test("a guest that asks is located, so that its answer is sent at once; one that was not heard is not", () => {
    const guest = { mac: mac("52:54:00:00:00:aa"), ip: ip("10.20.1.9") };
    askers.set("10.20.1.1", guest);
    resolver.onMiss(miss);
    resolver.onMiss({ ...miss, ip: ip("10.20.1.2") });
    readingDone();
    expect(located).toEqual([[network, guest]]);
  });

  test("without an announcer misses are asked for and limited all the same", () => {
    const sent: string[] = [];
    const over: (MacAddress | undefined)[] = [];
    const alone = new MissResolver({
      held,
      replicas: { lookUp: () => undefined },
      answerHere: () => {},
      askers: undefined,
      uplink: { send: ({ type }) => void sent.push(type), nextId: () => 1 },
      overBudget: (_, guest) => void over.push(guest),
      reassert: () => {},
      correct: () => {},
      afterReading: () => {},
      nowMs: () => nowMs,
    });
    alone.onMiss(miss);
    alone.refuse(network, mac("52:54:00:00:00:aa"));
    expect([sent, over]).toEqual([["resolve"], ["52:54:00:00:00:aa"]]);
  });

  test("only a guest is ignored, not a network or host over its budget", () => {
    resolver.refuse(network, undefined);
    resolver.refuse(network, mac("52:54:00:00:00:aa"));
    expect([exceeded, ignored]).toEqual([[undefined, "52:54:00:00:00:aa"], ["52:54:00:00:00:aa"]]);
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

  test("a miss that is answered from memory is shown with the entries that it lost, and counted", () => {
    answer(found);
    resolver.onMiss(miss);
    expect(shown).toEqual([[{ miss, missedMs: 1_000 }]]);
    expect(resolver.counters).toMatchObject({ reasserted: 1, asked: 0, quiet: 0 });
    answer(unknown);
    expect(resolver.onAnswers([unknown])).toEqual([]);
  });

  test("guests of the networks that miss are listened to, once for all misses that are read together", () => {
    resolver.onMiss(miss);
    resolver.onMiss({ ...miss, vni: vni(200) });
    resolver.onMiss({ ...miss, ip: ip("10.20.1.2") });
    readingDone();
    resolver.onMiss({ ...miss, ip: ip("10.20.1.3") });
    readingDone();
    expect(listened).toEqual([100, 200, 100, 100]);
  });

  test("a network in memory answers before the controller is asked, also that an address is not registered", () => {
    const other = { ...miss, ip: ip("10.20.1.2") };
    replica = (each) => (each.kind === "ip" && each.ip === miss.ip ? found : null);
    askers.set(miss.ip, { mac: mac("52:54:00:00:00:aa"), ip: ip("10.20.1.9") });
    // Later than the controller's last word.
    answer(unknown);
    resolver.onMiss(miss);
    resolver.onMiss(other);
    readingDone();
    expect(asked).toEqual([]);
    expect(here.flatMap(({ answers }) => answers)).toEqual([found]);
    expect(here.flatMap(({ misses }) => misses)).toEqual([{ miss, missedMs: 1_000 }]);
    expect(here.flatMap(({ unknown: none }) => none)).toEqual([{ miss: other, missedMs: 1_000 }]);
    expect(located).toHaveLength(1);
    expect(resolver.counters).toMatchObject({ missed: 2, here: 1, unregistered: 1, asked: 0, quiet: 0 });
    expect(resolver.unanswered()).toEqual([]);
  });

  test("of a network in memory, this host's own VMs are local, and cached entries are written again", () => {
    replica = () => ({ ...found, binding: found.binding && { ...found.binding, local: true } });
    resolver.onMiss(miss);
    replica = () => null;
    answer(found);
    resolver.onMiss(miss);
    readingDone();
    expect(resolver.counters).toMatchObject({ local: 1, reasserted: 1, unregistered: 0 });
    expect(here).toEqual([]);
  });

  test("an unknown address that is missed again is counted as quiet", () => {
    answer(unknown);
    resolver.onMiss(miss);
    expect(resolver.counters).toMatchObject({ missed: 1, quiet: 1, asked: 0 });
  });

  test("only a miss of an IP is of a guest that asked: a MAC's is charged to its network alone", () => {
    suspect = mac("52:54:00:00:00:aa");
    resolver.onMiss({ kind: "l2miss", vni: network, mac: mac("52:54:00:00:00:09") });
    expect(resolver.budgets(nowMs)).toEqual({
      host: allowances.host.burst - 1,
      networks: [{ vni: 100, left: allowances.network.burst - 1 }],
      guests: [],
    });
  });

  test("misses that wait for an answer are listed with their times, the oldest first", () => {
    expect(resolver.waiting()).toEqual([]);
    resolver.onMiss(miss);
    nowMs = 1_001;
    resolver.onMiss({ ...miss, ip: ip("10.20.1.2") });
    readingDone();
    expect(resolver.waiting()).toEqual([
      { miss, missedMs: 1_000, askedMs: 1_000 },
      { miss: { ...miss, ip: "10.20.1.2" }, missedMs: 1_001, askedMs: 1_001 },
    ]);
    answer(found);
    expect(resolver.waiting()).toHaveLength(1);
  });

  test("budgets are full before the first question", () => {
    expect(resolver.budgets(nowMs)).toEqual({ host: allowances.host.burst, networks: [], guests: [] });
  });

  test("of budgets, the guests with the least left are listed first, sixteen at most, and none that are full again", () => {
    const guest = (n: number) => ({
      mac: mac(`52:54:00:00:01:${n.toString(16).padStart(2, "0")}`),
      ip: ip("10.20.9.9"),
    });
    let address = 1;
    const ask = (by: WaitingGuest, times: number) => {
      for (let i = 0; i < times; i++) {
        const each = target(address++);
        askers.set(each, by);
        resolver.onMiss({ ...miss, ip: each });
      }
      readingDone();
    };
    ask(guest(200), 1);
    nowMs += 1_000;
    for (const n of [3, 1, 2]) ask(guest(n), n);
    for (let n = 4; n < 24; n++) ask(guest(n), 30);
    const { guests, networks, host } = resolver.budgets(nowMs);
    expect(guests).toHaveLength(16);
    expect(new Set(guests.map(({ left }) => left))).toEqual(new Set([allowances.guest.burst - 30]));
    expect(networks).toEqual([{ vni: 100, left: allowances.network.burst - 606 }]);
    expect(host).toBe(allowances.host.burst - 606);
    nowMs += 100;
    const later = resolver.budgets(nowMs).guests;
    expect(later.map(({ name }) => name)).not.toContain(`100 ${guest(3).mac}`);
    expect(later[0]).toEqual({ name: `100 ${guest(4).mac}`, left: allowances.guest.burst - 10 });
  });

  test("budgets are sorted by what is left, not by who asked first", () => {
    for (const [n, times] of [
      [1, 2],
      [2, 7],
      [3, 5],
    ] as const) {
      const by = { mac: mac(`52:54:00:00:01:0${n}`), ip: ip("10.20.9.9") };
      for (let i = 0; i < times; i++) {
        askers.set(target(100 * n + i), by);
        resolver.onMiss({ ...miss, ip: target(100 * n + i) });
      }
      readingDone();
    }
    expect(resolver.budgets(nowMs).guests.map(({ left }) => allowances.guest.burst - left)).toEqual([7, 5, 2]);
    nowMs += 1_000;
    expect(resolver.budgets(nowMs).guests).toEqual([]);
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
    expect(resolver.budgets(nowMs).networks).toEqual([
      { vni: 100, left: allowances.network.burst - allowances.guest.burst },
    ]);
    expect(asked.flat()).toHaveLength(allowances.guest.burst);
    expect(new Set(exceeded)).toEqual(new Set([scanner.mac]));
    expect(new Set(ignored)).toEqual(new Set([scanner.mac]));
    askers.set("10.99.0.1", { mac: mac("52:54:00:00:00:bb"), ip: ip("10.20.9.8") });
    resolver.onMiss({ ...miss, ip: ip("10.99.0.1") });
    readingDone();
    expect(asked.at(-1)).toEqual([{ kind: "ip", vni: 100, ip: "10.99.0.1" }]);
  });

  test("a guest whose network has used up its budget is not the one that is named", () => {
    scan(allowances.network.burst, undefined);
    askers.set("10.99.0.1", scanner);
    resolver.onMiss({ ...miss, ip: ip("10.99.0.1") });
    readingDone();
    expect(exceeded).toEqual([undefined]);
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
