import { describe, expect, test } from "vitest";
import { FairTurns } from "../../common/cooperative.ts";
import { Declaration } from "../../controller/agents/declaration.ts";
import { costOf, HostAllowances } from "../../controller/agents/host-allowance.ts";
import { HostSockets } from "../../controller/agents/host-sockets.ts";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import { parseIp, parseMac, parseRevision, parseVni } from "../../schema/address/index.ts";
import { maxUnknownPerHostAndNetwork } from "../../schema/agent/index.ts";
import { parseHost, parseNetwork } from "../../schema/rest/index.ts";

describe("the allowance of a host", () => {
  const allowance = { perSecond: 100, burst: 1_000 };

  test("is separate: another host is not affected", () => {
    const allowances = new HostAllowances(allowance);
    allowances.spend("rogue", 5_000, 0);
    expect(allowances.waitMs("rogue", 0)).toBe(40_000);
    expect(allowances.waitMs("honest", 0)).toBe(0);
  });

  test("is restored over time, up to the burst, and a debt is waited out", () => {
    const allowances = new HostAllowances(allowance);
    allowances.spend("a", 1_100, 0);
    expect(allowances.waitMs("a", 500)).toBe(500);
    expect(allowances.waitMs("a", 1_000)).toBe(0);
    allowances.spend("a", 1_000, 1_000_000);
    expect(allowances.waitMs("a", 1_000_000)).toBe(0);
    allowances.spend("a", 1, 1_000_000);
    expect(allowances.waitMs("a", 1_000_000)).toBe(10);
  });

  test("has a peak rate that spreads a burst", () => {
    const allowances = new HostAllowances({ ...allowance, peak: { perSecond: 500, burst: 200 } });
    allowances.spend("a", 300, 0);
    expect(allowances.waitMs("a", 0)).toBe(200);
    expect(allowances.waitMs("a", 200)).toBe(0);
    allowances.spend("a", 800, 200);
    expect(allowances.waitMs("a", 200)).toBe(1_600);
  });

  test("is spent by the work that a frame causes, and by bytes without content", () => {
    const key = { kind: "ip", vni: parseVni(1), ip: parseIp("192.0.2.1") } as const;
    const keys = Array.from({ length: 900 }, () => key);
    expect(costOf({ type: "resolve", id: 1, questions: keys }, 50_000)).toBe(904);
    expect(costOf({ type: "interest", keys, end: true }, 50_000)).toBe(904);
    expect(costOf({ type: "release", id: 1, keys }, 50_000)).toBe(904);
    expect(costOf(undefined, 64_000)).toBe(1_004);
    expect(costOf({ type: "applied", revision: parseRevision(1), problems: [] }, 40)).toBe(4);
  });
});

describe("a declaration", () => {
  const stored = { uid: "u", revision: parseRevision(1) };
  const vni = parseVni(1);
  const ip = (n: number) => parseIp(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  const state = CommittedInventory.of({
    networks: [{ ...parseNetwork("n", { vni: 1, subnets: ["10.0.0.0/8"] }), ...stored }],
    hosts: ["a", "b"].map((name, n) => ({
      ...parseHost(name, { vtep: `198.51.100.${n + 1}` }, "operator"),
      ...stored,
    })),
    vms: ["a", "b"].map((host, n) => ({
      name: host,
      host,
      interfaces: [{ name: "eth0", network: "n", mac: parseMac(`02:00:00:00:00:0${n}`), ips: [ip(n + 1)] }],
      labels: {},
      description: "",
      ...stored,
    })),
  });
  const keysFrom = (first: number, count: number, of = vni) =>
    Array.from({ length: count }, (_, n) => ({ kind: "ip", vni: of, ip: ip(first + n) }) as const);

  test("keeps each key once, and all registered ones", () => {
    const declaration = new Declaration();
    declaration.add(state, "a", [...keysFrom(1, 2), ...keysFrom(1, 2)]);
    expect([...declaration.keys()].map(({ key }) => key)).toEqual(keysFrom(1, 2));
    expect(declaration.leftOut).toBe(0);
  });

  test("of a million keys keeps the registered ones, and as many unknown ones as a host may have", () => {
    const declaration = new Declaration();
    for (let first = 1_000; first < 1_001_000; first += 1_000) declaration.add(state, "a", keysFrom(first, 1_000));
    declaration.add(state, "a", keysFrom(2, 1));
    const kept = [...declaration.keys()].map(({ key }) => key);
    expect(kept).toHaveLength(maxUnknownPerHostAndNetwork + 1);
    expect(kept.at(-1)).toEqual(keysFrom(2, 1)[0]);
    expect(declaration.leftOut).toBe(1_000_000 - maxUnknownPerHostAndNetwork);
  });

  test("of networks without a VM on the host keeps 4,096 keys together", () => {
    const declaration = new Declaration();
    for (let other = 2; other < 12; other += 1) declaration.add(state, "a", keysFrom(1, 1_000, parseVni(other)));
    expect([...declaration.keys()]).toHaveLength(4_096);
  });
});

describe("the WebSockets of a host", () => {
  test("are at most four: the oldest make room, and never its session", () => {
    const sockets = new HostSockets<number>();
    const gone = [1, 2, 3, 4, 5, 6].map((n) => sockets.add("a", n, 1));
    expect(gone).toEqual([[], [], [], [], [2], [3]]);
    expect(sockets.add("b", 7, undefined)).toEqual([]);
    sockets.ended("a", 4);
    expect(sockets.add("a", 8, 1)).toEqual([]);
  });
});

describe("turns", () => {
  test("rotate: a host with much work waits behind each with little, and the event loop has its own turn", async () => {
    const turns = new FairTurns();
    const order: string[] = [];
    const busy = (name: string, ms: number) => () => {
      const end = performance.now() + ms;
      while (performance.now() < end);
      order.push(name);
    };
    const much = async (name: string) => {
      for (let n = 0; n < 20; n += 1) await turns.run(busy(name, 2));
    };
    const first = much("much");
    const rounds = new Promise<void>((resolve) => setImmediate(resolve));
    const little = turns.run(busy("little", 0));
    await little;
    expect(order.indexOf("little")).toBeLessThanOrEqual(2);
    await rounds;
    expect(order.length).toBeLessThan(20);
    await first;
    expect(order.filter((each) => each === "much")).toHaveLength(20);
  });

  test("pass on what a task throws, and continue", async () => {
    const turns = new FairTurns();
    const fail = turns.run(() => {
      throw new Error("no");
    });
    await expect(fail).rejects.toThrow("no");
    await turns.run(() => {});
  });
});
