import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { decodeRoute, encodeRouteGet } from "../../node-agent/kernel/codec/route-codec.ts";
import { mtuOn, tunnelMtu } from "../../node-agent/kernel/devices/device-fit.ts";
import type { Route } from "../../node-agent/kernel/devices/routes.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { UnderlayRoutes } from "../../node-agent/watch/underlay-routes.ts";
import { parseIp, parseMac, parseVni, parseVtep, type VtepAddress } from "../../schema/address/index.ts";
import { rev } from "../support/addresses.ts";
import { link } from "../support/path-facts.ts";

const blue = parseVni(100);
const b = parseVtep("192.0.2.2");
const c = parseVtep("192.0.2.3");
const local = { vtep: parseVtep("192.0.2.1"), vtepPort: 4789 };

const remote = (n: number, vtep: VtepAddress, revision = n) => ({
  key: { kind: "ip", vni: blue, ip: parseIp(`10.0.0.${n}`) } as const,
  revision: rev(revision),
  binding: { mac: parseMac(`52:54:00:00:00:0${n}`), host: "x", vtep, vtepPort: 4789 },
});

test("the tunnel ends of cached VMs are known as long as there is one behind each", () => {
  const changes: number[] = [];
  const held = new HeldAnswers(undefined, () => changes.push(1));
  held.take([remote(1, b), remote(2, b)], 0);
  expect(held.vtepsOf(blue)).toEqual([b]);
  expect(changes).toHaveLength(1);
  held.take([remote(1, c, 5)], 0);
  expect([...held.vtepsOf(blue)].sort()).toEqual([b, c]);
  held.take([{ ...remote(2, b, 6), binding: null }], 0);
  expect(held.vtepsOf(blue)).toEqual([c]);
  expect(changes).toHaveLength(3);
  held.forgetNetwork(blue);
  expect(held.vtepsOf(blue)).toEqual([]);
  expect(changes).toHaveLength(4);
});

function watch(found: Map<VtepAddress, Route>) {
  let nowMs = 0;
  let looks = 0;
  const concerned: number[] = [];
  const held = new HeldAnswers();
  held.take([remote(1, b), remote(2, c)], 0);
  const routes = new UnderlayRoutes({
    routes: {
      canAsk: async () => true,
      find: async () => {
        looks += 1;
        return new Map(found);
      },
    },
    held,
    registered: { tunnelEnd: local, vnis: () => [blue] },
    onMtu: (vni) => concerned.push(vni),
    log: pino({ level: "silent" }),
    nowMs: () => nowMs,
  });
  const look = async (ms = 20): Promise<void> => {
    routes.lookSoon();
    nowMs += ms;
    await vi.advanceTimersByTimeAsync(ms);
    await routes.idle;
  };
  return { routes, concerned, look, looks: () => looks };
}

const via = (device: string, mtu: number): Route => ({ kind: "found", hops: [{ device, mtu }] });

test("the networks whose ways changed are looked at, with the smallest and the largest MTU", async () => {
  vi.useFakeTimers();
  try {
    const found = new Map([
      [b, via("eth0", 9_000)],
      [c, via("wg0", 1_420)],
    ]);
    const { routes, concerned, look } = watch(found);
    await look();
    expect(routes.mtuOf(blue)).toEqual({ smallest: { device: "wg0", mtu: 1_420 }, largest: 9_000 });
    await look();
    expect(concerned).toEqual([blue]);
    found.set(c, { kind: "none", reason: "blackhole" });
    await look();
    expect(routes.mtuOf(blue)).toEqual({ smallest: { device: "eth0", mtu: 9_000 }, largest: 9_000 });
    expect(routes.conditions).toMatchObject([{ kind: "vtep-unrouted", reason: "blackhole", values: { vtep: c } }]);
    expect(concerned).toEqual([blue, blue]);
    found.set(c, via("eth0", 9_000));
    await look();
    expect(routes.conditions).toEqual([]);
    routes.close();
  } finally {
    vi.useRealTimers();
  }
});

