// What bases and deltas of a network in memory change on a host: frames into an agent's core, without a kernel.
import { beforeEach, describe, expect, test } from "vitest";
import { Uplink } from "../../node-agent/controller-link/uplink.ts";
import type { Core } from "../../node-agent/core.ts";
import { defaultCaps } from "../../node-agent/tables/ageing.ts";
import { type AgentNetwork, type Answer, type BindingKey, keyText } from "../../schema/address/index.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { coreOn, inertEdges, processClock } from "../../testkit/agent-core.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const network: AgentNetwork = { name: "blue", vni: blue, mtu: 1450, revision: rev(1), knowledge: "replicate" };
const ipKey = (n: number): BindingKey => ({ kind: "ip", vni: blue, ip: ip(`10.20.${n >> 8}.${n & 255}`) });
const macOf = (n: number) =>
  mac(`52:54:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`);
const answer = (n: number, revision = 1, host = "b"): Answer => ({
  key: ipKey(n),
  revision: rev(revision),
  binding: {
    mac: macOf(n),
    host,
    vtep: vtep(host === "b" ? "192.0.2.2" : "192.0.2.3"),
    vtepPort: 4789,
    ...(host === "a" ? { local: true } : {}),
  },
});
const tombstone = (n: number, revision: number): Answer => ({ key: ipKey(n), revision: rev(revision), binding: null });

