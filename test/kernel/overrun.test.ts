import { beforeAll, expect, test } from "vitest";
import { arp } from "../../lab/frames.ts";
import { inNamespace } from "../../lab/namespace.ts";
import { openPacketSocket, type PacketSocket } from "../../lab/packets.ts";
import { waitFor } from "../../lab/wait.ts";
import { MissSocket } from "../../node-agent/kernel/miss-socket.ts";
import type { Miss } from "../../node-agent/misses/miss.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

describeKernel("the miss socket", () => {
  const host = kernelHost();
  const misses: Miss[] = [];
  let guest: PacketSocket;

  beforeAll(async () => {
    await host.devices.ensure(agentNetwork(100), localVtep, epoch);
    await host.namespace.ip(
      "link add tap type veth peer name guest",
      "link set tap addrgenmode none master nmb100",
      "link set guest addrgenmode none",
      "link set tap up",
      "link set guest up",
      "link show dev tap",
      "link show dev guest",
    );
    guest = await openPacketSocket(host.namespace, "guest");
  });

  function open(): MissSocket {
    return inNamespace(host.namespace.namespace, () => new MissSocket(host.devices.vniOf, (miss) => misses.push(miss)));
  }

  /** The kernel lists a socket in its own namespace only. */
  function dropsOf(socket: MissSocket): number {
    return inNamespace(host.namespace.namespace, () => socket.drops());
  }

  function ask(third: number, fourth: number): void {
    const targetIp = `10.20.${third}.${fourth}`;
    guest.inject(arp({ operation: "request", senderMac: "52:54:00:00:00:01", senderIp: "10.20.1.1", targetIp }));
  }

  test("a burst of misses is read whole while the buffer holds it", async () => {
    const socket = open();
    misses.length = 0;
    for (let i = 1; i <= 200; i++) ask(2, i);
    await waitFor(() => misses.length === 200, { what: "200 misses" });
    expect(new Set(misses.map((miss) => miss.kind === "l3miss" && miss.ip)).size).toBe(200);
    expect(dropsOf(socket)).toBe(0);
    socket.close();
  });

  test("an overrun is survived, counted, and followed by the next miss", async () => {
    const socket = open();
    misses.length = 0;
    // Nothing is read meanwhile: this loop does not return to the event loop.
    const sent = 25_000;
    for (let i = 0; i < sent; i++) ask(3 + (i >> 7), 1 + (i & 127));
    expect(dropsOf(socket)).toBeGreaterThan(0);
    await waitFor(() => misses.length + dropsOf(socket) === sent, { what: "the rest of the burst" });
    ask(1, 77);
    await waitFor(() => misses.some((miss) => miss.kind === "l3miss" && miss.ip === "10.20.1.77"), {
      what: "the miss after the overrun",
    });
    socket.close();
  });
});
