// Strangers on the underlay: on a host with --underlay-filter a tunnelled frame is delivered only if it comes from the
// VTEP of a host with a VM in the network.
import { beforeAll, expect, test } from "vitest";
import { ethernet, icmpEcho, vxlan } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (last: number): string => `52:54:00:00:00:0${last}`;

describeKernel.each([4, 6] as const)("a host with --underlay-filter, on IPv%s", (underlay) => {
  const it = cluster({ hosts: 3, underlay, agentArgs: ["--underlay-filter"] });
  let a: Host;
  let b: Host;
  let stranger: Host;
  let guest: Guest;
  let remote: Guest;
  let ear: PacketSocket;
  let serial = 0;

  beforeAll(async () => {
    [a, b, stranger] = ["a", "b", "c"].map((name) => it.lab.host(name)) as [Host, Host, Host];
    await it.network("blue", 100);
    guest = await it.vm("one", "a", "blue", 100, mac(1), ["10.20.1.1/24", "fd00:20::1/64"]);
    remote = await it.vm("two", "b", "blue", 100, mac(2), ["10.20.1.2/24", "fd00:20::2/64"]);
    ear = await openPacketSocket(guest, "eth0");
  });

  /** A frame for the guest, in a tunnel that the host's user space makes. */
  async function sendFrom(host: Host, vni = 100): Promise<Buffer> {
    const payload = icmpEcho({ from: "10.20.1.77", to: "10.20.1.1", sequence: serial++ });
    const frame = ethernet({ to: mac(1), from: mac(7), type: 0x0800, payload });
    const script =
      `const s = require("dgram").createSocket("udp${underlay}");` +
      `s.send(Buffer.from("${vxlan(vni, frame).toString("hex")}", "hex"), 4789, "${a.address}", () => s.close());`;
    await host.exec([process.execPath, "-e", script]);
    return frame;
  }

  const heard = (frame: Buffer): boolean => ear.frames().some(({ bytes }) => bytes.equals(frame));

  /** Followed by a frame that is accepted: by then the guest has received everything that it will receive. */
  async function arrives(frame: Buffer): Promise<boolean> {
    const marker = await sendFrom(b);
    await waitFor(() => heard(marker), { what: "the frame behind it" });
    return heard(frame);
  }

  const dropped = async (): Promise<number> => {
    const text = await a.exec(["nft", "-j", "list", "counter", "inet", "nearmiss", "dropped_sender"]);
    return (JSON.parse(text) as { nftables: { counter?: { packets: number } }[] }).nftables[1]?.counter?.packets ?? -1;
  };

  test("its guests reach those of other hosts and are reached", async () => {
    for (const [from, ip] of [
      [guest, "10.20.1.2"],
      [guest, "fd00:20::2"],
      [remote, "10.20.1.1"],
      [remote, "fd00:20::1"],
    ] as const) {
      expect((await from.ping(ip)).received, `${from.name} to ${ip}`).toBe(1);
    }
  });

  test("delivers nothing from a registered host that has no VM in the network, and says so", async () => {
    const before = await dropped();
    expect(await arrives(await sendFrom(stranger))).toBe(false);
    expect(await dropped()).toBe(before + 1);
    await waitFor(
      async () => {
        const { events } = await it.call<{ events: { type: string }[] }>("GET", "/v1/operational-events");
        return events.some(({ type }) => type === "nearmiss.operational.stranger");
      },
      { what: "the event" },
    );
  });

  test("follows the hosts of the network: accepted with the first VM, dropped after the last", async () => {
    await it.vm("three", "c", "blue", 100, mac(3), ["10.20.1.3/24"]);
    await waitFor(async () => arrives(await sendFrom(stranger)), { what: "host c to be let in" });
    await it.call("DELETE", "/v1/vms/three");
    await waitFor(async () => !(await arrives(await sendFrom(stranger))), { what: "host c to be shut out" });
  });

  test("leaves third-party tunnels alone", async () => {
    const local = underlay === 4 ? [] : ["local", a.address];
    await a.ip(`link add other type vxlan id 777 dstport 4789 ${local.join(" ")} noudpcsum`);
    await a.ip("link set other address 52:54:00:00:00:01", "link set other up");
    const socket = await openPacketSocket(a, "other");
    const frame = await sendFrom(stranger, 777);
    await socket.waitForFrame(({ bytes }) => bytes.equals(frame));
    await a.ip("link del other");
  });

  test("drops strangers while its agent is stopped, and after the ruleset was flushed", async () => {
    a.agent.signal("SIGKILL");
    await a.agent.ended;
    expect(await arrives(await sendFrom(stranger))).toBe(false);
    const again = a.startAgent({ extraArgs: ["--underlay-filter"] });
    await again.waitForLog(({ msg }) => msg === "underlay rules loaded");
    const loaded = again.nextLog(({ msg }) => msg === "underlay rules loaded");
    await a.exec(["nft", "flush", "ruleset"]);
    await loaded;
    expect(await arrives(await sendFrom(stranger))).toBe(false);
    expect((await guest.ping("10.20.1.2")).received).toBe(1);
  });

  test("accepts every frame again if the agent runs without it", async () => {
    await a.agent.stop();
    const again = a.startAgent();
    await again.waitForLog(({ msg }) => msg === "in sync with the controller");
    expect(await arrives(await sendFrom(stranger))).toBe(true);
  });
});