describe("a network in memory", () => {
  let core: Core;
  let sent: AgentFrame[];
  let later: (() => void)[];
  let isLive: boolean;
  let nowMs: number;

  const ids = () => sent.flatMap((frame) => (frame.type === "subscribe" ? [frame.id] : []));
  const base = (answers: Answer[], more: object = {}) =>
    core.session.onBase({ type: "base", id: ids().at(-1) ?? 0, asOf: rev(5), vni: blue, answers, end: true, ...more });
  const delta = (asOf: number, ...answers: Answer[]) =>
    core.session.onDelta({ type: "delta", asOf: rev(asOf), vni: blue, answers });
  const miss = (n: number) => {
    core.resolver.onMiss({ kind: "l3miss", vni: blue, ip: ip(`10.20.${n >> 8}.${n & 255}`) });
  };
  const changed = (knowledge?: "replicate" | "prefetch") => {
    const { knowledge: _, ...described } = network;
    const networks = [{ ...described, ...(knowledge ? { knowledge } : {}) }];
    core.session.onChanges({ type: "changes", asOf: rev(6), networks, gone: [], answers: [], end: true });
  };
  /** @param since the host has everything up to there */
  const begin = (networks: readonly AgentNetwork[], protocol = 2, since?: number) => {
    isLive = true;
    const end = { host: "a", vtep: vtep("192.0.2.1"), vtepPort: 4789 };
    core.session.onWelcome({ type: "welcome", protocol, epoch: "one", asOf: rev(4), ...end });
    const position = since === undefined ? {} : { since: rev(since) };
    const answers = [answer(1, 1, "a")];
    core.session.onSnapshot({ type: "snapshot", asOf: rev(4), ...position, networks, answers, end: true });
  };
  const placeOf = (n: number) => {
    const fact = core.held.find(ipKey(n));
    return fact?.kind === "remote" ? fact.vtep : fact?.kind;
  };
  const questions = () => sent.flatMap((frame) => (frame.type === "resolve" ? frame.questions.map(keyText) : []));
  const used = () => sent.flatMap((frame) => (frame.type === "used" ? frame.keys.map(keyText) : []));

  const start = (maxReplicaBytes = 2 ** 20, caps = defaultCaps, maxStaleMs = Number.POSITIVE_INFINITY) => {
    nowMs = 0;
    sent = [];
    later = [];
    isLive = false;
    const uplink = new Uplink();
    uplink.attach({
      get isLive() {
        return isLive;
      },
      send: (frame) => {
        if (isLive) sent.push(frame);
        return isLive;
      },
    });
    const guests = {
      hear: (bridgeIfindex: number) => ({ bridgeIfindex, drain: () => [], ignore: () => {}, close: () => {} }),
      portsOf: () => ({ portOf: async () => 5, all: async () => [5] }),
      sender: { send: () => true, close: () => {} },
    };
    const clock = {
      ...processClock,
      nowMs: () => nowMs,
      wallMs: () => 1_800_000_000_000 + nowMs,
      afterReading: (callback: () => void) => callback(),
      later: (_: number, callback: () => void) => void later.push(callback),
    };
    core = coreOn({ ...inertEdges, guests }, { uplink, clock, maxReplicaBytes, caps, maxStaleMs });
    begin([network]);
  };
  const pass = () => {
    for (const callback of later.splice(0)) callback();
  };

  beforeEach(() => start());

  test("is asked for until its base is complete, and then answers misses", () => {
    base([answer(2)], { end: false });
    miss(2);
    expect(questions()).toEqual(["100 10.20.0.2"]);
    base([answer(3)]);
    miss(3);
    miss(4);
    expect(questions()).toHaveLength(1);
    expect([placeOf(3), placeOf(4)]).toEqual(["192.0.2.2", undefined]);
    expect(core.resolver.counters).toMatchObject({ asked: 1, here: 1, unregistered: 1 });
  });

  test("tells the controller in one frame what the kernel has of it, behind the answers, without what was evicted", () => {
    base([answer(2), answer(3), answer(4)]);
    for (const n of [2, 3, 4]) miss(n);
    expect(used()).toEqual([]);
    delta(6, tombstone(3, 6));
    pass();
    expect(sent.filter(({ type }) => type === "used")).toHaveLength(1);
    expect(used()).toEqual(["100 10.20.0.2", "100 10.20.0.4"]);
    pass();
    expect(used()).toHaveLength(2);
  });

  test("changes in the kernel what the kernel has, and nothing else", () => {
    base([answer(2), answer(3)]);
    miss(2);
    delta(6, answer(2, 6, "c"), answer(3, 6, "c"), answer(9, 6, "c"));
    expect([placeOf(2), placeOf(3), placeOf(9)]).toEqual(["192.0.2.3", undefined, undefined]);
    miss(9);
    expect(placeOf(9)).toBe("192.0.2.3");
  });

  test("tells the controller of an address that had a VM of this host before, and has one elsewhere now", () => {
    begin([network]);
    base([]);
    const answers = [tombstone(1, 6)];
    core.session.onChanges({ type: "changes", asOf: rev(6), networks: [], gone: [], answers, end: true });
    expect(placeOf(1)).toBe("absent");
    delta(7, answer(1, 7));
    expect(placeOf(1)).toBe("192.0.2.2");
    for (const act of later.splice(0)) act();
    expect(used()).toEqual([keyText(ipKey(1))]);
    delta(8, answer(1, 8, "c"));
    for (const act of later.splice(0)) act();
    expect(used()).toEqual([keyText(ipKey(1))]);
  });

  test("answers a guest that waits for an address at the moment of its registration", () => {
    base([]);
    miss(2);
    expect(placeOf(2)).toBeUndefined();
    delta(6, answer(2, 6), answer(3, 6));
    expect([placeOf(2), placeOf(3)]).toEqual(["192.0.2.2", undefined]);
  });

  test("leaves this host's own VMs to the changes, which have their ports", () => {
    base([answer(2)]);
    miss(2);
    delta(6, answer(2, 6, "a"), answer(1, 6, "c"));
    expect([placeOf(2), placeOf(1)]).toEqual(["192.0.2.2", "local"]);
    delta(7, answer(3, 7, "a"));
    miss(3);
    expect(core.resolver.counters).toMatchObject({ local: 1 });
    expect(questions()).toEqual([]);
  });

  test("takes no part of a base that belongs to an earlier subscription", () => {
    changed();
    changed("replicate");
    const [first, second] = ids();
    base([answer(2)], { id: first });
    expect(core.replicas.isComplete(blue)).toBe(false);
    base([answer(3)], { id: second });
    expect([core.replicas.isComplete(blue), core.replicas.size(blue)]).toEqual([true, 1]);
  });

  test("that is on demand again tells first what the kernel has", () => {
    base([answer(2)]);
    miss(2);
    changed();
    expect(sent.slice(-2).map(({ type }) => type)).toEqual(["used", "unsubscribe"]);
    miss(3);
    expect(questions()).toEqual(["100 10.20.0.3"]);
    // Sent before the controller has read that.
    delta(7, answer(2, 7, "c"));
    expect(placeOf(2)).toBe("192.0.2.3");
  });

  test("answers without a session, and corrects that when the next one has its base", () => {
    base([answer(2), answer(3), answer(4)]);
    isLive = false;
    core.session.onClosed();
    for (const n of [2, 3, 4]) miss(n);
    expect([2, 3, 4].map(placeOf)).toEqual(["192.0.2.2", "192.0.2.2", "192.0.2.2"]);
    begin([network], 2, 4);
    base([answer(2), answer(3, 6, "c")]);
    expect([2, 3, 4].map(placeOf)).toEqual(["192.0.2.2", "192.0.2.3", "absent"]);
  });

  test("without a session says since when it answers from memory, and when it does not any more", () => {
    start(2 ** 20, defaultCaps, 3_600_000);
    base([answer(2)]);
    expect([core.networks.conditions.map(({ says }) => says), core.replication.aloneForMs]).toEqual([[], 0]);
    isLive = false;
    core.session.onClosed();
    nowMs += 60_000;
    core.session.onClosed();
    expect(core.networks.conditions.map(({ says }) => says)).toEqual([
      "network blue: answered from memory as of 2027-01-15T08:00:00Z, because there is no session since then: VMs that moved are looked " +
        "for where they were; see why the agent is not connected",
    ]);
    expect(core.replication.aloneForMs).toBe(60_000);
    nowMs += 3_600_000;
    expect(core.networks.conditions.map(({ says }) => says)).toEqual([
      "network blue: there is no session since 2027-01-15T08:00:00Z, which is longer than --max-stale, so new addresses wait for the " +
        "controller; see why the agent is not connected",
    ]);
    begin([network], 2, 4);
    expect([core.networks.conditions.map(({ says }) => says), core.replication.aloneForMs]).toEqual([[], 0]);
  });

  test.each([
    ["on demand", [{ name: "blue", vni: blue, mtu: 1450, revision: rev(1) }], 2],
    ["in version 1", [network], 1],
  ] as const)("that is %s in the next session asks for what was answered without one", (_, networks, protocol) => {
    base([answer(2)]);
    isLive = false;
    core.session.onClosed();
    miss(2);
    begin(networks, protocol, 4);
    expect(questions()).toEqual(["100 10.20.0.2"]);
    expect(core.replicas.has(blue)).toBe(false);
  });

  test("without room is on demand, as a problem says, until it is described anew", () => {
    start(20_000);
    base(Array.from({ length: 600 }, (_, n) => answer(n + 2)));
    expect(core.networks.conditions.map(({ says }) => says)).toEqual([
      "network blue: its addresses do not fit into the 0 MiB for whole networks, so it is on demand here; raise --max-replica-memory, " +
        "or set the network's knowledge to on-demand",
    ]);
    expect(sent.at(-1)).toMatchObject({ type: "unsubscribe", vni: 100 });
    miss(2);
    expect(questions()).toEqual(["100 10.20.0.2"]);
    changed("replicate");
    expect(core.networks.conditions.map(({ says }) => says)).toEqual([]);
    expect(ids()).toHaveLength(2);
  });

  test("has budgets: a guest that scans it is over them as if it were on demand", () => {
    base([]);
    for (let n = 2; n < 5_000; n++) miss(n);
    const { unregistered, overBudget, asked } = core.resolver.counters;
    expect(asked).toBe(0);
    expect(unregistered).toBeLessThan(3_000);
    expect(overBudget).toBeGreaterThan(1_000);
  });

  describe("that is prefetched", () => {
    const settled = async () => {
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    };
    const inKernel = () => core.held.keysIn(blue).filter((key) => core.held.find(key)?.kind === "remote").length;

    test("is in the kernel as a whole with its base, and with each delta", async () => {
      changed("prefetch");
      base(Array.from({ length: 500 }, (_, n) => answer(n + 2)));
      await settled();
      expect(inKernel()).toBe(500);
      delta(7, answer(600, 7), tombstone(2, 7), answer(3, 7, "c"), answer(601, 7, "a"));
      expect([600, 2, 3, 601].map(placeOf)).toEqual(["192.0.2.2", "absent", "192.0.2.3", undefined]);
      pass();
      expect(new Set(used()).size).toBe(500);
      expect(core.resolver.counters.missed).toBe(0);
    });

    test("leaves a quarter of the limits to what guests ask for", async () => {
      start(2 ** 20, { perNetwork: 400, perHost: 1_000 });
      changed("prefetch");
      base(Array.from({ length: 500 }, (_, n) => answer(n + 2)));
      await settled();
      expect(core.held.size).toBe(300);
      expect(sent.filter(({ type }) => type === "release")).toEqual([]);
      miss(501);
      expect(placeOf(501)).toBe("192.0.2.2");
    });

    test("becomes so while it is in memory, and its idle entries age again when it is not any more", async () => {
      base([answer(2), answer(3)]);
      await settled();
      expect([inKernel(), core.replication.isPrefetched(blue)]).toEqual([0, false]);
      changed("prefetch");
      await settled();
      expect([inKernel(), core.replication.isPrefetched(blue)]).toEqual([2, true]);
      changed("replicate");
      expect([inKernel(), core.replication.isPrefetched(blue)]).toEqual([2, false]);
      expect(ids()).toHaveLength(1);
    });

    test("is filled with what is there when a VM leaves it while it is being filled", async () => {
      changed("prefetch");
      base(Array.from({ length: 300 }, (_, n) => answer(n + 2)));
      for (let n = 2; n < 302; n += 3) delta(7, tombstone(n, 7));
      await settled();
      expect(inKernel()).toBe(200);
    });
  });
});
