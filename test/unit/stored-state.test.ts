// What a host keeps on disk for a start without a controller: the core of one agent writes it, that of the next reads it. No kernel.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RecordFile } from "../../common/record-file.ts";
import { Uplink } from "../../node-agent/controller-link/uplink.ts";
import type { Core, KernelEdges } from "../../node-agent/core.ts";
import { maxSavedRows } from "../../node-agent/session/stored-network.ts";
import type { Entry } from "../../node-agent/tables/entry.ts";
import type { AgentNetwork, Answer, BindingKey } from "../../schema/address/index.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { coreOn, inertEdges, processClock } from "../../testkit/agent-core.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";

const blue = vni(100);
const red = vni(200);
const networks: readonly AgentNetwork[] = [
  { name: "blue", vni: blue, mtu: 1450, revision: rev(1), knowledge: "replicate" },
  { name: "red", vni: red, mtu: 1400, revision: rev(2) },
];
const ipKey = (n: number): BindingKey => ({ kind: "ip", vni: blue, ip: ip(`10.20.${n >> 8}.${n & 255}`) });
const macKey = (n: number): BindingKey => ({ kind: "mac", vni: blue, mac: macOf(n) });
const macOf = (n: number) =>
  mac(`52:54:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`);
const hosts = { b: "192.0.2.2", c: "192.0.2.3" } as const;
const remote = (n: number, revision = 1, host: "b" | "c" = "b"): Answer => ({
  key: ipKey(n),
  revision: rev(revision),
  binding: { mac: macOf(n), host, vtep: vtep(hosts[host]), vtepPort: 4789, ...(n % 7 === 0 ? { router: true } : {}) },
});
const here = (key: BindingKey, n: number, port?: string): Answer => ({
  key,
  revision: rev(3),
  binding: {
    mac: macOf(n),
    host: "a",
    vtep: vtep("192.0.2.1"),
    vtepPort: 4789,
    local: true,
    ...(port ? { guestPort: port } : {}),
  },
});
const tombstone = (n: number, revision: number): Answer => ({ key: ipKey(n), revision: rev(revision), binding: null });

interface Run {
  readonly core: Core;
  readonly sent: AgentFrame[];
  isLive: boolean;
  /** Runs what is due after this time, ms. */
  pass(ms?: number): Promise<void>;
}