test("while routes change all the time, a thousandth of a core is spent on them", async () => {
  vi.useFakeTimers();
  try {
    const { routes, look, looks } = watch(new Map([[b, via("eth0", 1_500)]]));
    for (let n = 0; n < 20_000; n++) await look(50);
    // Seven questions of 70 µs each, in 1,000 s; a burst of 2,000 at first.
    expect(looks()).toBeGreaterThan(2_000);
    expect(looks()).toBeLessThan((14 * 1_000 + 2_000) / 7 + 10);
    routes.close();
  } finally {
    vi.useRealTimers();
  }
});

test("a tunnel is as large as the largest way, and the link of its end unless that is lo", () => {
  expect(tunnelMtu(undefined)).toBe(1_500);
  expect(tunnelMtu(link(1, "lo", { mtu: 65_536, loopback: true }))).toBe(1_500);
  expect(tunnelMtu(link(1, "lo", { mtu: 65_536, loopback: true }), 9_000)).toBe(9_000);
  expect(tunnelMtu(link(2, "eth0", { mtu: 9_000 }), 1_420)).toBe(9_000);
  expect(tunnelMtu(link(2, "ib0", { mtu: 70_000 }))).toBe(65_535);
  expect(mtuOn([])).toBeUndefined();
});

test("the kernel is asked for the route of a tunnelled frame", () => {
  const bytes = encodeRouteGet({ to: parseVtep("2001:db8::2"), from: parseVtep("2001:db8::1"), port: 4789 });
  expect(bytes.subarray(0, 12).toString("hex")).toBe("0a8080000000000000200000");
  expect(bytes.subarray(-8).toString("hex")).toBe(`06001d00${(4789).toString(16)}0000`);
});

test("a route is asked for to and from whole addresses, of both families", () => {
  const bytes = encodeRouteGet({ to: parseVtep("192.0.2.2"), from: parseVtep("192.0.2.1"), port: 4789 });
  expect(bytes.subarray(0, 12).toString("hex")).toBe("022020000000000000200000");
});

test("an answer of one next hop has it, and says whether the address is one of this host", () => {
  const read = (hex: string, type = 24) =>
    decodeRoute({ type, flags: 0, seq: 1, payload: Buffer.from(hex.replaceAll(" ", ""), "hex") });
  expect(read("022000fe03000102 00000000 08000400 01000000")).toEqual({ isLocal: true, hops: [1] });
  expect(read("022000fe03000101 00000000 08000400 07000000")).toEqual({ isLocal: false, hops: [7] });
  expect(read("022000fe03000101 00000000")).toEqual({ isLocal: false, hops: [] });
  expect(read("022000fe03000101 000000")).toBeUndefined();
  expect(read("022000fe03000101 00000000 08000400 07000000", 25)).toBeUndefined();
  // A next hop that is shorter than its head ends the list.
  expect(read("022000fe03000101 00000000 14000900 0000000007000000 0800000009000000")).toEqual({
    isLocal: false,
    hops: [],
  });
});

test("of an answer the next hops in use are read, and none of what is truncated", () => {
  const head = Buffer.from("022000fe03000100 00000000".replaceAll(" ", ""), "hex");
  const hop = (flags: number, ifindex: number) => Buffer.of(8, 0, flags, 0, ifindex, 0, 0, 0);
  const multipath = Buffer.concat([Buffer.of(28, 0, 9, 0), hop(0, 3), hop(1, 4), hop(0, 5)]);
  const metrics = Buffer.from("0c00088008000200 78050000".replaceAll(" ", ""), "hex");
  const payload = Buffer.concat([head, multipath, metrics]);
  expect(decodeRoute({ type: 24, flags: 0, seq: 1, payload })).toEqual({ isLocal: false, hops: [3, 5], mtu: 1_400 });
  for (let length = 0; length < payload.length; length++) {
    expect(() => decodeRoute({ type: 24, flags: 0, seq: 1, payload: payload.subarray(0, length) })).not.toThrow();
  }
});
