// What the thread for networks in memory has answered (ADR 0230), and how many answers it may give before they are counted.
import { beforeEach, describe, expect, test } from "vitest";
import type { Miss, ThreadAnswer } from "../../node-agent/misses/miss.ts";
import { allowances, MissResolver, maxUncounted } from "../../node-agent/misses/resolver.ts";
import { type ServedDevice, ServedNetworks } from "../../node-agent/misses/served-networks.ts";
import type { Timeline } from "../../node-agent/misses/timeline.ts";
import type { WaitingGuest } from "../../node-agent/misses/waiting.ts";
import type { HeldAnswers } from "../../node-agent/tables/held.ts";
import type { AnsweringTable } from "../../node-agent/tables/replicas.ts";
import type { Answer, BindingKey, MacAddress, Vni } from "../../schema/address/index.ts";
import type { Question } from "../../schema/agent/index.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const red = vni(200);
const target = ip("10.20.1.9");
const guest: WaitingGuest = { mac: mac("52:54:00:00:00:0a"), ip: ip("10.20.1.1") };
const binding = { mac: mac("52:54:00:00:00:09"), vtep: vtep("192.0.2.2"), vtepPort: 4789 };

const missOf = (network: Vni, address = target) =>
  ({ kind: "l3miss", vni: network, ip: address }) as const satisfies Miss;
const numbered = (n: number) => ip(`10.20.${2 + (n >> 8)}.${n & 255}`);

function answered({ network = blue, address = target, asker = guest, replied = true } = {}): ThreadAnswer {
  return {
    miss: missOf(network, address),
    missedMs: 1,
    writtenMs: 2,
    ...(replied ? { repliedMs: 3 } : {}),
    asker,
    written: { vni: network, ip: address, ...binding },
    revision: rev(5),
  };
}