describe("what a host keeps on disk", () => {
  let directory: string;
  let wallMs: number;
  let running: Run[];

  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), "nearmiss-test-")), "networks");
    wallMs = 1_800_000_000_000;
    running = [];
  });
  afterEach(async () => {
    for (const { core } of running) await core.close();
    rmSync(join(directory, ".."), { recursive: true, force: true });
  });

  const start = (
    options: { edges?: Partial<KernelEdges>; host?: string; maxReplicaBytes?: number; maxStaleMs?: number } = {},
  ) => {
    const { edges = {}, host = "a", ...limits } = options;
    const later: { readonly ms: number; readonly callback: () => void }[] = [];
    const uplink = new Uplink();
    const run: Run = {
      core: undefined as unknown as Core,
      sent: [],
      isLive: false,
      pass: async (ms = 1_000) => {
        for (const each of later.splice(0)) {
          if (each.ms <= ms) each.callback();
          else later.push(each);
        }
        await run.core.stored?.settled;
      },
    };
    uplink.attach({
      get isLive() {
        return run.isLive;
      },
      send: (frame) => {
        if (run.isLive) run.sent.push(frame);
        return run.isLive;
      },
    });
    const clock = {
      ...processClock,
      wallMs: () => wallMs,
      later: (ms: number, callback: () => void) => void later.push({ ms, callback }),
    };
    const store = { directory };
    const core = coreOn({ ...inertEdges, ...edges }, { uplink, clock, store, host, ...limits });
    running.push(Object.assign(run, { core }));
    return run;
  };
  const begin = (run: Run, epoch = "one", asOf = 5, more: readonly Answer[] = [], described = networks) => {
    run.isLive = true;
    const end = { host: "a", vtep: vtep("192.0.2.1"), vtepPort: 4789 };
    run.core.session.onWelcome({ type: "welcome", protocol: 2, epoch, asOf: rev(asOf), ...end });
    const answers = [
      here(ipKey(1), 1),
      here(macKey(1), 1),
      here(macKey(9), 9, "tap9"),
      here(ipKey(9), 9, "tap9"),
      ...more,
    ];
    run.core.session.onSnapshot({ type: "snapshot", asOf: rev(asOf), networks: described, answers, end: true });
  };
  const base = (run: Run, answers: readonly Answer[], more: object = {}) => {
    const ids = run.sent.flatMap((frame) => (frame.type === "subscribe" ? [frame.id] : []));
    const id = ids.at(-1) ?? 0;
    run.core.session.onBase({ type: "base", id, asOf: rev(5), vni: blue, answers, end: true, ...more });
  };
  const delta = (run: Run, asOf: number, ...answers: Answer[]) => {
    run.core.session.onDelta({ type: "delta", asOf: rev(asOf), vni: blue, answers });
    run.core.session.onHeartbeat({ type: "heartbeat", asOf: rev(asOf) });
  };
  const stored = async (count = 3) => {
    const run = start();
    begin(run);
    base(
      run,
      Array.from({ length: count }, (_, n) => remote(n + 2)),
    );
    await run.pass();
    return run;
  };
  const recalled = async (options: Parameters<typeof start>[0] = {}, inherited: readonly Entry[] = []) => {
    const run = start(options);
    await run.core.recall?.run(inherited);
    return run;
  };
  const known = ({ core }: Run) => [...core.replicas.answers(blue)].map(({ key, binding }) => [key, binding?.host]);
  const lookUp = ({ core }: Run, n: number) => core.replicas.lookUp(ipKey(n), processClock.nowMs())?.binding?.host;

  test("is on disk a second after it was received, and is there at the next start: networks, own VMs, and whole networks", async () => {
    const run = start();
    begin(run);
    base(run, [remote(2), remote(7), remote(300, 2 ** 40)]);
    expect(existsSync(directory)).toBe(false);
    await run.pass();
    expect(readdirSync(directory).sort()).toEqual(["host", "network-100"]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);

    const { core } = await recalled();
    expect(core.registered.list()).toEqual(networks);
    expect(core.registered.tunnelEnd).toEqual({ vtep: "192.0.2.1", vtepPort: 4789 });
    expect([...core.replicas.answers(blue)].sort((a, b) => a.revision - b.revision)).toEqual(
      [...run.core.replicas.answers(blue)].sort((a, b) => a.revision - b.revision),
    );
    expect(core.replication.stateOf(blue)).toBe("alone");
    expect(core.held.find(ipKey(1))).toMatchObject({ kind: "local", revision: 3 });
    expect(core.session.hello()).toMatchObject({ epoch: "one" });
    expect(core.session.hello()).not.toHaveProperty("asOf");
  });

  test("follows changes with what they need, and says at the next subscription up to where it has them", async () => {
    const run = await stored(1_000);
    const size = () => statSync(join(directory, "network-100")).size;
    const before = size();
    delta(run, 8, remote(2, 8, "c"), tombstone(3, 8));
    delta(run, 9, remote(2_000, 9));
    await run.pass();
    expect(size() - before).toBeLessThan(300);
    await run.pass();
    expect(size() - before).toBeLessThan(300);
    const next = await recalled();
    expect([2, 3, 4, 2_000].map((n) => lookUp(next, n))).toEqual(["c", undefined, "b", "b"]);
    begin(next, "one", 12);
    expect(next.sent).toContainEqual({ type: "subscribe", id: 1, vni: 100, asOf: 9 });
  });

  test("is written anew where much has changed, and not larger than twice what it is", async () => {
    const run = await stored(10_000);
    const whole = statSync(join(directory, "network-100")).size;
    expect(whole).toBeLessThan(10_000 * 36);
    for (let round = 0; round < 30; round++) {
      delta(run, 10 + round, ...Array.from({ length: 1_000 }, (_, n) => remote(n + 2, 10 + round, "c")));
      await run.pass();
    }
    expect(statSync(join(directory, "network-100")).size).toBeLessThan(2 * whole + 40_000);
    delta(run, 50, ...Array.from({ length: 9_000 }, (_, n) => tombstone(n + 2, 50)));
    await run.pass();
    expect(statSync(join(directory, "network-100")).size).toBeLessThan(whole / 5);
    expect(known(await recalled())).toHaveLength(1_000);
  });

  test("has what changes while a large network is written", async () => {
    const run = start();
    begin(run);
    base(
      run,
      Array.from({ length: 20 * maxSavedRows }, (_, n) => remote(n + 2)),
    );
    const writing = run.pass();
    for (let n = 2; n < 60; n++) delta(run, 8, tombstone(n, 8), remote(n + 100, 8, "c"));
    await writing;
    await run.pass();
    const next = await recalled();
    const sorted = (each: Run) =>
      known(each)
        .map((pair) => JSON.stringify(pair))
        .sort();
    expect(sorted(next)).toEqual(sorted(run));
  });

  test("what should be in the kernel is there at the next start, unless it is too old or here, and the next session has the last word", async () => {
    const prefetched = networks.map((each) => (each.vni === blue ? { ...each, knowledge: "prefetch" as const } : each));
    const run = start();
    begin(run, "one", 5, [], prefetched);
    base(run, [remote(2), remote(3), here(ipKey(7), 7)]);
    await run.pass();
    const inKernel = ({ core }: Run) => [2, 3, 7].map((n) => core.held.find(ipKey(n))?.kind);
    const next = await recalled();
    await vi.waitFor(() => expect(inKernel(next)).toEqual(["remote", "remote", undefined]));
    expect(next.core.replication.isPrefetched(blue)).toBe(true);
    begin(next, "one", 12, [], prefetched);
    base(next, [tombstone(3, 12)], { asOf: rev(12), since: rev(5) });
    await vi.waitFor(() => expect(inKernel(next)).toEqual(["remote", undefined, undefined]));
    wallMs += 3_600_000;
    const late = await recalled({ maxStaleMs: 1_000 });
    expect(inKernel(late)).toEqual([undefined, undefined, undefined]);
  });

  test("a VM that is registered with a port counts as here when that port is on the bridge, and not before", async () => {
    await stored();
    const { core } = await recalled();
    expect(core.held.find(macKey(9))).toBeUndefined();
    core.awaited.look(blue);
    expect(core.held.find(macKey(9))).toBeUndefined();
    const isAt = core.register.isAt;
    core.register.isAt = (port, network) => port === "tap9" && network === blue;
    core.awaited.look(blue);
    expect(core.held.locals(blue)).toContainEqual({ mac: macOf(9), port: "tap9", ips: [ip("10.20.0.9")] });
    core.register.isAt = isAt;
    const other = await recalled();
    begin(other);
    expect(other.core.held.find(macKey(9))).toMatchObject({ kind: "local" });
  });

  test("never counts a VM as elsewhere that was here, nor as here one that the kernel sends through the tunnel", async () => {
    const run = start();
    begin(run);
    base(run, [remote(2), here(ipKey(9), 9), here(macKey(9), 9)]);
    await run.pass();
    const tunnel = { kind: "tunnel", vni: blue, mac: macOf(1), vtep: vtep(hosts.c), vtepPort: 4789 } as const;
    const next = await recalled({}, [tunnel, { kind: "neighbour", vni: blue, ip: ip("10.20.0.1"), mac: macOf(1) }]);
    expect(next.core.replicas.lookUp(ipKey(9), processClock.nowMs())).toBeUndefined();
    expect(next.core.held.find(ipKey(1))).toMatchObject({ kind: "remote", vtep: hosts.c, revision: 0 });
  });

  test("of an agent that starts again leaves the kernel's entries as they are", async () => {
    await stored();
    const entries: Entry[] = [
      { kind: "tunnel", vni: blue, mac: macOf(2), vtep: vtep(hosts.c), vtepPort: 4789, router: true },
      { kind: "bridge", vni: blue, mac: macOf(2) },
      { kind: "neighbour", vni: blue, ip: ip("10.20.0.2"), mac: macOf(2) },
      { kind: "tunnel", vni: red, mac: macOf(8), vtep: vtep(hosts.c), vtepPort: 4789 },
      { kind: "bridge", vni: red, mac: macOf(8) },
    ];
    const changed: string[] = [];
    const device = (each: typeof blue) => ({ ifindex: each, bridgeIfindex: each + 1, vni: each, vtepPort: 4789 });
    const edges: Partial<KernelEdges> = {
      devices: { ...inertEdges.devices, deviceOf: device },
      tables: {
        ...inertEdges.tables,
        list: async (each) =>
          entries.filter((entry) => entry.vni === each).map((entry) => ({ entry, own: true, lasting: true })),
        apply: async (operations) => {
          changed.push(...operations.map(({ verb, entry }) => `${verb} ${entry.kind}`));
          return operations.map((operation) => ({ operation, ok: true }));
        },
      },
    };
    const { core } = await recalled({ edges }, entries);
    expect([changed, [...core.networks.repairs]]).toEqual([[], []]);
    expect(core.held.find(ipKey(2))).toMatchObject({ kind: "remote", vtep: hosts.c });
  });

  test("is superseded by a store with another epoch, and gone when its networks are", async () => {
    await stored();
    const next = await recalled();
    begin(next, "two", 3);
    expect(next.core.replicas.has(blue)).toBe(false);
    expect(next.sent).toContainEqual({ type: "subscribe", id: 1, vni: 100 });
    await next.pass();
    expect(readdirSync(directory)).toEqual(["host"]);
    base(next, [remote(4)]);
    await next.pass();
    expect(readdirSync(directory).sort()).toEqual(["host", "network-100"]);
    next.core.session.onChanges({
      type: "changes",
      asOf: rev(9),
      networks: [],
      gone: [blue],
      answers: [],
      end: true,
    });
    await next.pass();
    expect(readdirSync(directory)).toEqual(["host"]);
    expect((await recalled()).core.registered.vnis()).toEqual([red]);
  });

  test("is not written before a session, and what an earlier run left of another network goes with the first", async () => {
    await stored();
    await new RecordFile(join(directory, "network-300")).replace([Buffer.from("x")]);
    const next = await recalled();
    const before = readFileSync(join(directory, "host"));
    await next.pass();
    await next.core.close();
    expect(readFileSync(join(directory, "host"))).toEqual(before);
    expect(existsSync(join(directory, "network-300"))).toBe(true);
    const after = await recalled();
    begin(after);
    await after.pass();
    expect(existsSync(join(directory, "network-300"))).toBe(false);
  });

  test("is removed when the host is revoked, and not written again by that run", async () => {
    const run = await stored();
    run.core.session.onRevoked();
    await run.core.stored?.settled;
    expect(existsSync(directory)).toBe(false);
    delta(run, 9, remote(5, 9));
    await run.pass();
    await run.core.close();
    expect(existsSync(directory)).toBe(false);
    expect(lookUp(run, 3)).toBe("b");
  });

  test("answers no longer than --max-stale after the last session, whenever the agent starts", async () => {
    const run = await stored();
    run.isLive = true;
    wallMs += 100_000;
    await run.pass(60_000);
    await run.pass(60_000);
    wallMs += 3_000_000;
    expect(lookUp(await recalled({ maxStaleMs: 3_600_000 }), 2)).toBe("b");
    wallMs += 700_000;
    expect(lookUp(await recalled({ maxStaleMs: 3_600_000 }), 2)).toBeUndefined();
    expect(lookUp(await recalled(), 2)).toBe("b");
    wallMs -= 10_000_000;
    expect(lookUp(await recalled({ maxStaleMs: 3_600_000 }), 2)).toBe("b");
  });

  describe("and cannot be used", () => {
    const damage = async (name: string, change: (content: Buffer) => Buffer) => {
      await stored();
      const path = join(directory, name);
      writeFileSync(path, change(readFileSync(path)));
    };
    const problemOf = ({ core }: Run) => core.networks.conditions.map(({ says }) => says).join("\n");

    test.each([
      ["is damaged", (content: Buffer) => Buffer.from(content.map((byte, at) => (at === 200 ? byte ^ 1 : byte)))],
      ["is too short", (content: Buffer) => content.subarray(0, content.length / 2)],
      ["is empty", () => Buffer.alloc(0)],
      ["is something else", () => Buffer.from("{}".repeat(100))],
    ])("since a network's file %s: the host starts without that table, and says so", async (_, change) => {
      await damage("network-100", change);
      const run = await recalled();
      expect(run.core.registered.vnis()).toEqual([blue, red]);
      expect(run.core.replicas.has(blue)).toBe(false);
      expect(problemOf(run)).toMatch(/network-100 was not used when the agent started \(.+\)/);
      begin(run);
      base(run, [remote(2)]);
      await run.pass();
      expect(problemOf(run)).toBe("");
      expect(known(await recalled())).toHaveLength(1);
    });

    test.each([
      ["is damaged", (content: Buffer) => Buffer.from(content.map((byte, at) => (at === 60 ? byte ^ 1 : byte)))],
      ["is too short", (content: Buffer) => content.subarray(0, content.length / 2)],
    ])("since the host's file %s: the host starts without any of it, and says so", async (_, change) => {
      await damage("host", change);
      const run = await recalled();
      expect([run.core.registered.size, run.core.replicas.has(blue)]).toEqual([0, false]);
      expect(run.core.session.hello()).not.toHaveProperty("epoch");
      expect(problemOf(run)).toMatch(/host was not used/);
    });

    const payload = (kind: number, value: unknown) =>
      Buffer.concat([Buffer.of(kind), Buffer.from(JSON.stringify(value))]);
    const head = { format: 1, epoch: "one", host: "a", vni: 100 };
    test.each([
      [[payload(1, { ...head, epoch: "two" }), payload(4, 5)], "it is of another store of the controller (two)"],
      [[payload(1, { ...head, format: 2 }), payload(4, 5)], "it has format 2, and this version reads 1"],
      [[payload(1, { ...head, host: "b" }), payload(4, 5)], 'it is of host "b"'],
      [[payload(1, { ...head, vni: 200 }), payload(4, 5)], "it is of VNI 200"],
      [[payload(1, head)], "its end is missing"],
      [[payload(4, 5)], "it does not begin as it should"],
      [[payload(1, null)], "it does not begin as it should"],
      [[payload(1, head), payload(9, 0)], "a record of kind 9"],
      [[payload(1, head), payload(4, -1)], "a revision is a whole number"],
      [[payload(1, head), payload(4, "x")], "a revision is a whole number"],
      [[payload(1, head), Buffer.of(2, 9, 9)], "rows without their locations"],
      [[payload(1, head), Buffer.of(2, 255, 255, 255, 255, 0)], "rows without their locations"],
      [[payload(1, head), Buffer.of(2, 2, 0, 0, 0, 91, 93, 1, 2, 3)], "rows that are not whole"],
      [[payload(1, head), Buffer.of(2, 2, 0, 0, 0, 91, 93, ...Buffer.alloc(32))], "a row without a location"],
      [[payload(1, head), Buffer.of(2, 1, 0, 0, 0, 91)], "a record that is not valid"],
      [[payload(1, head), Buffer.of(3, 1)], "rows that are not whole"],
    ])("since a network's file says %#: %s", async (payloads, reason) => {
      await stored();
      await new RecordFile(join(directory, "network-100")).replace(payloads);
      const run = await recalled();
      expect(run.core.replicas.has(blue)).toBe(false);
      expect(problemOf(run)).toContain(reason);
    });

    test("since it is of another host, as of a cloned machine", async () => {
      await stored();
      const run = await recalled({ host: "b" });
      expect(run.core.registered.size).toBe(0);
      expect(problemOf(run)).toContain('it is of host "a"');
    });

    test("since it has no room, with the reason", async () => {
      await stored(2_000);
      const run = await recalled({ maxReplicaBytes: 20_000 });
      expect(run.core.replicas.has(blue)).toBe(false);
      expect(problemOf(run)).toContain("it does not fit into --max-replica-memory");
    });

    test("since it is not a file", async () => {
      await stored();
      rmSync(join(directory, "network-100"));
      mkdirSync(join(directory, "network-100"));
      const run = await recalled();
      expect(problemOf(run)).toContain("it is not a file");
    });
  });

  test("that cannot be written is a problem until it is, and everything else goes on", async () => {
    mkdirSync(join(directory, "host.new"), { recursive: true });
    writeFileSync(join(directory, "host.new", "in the way"), "");
    const run = start();
    begin(run);
    base(run, [remote(2)]);
    await run.pass();
    expect(run.core.networks.conditions.map(({ says }) => says)).toEqual([
      expect.stringMatching(/networks are not stored in .* \(.+\): a restart/),
    ]);
    rmSync(join(directory, "host.new"), { recursive: true });
    delta(run, 8, remote(3, 8));
    await run.pass();
    expect(run.core.networks.conditions.map(({ says }) => says)).toHaveLength(1);
    await run.pass(60_000);
    expect(run.core.networks.conditions.map(({ says }) => says)).toEqual([]);
    expect(known(await recalled())).toHaveLength(2);
  });
});
