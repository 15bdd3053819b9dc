import { EventEmitter } from "node:events";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Connections, type ConnectionsDeps } from "../../controller/auth/connections.ts";
import { connectionsFor } from "../../controller/auth/descriptors.ts";
import { noHandshakes } from "../../controller/auth/handshakes.ts";
import { HostSources } from "../../controller/auth/host-sources.ts";
import type { Identity } from "../../controller/auth/identity.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { parseRevision } from "../../schema/address/index.ts";
import { parseHost } from "../../schema/rest/index.ts";

let ports = 1_024;

class Peer extends EventEmitter {
  readonly remotePort = ports++;
  destroyed = false;

  constructor(readonly remoteAddress: string) {
    super();
  }

  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

const token = (kind: "operator" | "viewer", tokenId: string): Identity => ({
  kind,
  tokenId,
  note: "",
  networks: "all",
});
const admin: Identity = { kind: "admin", tokenId: "root", note: "" };
const host = (name: string): Identity => ({
  kind: "host",
  name,
  uid: name,
  generation: 0,
  key: name,
  issuer: "",
  expiresMs: Number.POSITIVE_INFINITY,
});

function setUp(limits: Partial<ConnectionsDeps["limits"]> = {}, more: Partial<ConnectionsDeps> = {}) {
  const refused: string[] = [];
  const connections = new Connections({
    limits: { total: 400, unprovenPerSource: 8, perToken: 16, ...limits },
    hostsAt: () => 0,
    handshakes: noHandshakes,
    onRefused: (reason) => refused.push(reason),
    nowMs: () => 0,
    ...more,
  });
  const open = (address: string) => {
    const peer = new Peer(address);
    connections.opened(peer);
    return peer;
  };
  /** @returns the reason of a refusal, or a callback that ends the request */
  const ask = (peer: Peer, identity: Identity) => {
    const ends: (() => void)[] = [];
    const obstacle = connections.admit(peer, identity, (done) => ends.push(done));
    return {
      obstacle,
      end: () => {
        for (const done of ends) done();
      },
    };
  };
  return { connections, refused, open, ask };
}

describe("who makes new connections again and again", () => {
  function setUpCharged() {
    const charged = new Map<string, number>();
    let nowMs = 0;
    const { open, ask } = setUp(
      { total: 100_000, perToken: 10_000 },
      {
        handshakes: {
          ...noHandshakes,
          charge: (source, count) => charged.set(source, (charged.get(source) ?? 0) + count),
        },
        nowMs: () => nowMs,
      },
    );
    const come = (address: string, identity: Identity, times: number) => {
      for (let n = 0; n < times; n += 1) {
        const peer = open(address);
        ask(peer, identity).end();
        peer.destroy();
      }
    };
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { charged, come, open, ask, pass };
  }

  test("slows the source it comes from, as a host or with a token, and no other", () => {
    const { charged, come } = setUpCharged();
    come("192.0.2.1", host("a"), 16);
    come("192.0.2.2", token("viewer", "script"), 512);
    expect(charged.size).toBe(0);
    come("192.0.2.1", host("a"), 3);
    come("192.0.2.2", token("viewer", "script"), 2);
    expect(Object.fromEntries(charged)).toEqual({ "192.0.2.1": 30, "192.0.2.2": 20 });
  });

  test("may make some more with time", () => {
    const { charged, come, pass } = setUpCharged();
    come("192.0.2.1", host("a"), 16);
    pass(5_000);
    come("192.0.2.1", host("a"), 5);
    expect(charged.size).toBe(0);
  });

  test("is not the many hosts behind one address", () => {
    const { charged, come } = setUpCharged();
    for (let n = 0; n < 10_000; n += 1) come("192.0.2.1", host(`h${n}`), 1);
    expect(charged.size).toBe(0);
  });

  test("is not a proxy that sends requests of several tokens over one connection", () => {
    const { charged, open, ask } = setUpCharged();
    const proxy = open("192.0.2.1");
    for (let n = 0; n < 10_000; n += 1) ask(proxy, token("viewer", `${n % 3}`)).end();
    expect(charged.size).toBe(0);
  });
});

describe("strangers", () => {
  test("of one IPv6 /64 are one source, whatever the rest of the address", () => {
    const { connections, open } = setUp();
    const peers = Array.from({ length: 3_000 }, (_, n) => open(`2001:db8:1:2:${n.toString(16)}::1`));
    expect(connections.unproven).toBe(8);
    expect(peers.filter(({ destroyed }) => !destroyed)).toEqual(peers.slice(-8));
  });

  test("of another source are not displaced by them", () => {
    const { open } = setUp();
    const honest = open("2001:db8:1:3::1");
    for (let n = 0; n < 100; n += 1) open(`2001:db8:1:2::${n.toString(16)}`);
    expect(honest.destroyed).toBe(false);
  });

  test("of many sources share one limit, and the source with most makes room", () => {
    const { connections, refused, open } = setUp({ total: 40 });
    const honest = open("192.0.2.1");
    for (let source = 2; source < 8; source += 1) for (let n = 0; n < 8; n += 1) open(`192.0.2.${source}`);
    expect(connections.unproven).toBe(10);
    expect(honest.destroyed).toBe(false);
    expect(new Set(refused)).toEqual(new Set(["strangers"]));
  });

  test("that wait for their handshake keep their place: the latest arrival is closed", () => {
    const waits = new Set<unknown>();
    const { open } = setUp({}, { handshakes: { ...noHandshakes, isWaiting: (socket) => waits.has(socket) } });
    const fleet = Array.from({ length: 8 }, () => {
      const peer = open("192.0.2.1");
      waits.add(peer);
      return peer;
    });
    waits.delete(fleet[3]);
    open("192.0.2.1");
    expect(fleet[3]?.destroyed).toBe(true);
    const { open: other } = setUp({}, { handshakes: { ...noHandshakes, isWaiting: () => true } });
    const all = Array.from({ length: 9 }, () => other("192.0.2.1"));
    expect(all.map(({ destroyed }) => destroyed)).toEqual([...Array(8).fill(false), true]);
  });

  describe("too many of one source, before their handshake", () => {
    function setUpRefused(total?: number) {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      onTestFinished(() => void vi.useRealTimers());
      const handshakes = { ...noHandshakes, isWaiting: () => true, abandon: () => true };
      return setUp(total === undefined ? {} : { total }, { handshakes });
    }

    test("are ended a second later, so that who comes again at once is slowed down", () => {
      const { connections, open, refused } = setUpRefused();
      const all = Array.from({ length: 9 }, () => open("192.0.2.1"));
      expect(refused).toEqual(["source"]);
      expect(all.every(({ destroyed }) => !destroyed)).toBe(true);
      expect([connections.unproven, connections.endingCount]).toEqual([8, 1]);
      vi.advanceTimersByTime(1_000);
      expect(all.map(({ destroyed }) => destroyed)).toEqual([...Array(8).fill(false), true]);
      expect([connections.unproven, connections.endingCount]).toEqual([8, 0]);
    });

    test("are ended at once while a quarter of all connections waits for its end", () => {
      const { open } = setUpRefused(40);
      const all = Array.from({ length: 8 + 10 + 1 }, () => open("192.0.2.1"));
      expect(all.map(({ destroyed }) => destroyed)).toEqual([...Array(18).fill(false), true]);
    });

    test("make room for others", () => {
      const { connections, open, ask } = setUpRefused(100);
      for (let n = 0; n < 8 + 21; n += 1) open("192.0.2.1");
      expect(connections.endingCount).toBe(21);
      for (let n = 0; n < 59; n += 1) ask(open("192.0.2.2"), host(`h${n}`));
      for (let n = 0; n < 16; n += 1) ask(open("192.0.2.3"), admin);
      expect([connections.unproven, connections.proven, connections.endingCount]).toEqual([8, 75, 17]);
    });

    test("are ended when the controller stops", () => {
      const { connections, open } = setUpRefused();
      const all = Array.from({ length: 9 }, () => open("192.0.2.1"));
      connections.endUnproven();
      expect(all.every(({ destroyed }) => destroyed)).toBe(true);
    });
  });

  test("of a source with registered hosts may be as many as these need", () => {
    const state = CommittedInventory.of({
      networks: [],
      vms: [],
      hosts: Array.from({ length: 50 }, (_, n) => ({
        ...parseHost(`h${n}`, { vtep: `2001:db8:5::${(n + 1).toString(16)}` }, "operator"),
        uid: `h${n}`,
        revision: parseRevision(1),
      })),
    });
    const sources = new HostSources(
      () => state,
      () => 0,
    );
    const { connections, open } = setUp({}, { hostsAt: (source) => sources.count(source) });
    for (let n = 0; n < 200; n += 1) open(`2001:db8:5::${n.toString(16)}`);
    for (let n = 0; n < 200; n += 1) open(`2001:db8:6::${n.toString(16)}`);
    // 100 in all is the strangers' share of 400: the excess is taken from the larger source.
    expect(connections.unproven).toBe(100);
  });
});

describe("an identity", () => {
  test("makes room by closing its own idle connection, and is refused if all are in use", () => {
    const { refused, open, ask } = setUp();
    const viewer = token("viewer", "v");
    const first = open("192.0.2.1");
    ask(first, viewer).end();
    const streams = Array.from({ length: 16 }, (_, n) => {
      const peer = open(`192.0.3.${n}`);
      expect(ask(peer, viewer).obstacle).toBeUndefined();
      return peer;
    });
    expect(first.destroyed).toBe(true);
    expect(ask(open("192.0.2.1"), viewer).obstacle).toMatch(/^16 connections are in use by this token/);
    expect(refused).toEqual(["identity"]);
    streams[0]?.destroy();
    expect(ask(open("192.0.2.1"), viewer).obstacle).toBeUndefined();
  });

  test("has its own limit: another token, a host and an admin are unaffected", () => {
    const { open, ask } = setUp();
    for (let n = 0; n < 30; n += 1) ask(open(`192.0.3.${n}`), token("viewer", "v"));
    for (const other of [token("viewer", "w"), host("a"), admin]) {
      expect(ask(open("192.0.2.1"), other).obstacle).toBeUndefined();
    }
  });

  test("that is a host has eight", () => {
    const { open, ask } = setUp();
    const answers = Array.from({ length: 9 }, (_, n) => ask(open(`192.0.3.${n}`), host("a")).obstacle);
    expect(answers.map((obstacle) => obstacle !== undefined)).toEqual([...Array(8).fill(false), true]);
  });

  test("that shares a connection with others behind a proxy is counted at its latest user", () => {
    const { connections, open, ask } = setUp({ perToken: 8 });
    const shared = open("192.0.2.1");
    for (let n = 0; n < 40; n += 1) ask(shared, token("viewer", `${n}`)).end();
    expect(connections.proven).toBe(1);
    shared.destroy();
    expect(connections.proven).toBe(0);
  });
});

describe("when all connections are used up", () => {
  test("tokens have left room for hosts, and both for admins", () => {
    const { open, ask } = setUp({ total: 100 });
    const room = 75;
    const tokens = Array.from({ length: 100 }, (_, n) => ask(open(`192.0.3.${n}`), token("viewer", `v${n}`)).obstacle);
    expect(tokens.filter((obstacle) => obstacle === undefined)).toHaveLength(Math.ceil((room - 16) / 2));
    const hosts = Array.from({ length: 100 }, (_, n) => ask(open(`192.0.4.${n}`), host(`h${n}`)).obstacle);
    expect(hosts.filter((obstacle) => obstacle === undefined)).toHaveLength(room - 16 - Math.ceil((room - 16) / 2));
    const admins = Array.from({ length: 16 }, (_, n) => ask(open(`192.0.5.${n}`), admin).obstacle);
    expect(admins.every((obstacle) => obstacle === undefined)).toBe(true);
  });
});

test.each([
  ["Max open files            1024                 1048576              files", 896],
  ["Max open files            unlimited            unlimited            files", 250_000],
  ["Max open files            1048576              1048576              files", 250_000],
  ["Max open files            100                  100                  files", 32],
  ["", 250_000],
])("%j allows %d connections", (limits, expected) => {
  expect(connectionsFor(`Max processes 1 2 x\n${limits}\nMax locked memory`)).toBe(expected);
});