describe("the resolver", () => {
  let resolver: MissResolver;
  let known: ReturnType<HeldAnswers["lookUp"]>;
  let found: Answer | null | undefined;
  let asker: WaitingGuest | undefined;
  let here: { answers: readonly Answer[]; misses: readonly Timeline[]; unknown: readonly Timeline[] }[];
  let corrected: ThreadAnswer[][];
  let asked: Question[];
  let missed: BindingKey["vni"][];
  let served: [Vni, string, MacAddress][];
  let located: WaitingGuest[];
  let exceeded: (MacAddress | undefined)[];
  let allowed: Map<Vni, number>;
  let grants: number;
  let servedCount: number;
  let nowMs: number;
  let later: (() => void)[];

  const readingDone = () => {
    for (const callback of later.splice(0)) callback();
  };
  const inTable = (network = blue): Answer => ({
    key: { kind: "ip", vni: network, ip: target },
    revision: rev(5),
    binding: { ...binding, host: "b" },
  });

  beforeEach(() => {
    known = { kind: "nothing" };
    found = inTable();
    asker = undefined;
    [here, corrected, asked, missed, served, located, exceeded, later] = [[], [], [], [], [], [], [], []];
    allowed = new Map();
    grants = 0;
    servedCount = 1;
    nowMs = 1_000;
    resolver = new MissResolver({
      held: { lookUp: () => known },
      replicas: { lookUp: () => found },
      answerHere: (answers, misses, unknown) => void here.push({ answers, misses, unknown }),
      askers: {
        missed: (network) => void missed.push(network),
        isAwaited: () => false,
        listen: () => {},
        askerOf: () => asker,
        suspectIn: () => undefined,
        answered: (network, address, by) => void served.push([network, address, by]),
        locate: (_, by) => void located.push(by),
        ignore: () => {},
      },
      uplink: {
        send: (frame) => {
          if (frame.type === "resolve") asked.push(...frame.questions);
        },
        nextId: () => 1,
      },
      thread: {
        allow: (network, count) => {
          allowed.set(network, count);
          grants += 1;
        },
        get servedCount() {
          return servedCount;
        },
      },
      overBudget: (_, by) => void exceeded.push(by),
      correct: (answers) => void corrected.push([...answers]),
      reassert: () => {},
      afterReading: (callback) => void later.push(callback),
      nowMs: () => nowMs,
    });
  });

  test("takes an answer of the thread as a miss that is answered, whose guest waits no more", () => {
    resolver.onThreadAnswer(answered());
    expect(resolver.counters).toMatchObject({ missed: 1, byThread: 1, here: 1, joined: 0, asked: 0 });
    expect([missed, served]).toEqual([[], [[blue, target, guest.mac]]]);
    expect(corrected).toEqual([[answered()]]);
    expect(here).toEqual([
      { answers: [inTable()], misses: [{ miss: missOf(blue), missedMs: 1, byThread: answered() }], unknown: [] },
    ]);
    expect([asked, located]).toEqual([[], []]);
  });

  test("has the guest wait where the thread could not send the reply", () => {
    resolver.onThreadAnswer(answered({ replied: false }));
    expect([missed, served]).toEqual([[blue], []]);
  });

  test("reads several answers of the thread at once, also for one address", () => {
    resolver.onThreadAnswer(answered());
    resolver.onThreadAnswer(answered({ replied: false }));
    resolver.onThreadAnswer(answered());
    expect(corrected).toHaveLength(1);
    readingDone();
    expect(corrected).toEqual([[answered()], [answered({ replied: false }), answered()]]);
    expect(resolver.counters).toMatchObject({ missed: 3, byThread: 3, here: 2, joined: 1 });
  });

  test("corrects nothing where the thread has answered nothing", () => {
    resolver.onMiss(missOf(blue));
    expect([here.length, corrected]).toEqual([1, []]);
  });

  test("looks for the port of a guest that the thread has not answered", () => {
    asker = guest;
    resolver.onMiss(missOf(blue));
    found = null;
    readingDone();
    resolver.onMiss(missOf(blue));
    expect(located).toEqual([guest]);
  });

  test("asks the controller where the network is one on demand by now, and keeps the thread's answer until then", () => {
    found = undefined;
    resolver.onThreadAnswer(answered());
    expect(here.map(({ answers, misses }) => [answers, misses])).toEqual([
      [[{ key: { kind: "ip", vni: blue, ip: target }, revision: 5, binding: { ...binding, host: "" } }], []],
    ]);
    expect(asked).toEqual([{ kind: "ip", vni: blue, ip: target, asker: guest.ip }]);
    readingDone();
    resolver.onMiss(missOf(blue, ip("10.20.1.10")));
    expect(here).toHaveLength(1);
  });

  test("does not ask for a local VM, and for an absent address only where no table has it", () => {
    known = { kind: "local" };
    resolver.onThreadAnswer(answered());
    expect(resolver.counters).toMatchObject({ local: 1, here: 0 });
    readingDone();
    known = { kind: "absent", times: 1, forMs: 0 };
    resolver.onThreadAnswer(answered());
    expect(resolver.counters).toMatchObject({ quiet: 0, here: 1 });
    found = undefined;
    readingDone();
    resolver.onThreadAnswer(answered());
    expect(resolver.counters).toMatchObject({ quiet: 1, here: 1 });
  });

  describe("allows the thread so many uncounted answers", () => {
    const misses = (count: number, network = blue) => {
      for (let n = 0; n < count; n++) resolver.onMiss(missOf(network, numbered(n)));
      readingDone();
    };
    const answers = (count: number, of: Parameters<typeof answered>[0] = {}) => {
      for (let n = 0; n < count; n++) resolver.onThreadAnswer(answered({ ...of, address: numbered(n) }));
      readingDone();
    };

    test("as it may give at most, from when it serves a network", () => {
      resolver.grant(red);
      expect([...allowed]).toEqual([[red, maxUncounted]]);
      misses(1);
      expect([...allowed]).toEqual([
        [red, maxUncounted],
        [blue, maxUncounted],
      ]);
    });

    test("as the network has left, and none when it has used up more", () => {
      const left = maxUncounted / 2;
      misses(allowances.network.burst - left);
      expect(allowed.get(blue)).toBe(left);
      // Twenty guests, so that none of them is low.
      for (let n = 0; n < left; n++) {
        const other = { ...guest, mac: mac(`52:54:00:00:01:${(n % 20).toString(16).padStart(2, "0")}`) };
        resolver.onThreadAnswer(answered({ address: numbered(n), asker: other }));
        readingDone();
      }
      expect([allowed.get(blue), exceeded]).toEqual([0, []]);
      resolver.onThreadAnswer(answered());
      expect(resolver.budgets(nowMs).networks).toEqual([{ vni: blue, left: -1 }]);
      expect(allowed.get(blue)).toBe(0);
      resolver.grant(red);
      expect(allowed.get(red)).toBe(maxUncounted);
    });

    test("as its share of what the host has left", () => {
      servedCount = 64;
      misses(1_000);
      const share = (left: number) => Math.floor(left / 64);
      expect(allowed.get(blue)).toBe(share(allowances.host.burst - 1_000));
      servedCount = 0;
      resolver.grant(blue);
      expect(allowed.get(blue)).toBe(maxUncounted);
    });

    test("none while a guest of the network has little left: the main thread judges each miss then", () => {
      answers(allowances.guest.burst - maxUncounted);
      expect(allowed.get(blue)).toBe(maxUncounted);
      resolver.onThreadAnswer(answered());
      expect(allowed.get(blue)).toBe(0);
      resolver.grant(red);
      expect(allowed.get(red)).toBe(maxUncounted);
      // Its budget is refilled: one query in five milliseconds.
      nowMs += 4;
      resolver.grant(blue);
      expect(allowed.get(blue)).toBe(0);
      nowMs += 1;
      resolver.grant(blue);
      expect(allowed.get(blue)).toBe(maxUncounted);
    });

    test("again after each reading, once for each network", () => {
      grants = 0;
      misses(1);
      expect(grants).toBe(1);
      found = inTable(red);
      resolver.onMiss(missOf(red));
      resolver.onMiss(missOf(blue));
      resolver.onMiss(missOf(red, numbered(7)));
      grants = 0;
      readingDone();
      expect(grants).toBe(2);
    });
  });
});

