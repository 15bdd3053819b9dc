// Multicast groups of networks whose broadcasts are copied: a frame to a group reaches the hosts with a member, and no other host.
import { readFileSync } from "node:fs";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import { groupToBytes, parseGroup } from "../../schema/address/index.ts";
import type { GroupList } from "../../schema/rest/index.ts";
import { ethernet, etherTypes, findVxlan, internetChecksum, ipPacket, udpPacket } from "../../testkit/lab/frames.ts";
import { GroupMember } from "../../testkit/lab/group-member.ts";
import { type Guest, guestDevice } from "../../testkit/lab/guest.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (n: number) => `52:54:00:00:00:0${n}`;
const groups = { 4: "239.1.2.3", 6: "ff05::1:23" } as const;
const macs = { 4: "01:00:5e:01:02:03", 6: "33:33:00:01:00:23" } as const;

async function member(guest: Guest, family: 4 | 6 = 4): Promise<GroupMember> {
  const started = await GroupMember.start(guest, { family });
  onTestFinished(() => started.stop());
  return started;
}

const has = (text: string) => (frame: { bytes: Buffer; outgoing: boolean }) => frame.bytes.includes(text);
const copies = (wire: PacketSocket, text: string): number => wire.frames().filter(has(text)).length;

describeKernel.each([4, 6] as const)("groups of a network with broadcast replicate, over IPv%i", (underlay) => {
  const it = cluster({ hosts: 3, underlay });
  let sender: Guest;
  let near: Guest;
  let far: Guest;
  let farther: Guest;

  const destinations = async (host: string, groupMac: string): Promise<string[]> => {
    const { fdb } = await it.entries(host, 100);
    return fdb.filter((line) => line.startsWith(groupMac)).map((line) => line.split(" ")[2] ?? "");
  };
  /** The kernel has the entries, and rules that let frames pass to them. */
  const untilDestinations = (host: string, groupMac: string, ...others: readonly string[]) =>
    waitFor(
      async () => {
        const wanted = others.map((name) => it.lab.host(name).address).sort();
        if ((await destinations(host, groupMac)).sort().join() !== wanted.join()) return undefined;
        const rules = await it.lab.host(host).exec(["nft", "list", "table", "bridge", "nearmiss-broadcast"]);
        return rules.includes(`"nmv100" . ${groupMac}`) === wanted.length > 0 || undefined;
      },
      { what: `${groupMac} of host ${host} to go to ${others.join(" and ") || "none"}` },
    );
  const wires = (): Promise<PacketSocket[]> =>
    Promise.all(
      ["b", "c"].map(async (host) => {
        const wire = await openPacketSocket(it.lab.host(host), underlayDevice);
        onTestFinished(() => wire.close());
        return wire;
      }),
    );

  beforeAll(async () => {
    await it.network("blue", 100, { broadcast: "replicate" });
    sender = await it.vm("blue-1", "a", "blue", 100, mac(1), ["10.20.1.1/24", "fd00:20::1/64"]);
    near = await it.vm("blue-2", "a", "blue", 100, mac(2), ["10.20.1.2/24", "fd00:20::2/64"]);
    far = await it.vm("blue-3", "b", "blue", 100, mac(3), ["10.20.1.3/24", "fd00:20::3/64"]);
    farther = await it.vm("blue-4", "c", "blue", 100, mac(4), ["10.20.1.4/24", "fd00:20::4/64"]);
  });

  test.each([4, 6] as const)(
    "IPv%i: members on other hosts receive each datagram once, a host without one none",
    async (family) => {
      const [out, nearby, remote] = await Promise.all([
        member(sender, family),
        member(near, family),
        member(far, family),
      ]);
      const [b, c] = await wires();
      await nearby.join(groups[family]);
      await remote.join(groups[family]);
      await untilDestinations("a", macs[family], "b");
      await untilDestinations("c", macs[family], "a", "b");
      await out.send(groups[family], `first ${family}.`);
      await remote.untilReceived(`first ${family}.`);
      for (let n = 0; n < 20; n++) await out.send(groups[family], `news ${n}.`);
      await remote.untilReceived("news 19.");
      for (const { received } of [nearby, remote])
        expect(received.filter((text) => text.startsWith("news "))).toEqual(
          Array.from({ length: 20 }, (_, n) => `news ${n}.`),
        );
      expect([copies(b as PacketSocket, "news "), copies(c as PacketSocket, "news ")]).toEqual([20, 0]);
      await remote.leave(groups[family]);
      await untilDestinations("a", macs[family]);
      await out.send(groups[family], "after leaving.");
      await nearby.untilReceived("after leaving.");
      expect(copies(b as PacketSocket, "after leaving.")).toBe(0);
      await nearby.leave(groups[family]);
      await untilDestinations("c", macs[family]);
    },
  );

  test("IGMPv2 and MLDv1 guests are members, and leave", async () => {
    far.sysctl("ipv4/conf/eth0/force_igmp_version", 2);
    far.sysctl("ipv6/conf/eth0/force_mld_version", 1);
    for (const family of [4, 6] as const) {
      const remote = await member(far, family);
      await remote.join(groups[family]);
      await untilDestinations("a", macs[family], "b");
      await remote.leave(groups[family]);
      await untilDestinations("a", macs[family]);
    }
    far.sysctl("ipv4/conf/eth0/force_igmp_version", 0);
    far.sysctl("ipv6/conf/eth0/force_mld_version", 0);
  });

  test("link-local groups flow by what guests report, and what is of one link does not cross, also with a MAC that is copied", async () => {
    const ear = await openPacketSocket(far, guestDevice);
    const out = await openPacketSocket(sender, guestDevice);
    onTestFinished(() => {
      for (const each of [ear, out]) each.close();
    });
    const mdns = { 4: "224.0.0.251", 6: "ff02::fb" } as const;
    for (const family of [4, 6] as const) {
      const remote = await member(far, family);
      const asker = await member(sender, family);
      await remote.join(mdns[family]);
      await untilDestinations("a", family === 4 ? "01:00:5e:00:00:fb" : "33:33:00:00:00:fb", "b");
      await asker.send(mdns[family], `who prints ${family}?`);
      await remote.untilReceived(`who prints ${family}?`);
    }
    // 239.0.0.1 and ff0e::1 have the MAC addresses of 224.0.0.1 and ff02::1.
    for (const [family, group, groupMac] of [
      [4, "239.0.0.1", "01:00:5e:00:00:01"],
      [6, "ff0e::1", "33:33:00:00:00:01"],
    ] as const) {
      const remote = await member(far, family);
      await remote.join(group);
      await untilDestinations("a", groupMac, "b");
      const sends = await member(sender, family);
      await sends.send(group, `passes ${family}.`);
      await remote.untilReceived(`passes ${family}.`);
    }
    const from = ear.frames().length;
    const to4 = "01:00:5e:00:00:01";
    const to6 = "33:33:00:00:00:01";
    const secret = Buffer.from("secret! ".repeat(8));
    const icmp6 = (type: number, to: string) =>
      ipPacket(
        { from: "fd00:20::1", to, protocol: 58, payload: Buffer.concat([Buffer.of(type, 0, 0, 0), secret]) },
        255,
      );
    const rewritten = (packet: Buffer, to: string): Buffer => {
      const isFour = packet[0] === 0x45;
      groupToBytes(parseGroup(to)).copy(packet, isFour ? 16 : 24);
      if (isFour) packet.writeUInt16BE(0, 10);
      if (isFour) packet.writeUInt16BE(internetChecksum(packet.subarray(0, 20)), 10);
      return packet;
    };
    const four = (protocol: number, payload: Buffer, to: string) =>
      rewritten(ipPacket({ from: "10.20.1.1", to: "255.255.255.255", protocol, payload }), to);
    const six = (packet: Buffer, to: string) => rewritten(packet, to);
    const udp = (fromPort: number, toPort: number) =>
      udpPacket({ from: "10.20.1.1", to: "255.255.255.255", fromPort, toPort, payload: secret });
    const any = "fd00:20::9";
    const refused: readonly (readonly [string, number, Buffer])[] = [
      [to4, etherTypes.ipv4, four(2, Buffer.concat([Buffer.of(0x16, 0, 0, 0), secret]), "239.0.0.1")],
      [to4, etherTypes.ipv4, four(17, udp(5_000, 5_000).subarray(20), "224.0.0.1")],
      [to4, etherTypes.ipv4, rewritten(udp(68, 67), "239.0.0.1")],
      [to4, etherTypes.ipv4, four(1, Buffer.concat([Buffer.of(9, 0, 0, 0), secret]), "239.0.0.1")],
      [to6, etherTypes.ipv6, six(icmp6(134, any), "ff02::1")],
      [to6, etherTypes.ipv6, six(icmp6(133, any), "ff0e::1")],
      [to6, etherTypes.ipv6, six(icmp6(136, any), "ff0e::1")],
      [to6, etherTypes.ipv6, six(icmp6(135, any), "ff0e::1")],
      [to6, etherTypes.ipv6, six(icmp6(143, any), "ff0e::1")],
      [
        to6,
        etherTypes.ipv6,
        six(
          ipPacket({
            from: "fd00:20::1",
            to: any,
            protocol: 60,
            payload: Buffer.concat([Buffer.of(58, 0, 1, 4, 0, 0, 0, 0, 134, 0, 0, 0), secret]),
          }),
          "ff0e::1",
        ),
      ],
      [
        to6,
        etherTypes.ipv6,
        six(udpPacket({ from: "fd00:20::1", to: any, fromPort: 546, toPort: 547, payload: secret }), "ff0e::1"),
      ],
      [to6, 0x88b5, secret],
    ];
    for (const [to, type, payload] of refused) out.inject(ethernet({ to, from: mac(1), type, payload }));
    const fence = await member(sender);
    const heard = await member(far);
    await heard.join("239.0.0.1");
    await fence.send("239.0.0.1", "fence.");
    await heard.untilReceived("fence.");
    const crossed = ear
      .frames()
      .slice(from)
      .filter(({ bytes, outgoing }) => !outgoing && bytes.includes("secret!"));
    expect(crossed.map(({ bytes }) => bytes.toString("hex"))).toEqual([]);
    // Misses stay: neighbours are asked for and found.
    await sender.forgetNeighbours();
    expect(await sender.ping("fd00:20::3")).toMatchObject({ received: 1 });
  });

  test("neither queries nor reports enter the tunnel", async () => {
    const [b, c] = (await wires()) as [PacketSocket, PacketSocket];
    const remote = await member(far);
    const local = await member(sender);
    for (const each of [remote, local]) await each.join(groups[4]);
    await untilDestinations("a", macs[4], "b");
    await untilDestinations("b", macs[4], "a");
    for (const each of [remote, local]) await each.leave(groups[4]);
    await untilDestinations("a", macs[4]);
    await untilDestinations("b", macs[4]);
    const inner = [b, c].flatMap((wire) => wire.frames().flatMap(({ bytes }) => findVxlan(bytes)?.inner ?? []));
    const isIgmp = (frame: Buffer) => frame.readUInt16BE(12) === etherTypes.ipv4 && frame[23] === 2;
    const isMld = (frame: Buffer) => frame.readUInt16BE(12) === etherTypes.ipv6 && frame[20] === 0;
    expect(inner.filter((frame) => isIgmp(frame) || isMld(frame)).map((frame) => frame.toString("hex"))).toEqual([]);
  });

  test("each agent asks its own guests, again after a restart: receivers that joined before lose and double nothing", async () => {
    const [out, remote] = await Promise.all([member(sender), member(far)]);
    await remote.join(groups[4]);
    await untilDestinations("a", macs[4], "b");
    let sent = 0;
    const timer = setInterval(() => void out.send(groups[4], `count ${sent++}.`), 10);
    try {
      for (const name of ["a", "b"]) {
        const host = it.lab.host(name);
        await host.agent.stop("SIGKILL");
        const before = sent;
        await remote.untilReceived(`count ${before + 5}.`);
        await host.startAgent().waitForLog(({ msg }) => msg === "in sync with the controller");
        // The whole set of groups, which replaces what the controller has of the host.
        await waitFor(
          async () =>
            (await statusOf(host)).networks[0]?.groups?.joined.includes(groups[4]) || name === "a" || undefined,
          {
            what: `the groups of host ${name}`,
          },
        );
        await remote.untilReceived(`count ${sent + 300}.`);
      }
    } finally {
      clearInterval(timer);
    }
    await out.send(groups[4], "last.");
    await remote.untilReceived("last.");
    const counts = remote.received.filter((text) => text.startsWith("count "));
    expect(counts).toEqual(Array.from({ length: sent }, (_, n) => `count ${n}.`));
  });

  test("a controller that starts again knows the groups from the agents, and no destination leaves before", async () => {
    const [out, remote] = await Promise.all([member(sender), member(far)]);
    await remote.join(groups[4]);
    await untilDestinations("a", macs[4], "b");
    await it.lab.controller.stop("SIGKILL");
    await out.send(groups[4], "without a controller.");
    await remote.untilReceived("without a controller.");
    await it.lab.startController();
    await waitFor(
      async () => {
        const list = await it.call<GroupList>("GET", "/v1/networks/blue/groups").catch(() => undefined);
        return list?.items.some(({ group, hosts }) => group === groups[4] && hosts.includes("b")) || undefined;
      },
      { what: "the groups" },
    );
    expect(await destinations("a", macs[4])).toEqual([it.lab.host("b").address]);
    const explained = (await askAgent(it.lab.host("a").agentSocket, {
      type: "explain",
      network: "blue",
      from: "10.20.1.1",
      to: groups[4],
    })) as { result: Explanation };
    expect(explained.result.checks.find(({ name }) => name === "group")?.says).toContain(
      `${groups[4]} has members on b, and is copied to ${it.lab.host("b").address}`,
    );
  });

  test("a guest that vanishes leaves, and one that moves is a member where it is", async () => {
    const remote = await member(farther);
    await remote.join(groups[4]);
    await untilDestinations("a", macs[4], "c");
    await it.call("POST", "/v1/vms/blue-4/move", { host: "b" });
    await farther.moveTo(it.lab.host("b"));
    await untilDestinations("a", macs[4], "b");
    await it.call("DELETE", "/v1/vms/blue-4");
    await remote.stop();
    await farther.remove();
    await untilDestinations("a", macs[4]);
  });

  test("1,000 joins a second of one guest cost few messages, and a condition names its port", async () => {
    const flood = await openPacketSocket(far, guestDevice);
    onTestFinished(() => flood.close());
    const report = (n: number): Buffer => {
      const group = Buffer.of(239, 200, n >> 8, n & 255);
      const message = Buffer.concat([Buffer.of(0x16, 0, 0, 0), group]);
      message.writeUInt16BE(internetChecksum(message), 2);
      const packet = ipPacket({ from: "10.20.1.3", to: "255.255.255.255", protocol: 2, payload: message });
      return ethernet({ to: "01:00:5e:00:00:16", from: mac(3), type: etherTypes.ipv4, payload: packet });
    };
    const usage = () => cpuMs(it.lab.host("b").agent.pid ?? 0);
    const [cpuBefore, beginMs] = [usage(), performance.now()];
    let n = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        for (const end = n + 50; n < end; n++) flood.inject(report(n % 1_000));
        if (n < 3_000) return;
        clearInterval(timer);
        resolve();
      }, 50);
    });
    const wallMs = performance.now() - beginMs;
    await waitFor(
      async () =>
        (await statusOf(it.lab.host("b"))).problems.some((text) => text.includes("join more multicast groups")) ||
        undefined,
      {
        what: "the condition",
      },
    );
    const joined = (await statusOf(it.lab.host("b"))).networks[0]?.groups?.joined ?? [];
    expect(joined.filter((group) => group.startsWith("239.200.")).length).toBeLessThanOrEqual(256);
    expect(usage() - cpuBefore).toBeLessThan(wallMs / 2);
    // Others are served.
    const near2 = await member(near);
    await near2.join(groups[4]);
    await untilDestinations("b", macs[4], "a");
  });
});

/** Processor time of a process so far, ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
