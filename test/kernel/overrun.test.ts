import { beforeAll, expect, test } from "vitest";
import { MissSocket } from "../../node-agent/kernel/sockets/miss-socket.ts";
import type { Miss } from "../../node-agent/misses/miss.ts";
import { arp, ethernet, etherTypes } from "../../testkit/lab/frames.ts";
import { inNamespace } from "../../testkit/lab/namespace.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
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
    const socket = inNamespace(host.namespace.namespace, () => new MissSocket(host.devices.vniOf));
    socket.read((miss) => misses.push(miss));
    return socket;
  }

  function ask(third: number, fourth: number): void {
    const targetIp = `10.20.${third}.${fourth}`;
    guest.inject(arp({ operation: "request", senderMac: "52:54:00:00:00:01", senderIp: "10.20.1.1", targetIp }));
  }

  test("a burst of misses that fits into the buffer is read completely", async () => {
    const socket = open();
    misses.length = 0;
    for (let i = 1; i <= 200; i++) ask(2, i);
    await waitFor(() => misses.length === 200, { what: "200 misses" });
    expect(new Set(misses.map((miss) => miss.kind === "l3miss" && miss.ip)).size).toBe(200);
    expect(socket.drops()).toBe(0);
    socket.close();
  });

  test("an overrun is survived, counted, and followed by the next miss", async () => {
    const socket = open();
    misses.length = 0;
    // Nothing is read during this loop, which does not yield to the event loop.
    const sent = 25_000;
    for (let i = 0; i < sent; i++) ask(3 + (i >> 7), 1 + (i & 127));
    expect(socket.drops()).toBeGreaterThan(0);
    await waitFor(() => misses.length + socket.drops() === sent, { what: "the rest of the burst" });
    ask(1, 77);
    await waitFor(() => misses.some((miss) => miss.kind === "l3miss" && miss.ip === "10.20.1.77"), {
      what: "the miss after the overrun",
    });
    socket.close();
  });

  test("while a device's misses are filtered none of them is read or queued, but its l2misses are", async () => {
    const socket = open();
    misses.length = 0;
    const tunnel = await host.namespace.ifindexOf("nmv100");
    ask(4, 1);
    await waitFor(() => misses.length === 1, { what: "the miss before" });
    // Queued, and not read before the next turn of the event loop.
    ask(4, 2);
    socket.shutOut({ l3: [tunnel], l2: [] });
    for (let i = 3; i < 200; i++) ask(4, i);
    const [to, from] = ["52:54:00:00:00:77", "52:54:00:00:00:01"];
    await host.namespace.exec(["bridge", "fdb", "add", to, "dev", "nmv100", "master", "static"]);
    guest.inject(ethernet({ to, from, type: etherTypes.rarp, payload: Buffer.alloc(46) }));
    await waitFor(() => misses.some(({ kind }) => kind === "l2miss"), { what: "the l2miss" });
    expect(misses.filter(({ kind }) => kind === "l3miss")).toHaveLength(1);
    expect(socket.drops()).toBe(0);
    socket.shutOut({ l3: [], l2: [] });
    ask(4, 200);
    await waitFor(() => misses.length === 3, { what: "the miss after" });
    expect(misses.at(-1)).toMatchObject({ kind: "l3miss", ip: "10.20.4.200" });
    socket.close();
  });
});