describe("networks that the thread serves", () => {
  const device: ServedDevice = { ifindex: 5, bridgeIfindex: 6 };
  const table = { table: {}, untilMs: 7 } as unknown as AnsweringTable;

  test("are those with devices and a table, as soon as they have both and as long as they do", () => {
    const calls: unknown[][] = [];
    let shared: AnsweringTable | undefined;
    const networks = new ServedNetworks({
      thread: {
        serve: (...given) => void calls.push(["serve", ...given]),
        leave: (network) => void calls.push(["leave", network]),
      },
      replicas: { shared: () => shared },
      grant: (network) => void calls.push(["grant", network]),
    });
    const taken = () => calls.splice(0);
    networks.onTable(blue);
    expect(taken()).toEqual([]);
    networks.onDevice(blue, device);
    expect(taken()).toEqual([["leave", blue]]);
    shared = table;
    networks.onTable(blue);
    expect(taken()).toEqual([
      ["serve", blue, device, table],
      ["grant", blue],
    ]);
    networks.onTable(red);
    expect(taken()).toEqual([]);
    networks.onDevice(red, { ...device, ifindex: 8 });
    expect(taken()).toEqual([
      ["serve", red, { ...device, ifindex: 8 }, table],
      ["grant", red],
    ]);
    networks.onDeviceGone(blue);
    expect(taken()).toEqual([["leave", blue]]);
    networks.onTable(blue);
    expect(taken()).toEqual([]);
  });
});
