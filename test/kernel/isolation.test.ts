// The reach of a guest: its network, and nothing else. Each test first shows that the probe arrives at its permitted
// target.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { beforeAll, expect, test } from "vitest";
import {
  arp,
  broadcastMac,
  ethernet,
  etherTypes,
  icmpEcho,
  readEthernet,
  udpPacket,
  vxlan,
} from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { inNamespace } from "../../testkit/lab/namespace.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac1 = "52:54:00:00:00:01";
const mac2 = "52:54:00:00:00:02";
const macThird = "52:54:00:00:00:03";
const macRed = "52:54:00:00:00:0a";

describeKernel("isolation", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let guest: Guest;
  let third: Guest;
  let remote: Guest;
  let red: Guest;

  beforeAll(async () => {
    await it.network("blue", 100);
    await it.network("red", 200);
    guest = await it.vm("blue-1", "a", "blue", 100, mac1, ["10.20.1.1/24", "fd00:20::1/64"]);
    third = await it.vm("blue-3", "a", "blue", 100, macThird, ["10.20.1.3/24", "fd00:20::3/64"]);
    remote = await it.vm("blue-2", "b", "blue", 100, mac2, ["10.20.1.2/24", "fd00:20::2/64"]);
    red = await it.vm("red-1", "a", "red", 200, macRed, ["10.20.1.10/24"]);
    await it.vm("red-2", "b", "red", 200, "52:54:00:00:00:0b", ["10.20.1.11/24"]);
    expect(await guest.ping("10.20.1.2")).toMatchObject({ received: 1 });
    expect(await guest.ping("fd00:20::2")).toMatchObject({ received: 1 });
    expect(await red.ping("10.20.1.11")).toMatchObject({ received: 1 });
  });

  async function bridgeMac(vni: number): Promise<string> {
    const text = await it.lab.host("a").exec(["cat", `/sys/class/net/nmb${vni}/address`]);
    return text.trim();
  }

  test("no third guest sees a frame between two others, in either direction", async () => {
    const ear = await openPacketSocket(third, "eth0");
    await guest.ping("10.20.1.2", { count: 5, intervalMs: 20 });
    await guest.ping("fd00:20::2", { count: 5, intervalMs: 20 });
    // A frame for itself ends the wait.
    const probe = await openPacketSocket(guest, "eth0");
    probe.inject(ethernet({ to: macThird, from: mac1, type: 0x88b5, payload: Buffer.alloc(46) }));
    await ear.waitForFrame(({ bytes }) => readEthernet(bytes).type === 0x88b5);
    const overheard = ear.frames().filter(({ bytes, outgoing }) => {
      const { to } = readEthernet(bytes);
      return !outgoing && to !== macThird && (Number.parseInt(to.slice(0, 2), 16) & 1) === 0;
    });
    expect(overheard).toEqual([]);
    ear.close();
    probe.close();
  });

  test.each([
    ["its bridge's MAC address", () => bridgeMac(100)],
    ["broadcast", async () => broadcastMac],
  ])("a guest cannot reach its host through %s", async (_, target) => {
    const host = it.lab.host("a");
    const to = await target();
    const socket = await openPacketSocket(guest, "eth0");
    const onBridge = await openPacketSocket(host, "nmb100");
    const { received, server } = await listenUdp(host, 7_777);
    const datagram = (from: string, payload: string) =>
      udpPacket({ from, to: host.address, fromPort: 1_000, toPort: 7_777, payload: Buffer.from(payload) });
    for (const payload of [
      datagram("10.20.1.1", "from the guest"),
      icmpEcho({ from: "10.20.1.1", to: host.address }),
    ]) {
      const frame = ethernet({ to, from: mac1, type: etherTypes.ipv4, payload });
      socket.inject(frame);
      // It does arrive at the bridge's device: it is stopped after that.
      await onBridge.waitForFrame(({ bytes, outgoing }) => !outgoing && bytes.equals(frame));
    }
    // The same datagram over the underlay arrives: the probe can succeed.
    const underlay = await openPacketSocket(it.lab.host("b"), "eth0");
    underlay.inject(
      ethernet({
        to: (await host.exec(["cat", "/sys/class/net/eth0/address"])).trim(),
        from: "02:00:00:00:00:01",
        type: etherTypes.ipv4,
        payload: datagram(it.lab.host("b").address, "from the underlay"),
      }),
    );
    await waitFor(() => received.length > 0, { what: "the datagram over the underlay" });
    expect(received).toEqual(["from the underlay"]);
    expect(socket.frames().filter(({ bytes, outgoing }) => !outgoing && isFromHost(bytes))).toEqual([]);
    server.close();
    for (const each of [socket, onBridge, underlay]) each.close();
  });

  /** No guest of this test has sent it. */
  function isFromHost(bytes: Buffer): boolean {
    return !readEthernet(bytes).from.startsWith("52:54:");
  }

  /** A UDP server of the host's own, on all its addresses. */
  async function listenUdp(host: Host, port: number) {
    const received: string[] = [];
    // The socket is created with the answer of the look-up, which is given inside the namespace.
    const server = createSocket({ type: "udp4", lookup: (_name, _options, answer) => answer(null, "0.0.0.0", 4) });
    server.on("message", (message) => received.push(message.toString()));
    const listening = once(server, "listening");
    inNamespace(host.namespace, () => server.bind(port, "0.0.0.0"));
    await listening;
    return { received, server };
  }

  test("a guest that encapsulates a frame in VXLAN by hand cannot inject it into another network", async () => {
    const host = it.lab.host("a");
    const victim = await openPacketSocket(red, "eth0");
    const secret = ethernet({ to: macRed, from: "52:54:00:00:00:66", type: 0x88b7, payload: Buffer.alloc(46, 7) });
    const wrapped = udpPacket({
      from: "10.20.1.1",
      to: host.address,
      fromPort: 50_000,
      toPort: 4789,
      payload: vxlan(200, secret),
    });
    const socket = await openPacketSocket(guest, "eth0");
    for (const to of [await bridgeMac(100), broadcastMac]) {
      socket.inject(ethernet({ to, from: mac1, type: etherTypes.ipv4, payload: wrapped }));
    }
    // The same datagram from host b, as from a tunnel end, does arrive: the probe can succeed.
    const underlay = await openPacketSocket(it.lab.host("b"), "eth0");
    const hostMac = (await host.exec(["cat", "/sys/class/net/eth0/address"])).trim();
    const marker = ethernet({ to: macRed, from: "52:54:00:00:00:67", type: 0x88b8, payload: Buffer.alloc(46) });
    underlay.inject(
      ethernet({
        to: hostMac,
        from: "02:00:00:00:00:01",
        type: etherTypes.ipv4,
        payload: udpPacket({
          from: it.lab.host("b").address,
          to: host.address,
          fromPort: 50_000,
          toPort: 4789,
          payload: vxlan(200, marker),
        }),
      }),
    );
    await victim.waitForFrame(({ bytes }) => readEthernet(bytes).type === 0x88b8);
    expect(victim.frames().filter(({ bytes }) => readEthernet(bytes).type === 0x88b7)).toEqual([]);
    for (const each of [victim, socket, underlay]) each.close();
  });

  test("a broadcast stays on its host: the tunnel carries only frames to resolved addresses", async () => {
    const far = await openPacketSocket(remote, "eth0");
    const near = await openPacketSocket(third, "eth0");
    const socket = await openPacketSocket(guest, "eth0");
    const shout = arp({ operation: "request", senderMac: mac1, senderIp: "10.20.1.1", targetIp: "10.20.1.99" });
    socket.inject(shout);
    await near.waitForFrame(({ bytes }) => bytes.subarray(0, 42).equals(shout.subarray(0, 42)));
    // A unicast frame behind it ends the wait at the far side.
    socket.inject(ethernet({ to: mac2, from: mac1, type: 0x88b9, payload: Buffer.alloc(46) }));
    await far.waitForFrame(({ bytes }) => readEthernet(bytes).type === 0x88b9);
    expect(far.frames().filter(({ bytes }) => readEthernet(bytes).type === etherTypes.arp)).toEqual([]);
    for (const each of [far, near, socket]) each.close();
  });
});
