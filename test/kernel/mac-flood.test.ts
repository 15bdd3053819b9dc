// A guest that sends from more MAC addresses than there are guests: first packets of another tenant, memory of the agent, and thefts
// during the flood.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { maxLearnedPerBridge } from "../../node-agent/kernel/codec/forwarding-attributes.ts";
import { BridgePorts } from "../../node-agent/kernel/devices/bridge-ports.ts";
import { MacFloods } from "../../node-agent/watch/mac-floods.ts";
import { ethernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { inNamespace } from "../../testkit/lab/namespace.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

const mac = (last: number): string => `52:54:00:00:00:${last.toString(16).padStart(2, "0")}`;
const addresses = 12;
const redIps = Array.from({ length: addresses }, (_, at) => `10.20.1.${100 + at}`);

describeKernel("a flood of source MAC addresses", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let red: Guest;
  let sockets: PacketSocket[] = [];

  beforeAll(async () => {
    a = it.lab.host("a");
    await it.network("blue", 100);
    await it.network("red", 200);
    const one = await it.vm("one", "a", "blue", 100, mac(1), ["10.20.1.1/24"]);
    const two = await it.vm("two", "a", "blue", 100, mac(2), ["10.20.1.2/24"]);
    await it.vm("far", "b", "blue", 100, mac(3), ["10.20.1.3/24"]);
    red = await it.vm("red", "a", "red", 200, mac(0x0a), ["10.20.1.10/24"]);
    await it.vm(
      "red-far",
      "b",
      "red",
      200,
      mac(0x0b),
      redIps.map((ip) => `${ip}/24`),
    );
    expect((await one.ping("10.20.1.3")).received).toBe(1);
    sockets = await Promise.all([one, two].map((guest) => openPacketSocket(guest, "eth0")));
    red.askOnce();
  });

  afterAll(() => {
    for (const each of sockets) each.close();
  });

  const agentBytes = (): number =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${a.agent.pid}/status`, "utf8"))?.[1]) * 1_024;

  const learned = async (vni: number): Promise<number> => {
    const text = await a.exec(["bridge", "fdb", "show", "br", `nmb${vni}`]);
    return text.split("\n").filter((line) => !/permanent|static|extern_learn|^$/.test(line)).length;
  };

  /** From both guests, as fast as they can, until `stop` is called. @param next the source of each frame */
  function flood(next: () => Buffer): { sent(): number; stop(): Promise<void> } {
    let going = true;
    let sent = 0;
    const frame = ethernet({ to: "52:54:00:00:77:77", from: mac(1), type: 0x88b5, payload: Buffer.alloc(46) });
    const done = (async () => {
      while (going) {
        for (let at = 0; at < 100; at++) {
          next().copy(frame, 6);
          for (const socket of sockets) socket.inject(frame);
          sent += sockets.length;
        }
        await new Promise(setImmediate);
      }
    })();
    return {
      sent: () => sent,
      stop: () => {
        going = false;
        return done;
      },
    };
  }

  /** Random ones, or a few that both guests send from by turns: the bridge then moves each with every frame. */
  const sources: Record<string, () => Buffer> = {
    "ever new ones": () => Buffer.concat([Buffer.of(0x02), randomBytes(5)]),
    "few that move between two ports": () => Buffer.of(0x02, 0, 0, 0, 0, Math.floor(Math.random() * 256)),
  };

  test.each(Object.keys(sources))(
    "%s: another tenant's first packets need no retry, and memory is bounded",
    async (kind) => {
      const before = agentBytes();
      const attack = flood(sources[kind] as () => Buffer);
      await waitFor(() => attack.sent() > 40_000, { what: "40,000 frames" });
      const half = kind === "ever new ones" ? redIps.slice(0, addresses / 2) : redIps.slice(addresses / 2);
      for (const ip of half) expect((await red.ping(ip)).received, ip).toBe(1);
      await attack.stop();
      expect(await learned(100)).toBeLessThanOrEqual(maxLearnedPerBridge);
      const { drops, counters } = await statusOf(a);
      expect(drops.changes).toBe(0);
      expect(counters.macFloods).toBeGreaterThan(0);
      expect(agentBytes()).toBeLessThan(before + 64 * 1_024 * 1_024);
    },
  );

  test("a MAC that is stolen during a flood is restored", async () => {
    const attack = flood(sources["few that move between two ports"] as () => Buffer);
    await waitFor(() => attack.sent() > 20_000, { what: "20,000 frames" });
    const theft = ethernet({ to: "ff:ff:ff:ff:ff:ff", from: mac(3), type: 0x88b5, payload: Buffer.alloc(46) });
    sockets[0]?.inject(theft);
    await waitUntil(
      async () =>
        (await a.exec(["bridge", "fdb", "show", "br", "nmb100"])).split("\n").filter((l) => l.startsWith(mac(3))),
      (lines) => lines.some((line) => line.includes("dev nmv100 extern_learn")),
      { what: "the entry to be on the tunnel again", deadlineMs: 15_000 },
    );
    await attack.stop();
  });
});

describeKernel("a flood on a kernel whose bridges learn without a limit", () => {
  const host = kernelHost();

  test("its port stops learning, and learns again after a pause", async () => {
    await host.devices.ensure(agentNetwork(100), localVtep, epoch);
    await host.namespace.ip(
      "link add tap type veth peer name guest",
      "link set tap addrgenmode none master nmb100 up",
      "link set guest addrgenmode none up",
      "link show dev tap",
      "link show dev guest",
    );
    const guest = await openPacketSocket(host.namespace, "guest");
    const isLearning = async (): Promise<boolean> =>
      (await host.namespace.exec(["cat", "/sys/class/net/tap/brport/learning"])).trim() === "1";
    const warn = vi.fn();
    const floods = inNamespace(
      host.namespace.namespace,
      () =>
        new MacFloods({
          devices: { vniOfBridge: (ifindex) => host.devices.vniOfBridge(ifindex), limitsLearning: () => false },
          bridgePorts: new BridgePorts(host.requests),
          ports: { pinnedTo: () => new Map() },
          registered: { nameOf: () => "blue" },
          networks: { look: () => {} },
          guests: { lookSoon: () => {} },
          reporter: { note: () => true },
          onLearned: () => {},
          log: { warn },
          restMs: 200,
          nowMs: () => performance.now(),
        }),
    );
    const frame = ethernet({ to: mac(9), from: mac(1), type: 0x88b5, payload: Buffer.alloc(46) });
    const stopped = waitFor(async () => !(await isLearning()), { what: "the port to stop learning" });
    for (let at = 0; at < 2_000; at++) {
      Buffer.concat([Buffer.of(0x02), randomBytes(5)]).copy(frame, 6);
      guest.inject(frame);
    }
    await stopped;
    await waitFor(() => warn.mock.calls.length === 1, { what: "a line in the log" });
    await waitFor(isLearning, { what: "the port to learn again" });
    floods.close();
    guest.close();
  });
});
