// A guest and its host: no frame of a guest reaches the host's own stack, or another network through it, with any
// destination and content, under every combination of flags, from the first moment of a port on.
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ethernet, etherTypes, findVxlan, readEthernet, udpPacket, vxlan } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { attackHost, fence } from "../support/host-attack.ts";
import { HostEars } from "../support/host-ears.ts";
import { hostileFrames, injectedType, reservedGroups, type Target } from "../support/hostile-frames.ts";
import { describeKernel } from "../support/kernel.ts";

const mac = (last: number): string => `52:54:00:00:00:${last.toString(16).padStart(2, "0")}`;
const macRed = mac(0x0a);
/** Every combination of the flags that change rules or devices of a host. */
const flagSets = [[], ["--anti-spoof"]].flatMap((spoof) =>
  [[], ["--underlay-filter"]].flatMap((filter) =>
    [[], ["--announce", "off"]].map((announce) => [...spoof, ...filter, ...announce]),
  ),
);

describeKernel.each([4, 6] as const)("a guest and its host, on IPv%s", (underlay) => {
  const it = cluster({ hosts: 2, underlay });
  let a: Host;
  let b: Host;
  /** Without and with a registered port. */
  let free: Guest;
  let pinned: Guest;
  let calm: Guest;
  let ears: HostEars;
  let red: PacketSocket;
  let target: Omit<Target, "mac">;

  beforeAll(async () => {
    [a, b] = ["a", "b"].map((name) => it.lab.host(name)) as [Host, Host];
    await it.network("blue", 100);
    await it.network("red", 200);
    free = await it.vm("free", "a", "blue", 100, mac(1), ["10.20.1.1/24", "fd00:20::1/64"]);
    pinned = await it.vm("pinned", "a", "blue", 100, mac(2), ["10.20.1.2/24", "fd00:20::2/64"], {
      port: "tap-pinned",
      pin: true,
    });
    calm = await it.vm("calm", "a", "blue", 100, mac(4), ["10.20.1.4/24", "fd00:20::4/64"]);
    await it.vm("far", "b", "blue", 100, mac(3), ["10.20.1.3/24", "fd00:20::3/64"]);
    const victim = await it.vm("victim", "a", "red", 200, macRed, ["10.20.1.10/24"]);
    await it.vm("red-far", "b", "red", 200, mac(0x0b), ["10.20.1.11/24"]);
    red = await openPacketSocket(victim, "eth0");
    for (const [host, last] of [
      [a, 1],
      [b, 2],
    ] as const) {
      const other = underlay === 4 ? `2001:db8::${last}/64 nodad` : `192.0.2.${last}/24`;
      await host.ip(`address add ${other} dev eth0`);
    }
    ears = await HostEars.open(a);
    const devices = ["nmb100", "nmv100", free.port, "tap-pinned", "eth0"];
    const macs = await Promise.all(devices.map(macOf));
    target = {
      ...{ ipv4: "192.0.2.1", ipv6: "2001:db8::1", macs },
      ...{ guest4: "10.20.1.1", guest6: "fd00:20::1", otherVni: 200, otherMac: macRed },
    };
  });

  afterAll(() => {
    ears?.close();
    red?.close();
  });

  beforeEach(() => {
    ears.frames();
    ears.datagrams.length = 0;
    ears.connections.length = 0;
    red.clear();
  });

  const macOf = async (device: string): Promise<string> =>
    (await a.exec(["cat", `/sys/class/net/${device}/address`])).trim();

  async function restart(...flags: string[]): Promise<void> {
    await a.agent.stop();
    await a.startAgent({ extraArgs: flags }).waitForLog(({ msg }) => msg === "in sync with the controller");
  }

  /** Sends every frame, and says which of them the host or the other network was given. */
  async function attack(guest: Guest, only?: readonly string[]): Promise<string[]> {
    const { stack, services, injected, answers } = await attackHost({ it, ears, red, target, underlay, guest, only });
    return [...stack, ...services, ...injected, ...answers];
  }

  test.each(flagSets.map((flags) => ({ flags, says: flags.join(" ") || "no flags" })))(
    "no frame gets through, with $says",
    async ({ flags }) => {
      await restart(...flags);
      for (const guest of [free, pinned]) expect(await attack(guest), guest.name).toEqual([]);
      expect((await calm.ping("10.20.1.3")).received).toBe(1);
    },
  );

  test("a port is closed before its first frame, whatever attaches it and while the agent is not running", async () => {
    await restart();
    a.agent.signal("SIGSTOP");
    try {
      const sockets = await openPacketSocket(free, "eth0");
      const frames = [...hostileFrames({ ...target, mac: free.mac }, reservedGroups)].filter(({ name }) =>
        / over IPv|ARP|solicitation/.test(name),
      );
      let flooding = true;
      const flood = (async () => {
        for (let at = 0; flooding; at++) {
          const frame = frames[at % frames.length];
          // While its link has no carrier the kernel refuses to send, so no frame is counted.
          if (frame) tryTo(() => sockets.inject(frame.bytes));
          if (at % 100 === 0) await new Promise(setImmediate);
        }
      })();
      for (let round = 0; round < 40; round++) {
        await a.ip(
          `link set ${free.port} down`,
          `link set ${free.port} nomaster`,
          `link set ${free.port} master nmb100`,
          `link set ${free.port} up`,
          `link show dev ${free.port}`,
        );
      }
      flooding = false;
      await flood;
      sockets.close();
      await fence({ it, ears, red, target, underlay });
      expect(ears.datagrams.map(String).filter((each) => each !== "fence")).toEqual([]);
      expect(red.frames().filter(({ bytes }) => readEthernet(bytes).type === injectedType)).toEqual([]);
      // It is open, as created by the kernel: the frames were not blocked by a setting of the port.
      expect(await groupsOf(free.port)).toBe(0);
    } finally {
      a.agent.signal("SIGCONT");
    }
    await waitFor(async () => (await groupsOf(free.port)) === 0xfffd, { what: "the port to be closed" });
    expect(await attack(free, reservedGroups)).toEqual([]);
  });

  /** Which reserved groups a port or bridge forwards, as bits. */
  async function groupsOf(device: string): Promise<number> {
    const kind = device === "nmb100" ? "bridge" : "brport";
    return Number(await a.exec(["cat", `/sys/class/net/${device}/${kind}/group_fwd_mask`]));
  }

  /** As a version without any of this has left the host. */
  async function openAll(): Promise<void> {
    await a.exec(["nft", "flush", "ruleset"]);
    await a.ip(
      "link set nmb100 type bridge group_fwd_mask 0",
      ...[free.port, "tap-pinned", "nmv100"].map((port) => `link set ${port} type bridge_slave group_fwd_mask 0`),
    );
  }

  test("an upgrade closes the existing ports, without the controller and without losing a packet", async () => {
    const talk = free.startPing("10.20.1.3", { intervalMs: 10 });
    await a.agent.stop();
    await openAll();
    expect(await attack(free, reservedGroups)).not.toEqual([]);
    ears.datagrams.length = 0;
    await it.lab.controller.stop();
    await a.startAgent().waitForLog(({ msg }) => msg === "bridges and ports are closed towards this host");
    expect(await attack(free, reservedGroups)).toEqual([]);
    expect(await attack(pinned, reservedGroups)).toEqual([]);
    await it.lab.startController();
    await a.agent.waitForLog(({ msg }) => msg === "in sync with the controller");
    const { sent, received } = await talk.stop();
    expect(received).toBe(sent);
  });

  test("what another program opens is closed again within a moment", async () => {
    await openAll();
    await a.ip("link set nmb100 type bridge stp_state 1");
    await a.exec(["tc", "qdisc", "del", "dev", "nmb100", "clsact"]);
    const closed = { bridge: 0xfff8, stp: 0, ports: [0xfffd, 0xfffd, 0xfffd], filter: true, rules: true };
    await waitUntil(
      async () => ({
        bridge: await groupsOf("nmb100"),
        stp: Number(await a.exec(["cat", "/sys/class/net/nmb100/bridge/stp_state"])),
        ports: await Promise.all([free.port, "tap-pinned", "nmv100"].map(groupsOf)),
        filter: (await a.exec(["tc", "filter", "show", "dev", "nmb100", "ingress"])).includes("1,6 0 0 2"),
        rules: (await a.exec(["nft", "list", "tables"])).includes("table bridge nearmiss-host"),
      }),
      (seen) => isDeepStrictEqual(seen, closed),
      { what: "bridge, ports and rules to be closed", deadlineMs: 2_000 },
    );
    expect(await attack(free, [...reservedGroups, target.macs[0] ?? "", "ff:ff:ff:ff:ff:ff"])).toEqual([]);
  });

  test("frames from a tunnel are bridged and not delivered, whatever group they are for", async () => {
    const wire = await openPacketSocket(b, "eth0");
    const near = await openPacketSocket(free, "eth0");
    const [from, to] = underlay === 4 ? ["192.0.2.2", "192.0.2.1"] : ["2001:db8::2", "2001:db8::1"];
    let last: Buffer | undefined;
    for (const { bytes } of hostileFrames({ ...target, mac: mac(0x55) }, reservedGroups)) {
      const packet = udpPacket({ from, to, fromPort: 1_000, toPort: 4789, payload: vxlan(100, bytes) });
      const type = underlay === 4 ? etherTypes.ipv4 : etherTypes.ipv6;
      wire.inject(ethernet({ to: target.macs.at(-1) ?? "", from: "02:00:00:00:00:01", type, payload: packet }));
      last = bytes;
    }
    // It did arrive through the tunnel.
    await near.waitForFrame(({ bytes }) => last !== undefined && bytes.subarray(0, 12).equals(last.subarray(0, 12)));
    await fence({ it, ears, red, target, underlay });
    expect(ears.framesFrom([mac(0x55)])).toEqual([]);
    expect(ears.datagrams.map(String).filter((each) => each !== "fence")).toEqual([]);
    wire.close();
    near.close();
  });
});

describeKernel("a guest on an adopted bridge with an address of the host", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: ["--adopt", "vxlan7"] });
  let a: Host;
  let guest: Guest;
  let ears: HostEars;
  let red: PacketSocket;
  let bridgeMac: string;
  const target = {
    ...{ ipv4: "192.0.2.1", ipv6: "2001:db8::1", guest4: "10.20.1.1", guest6: "fd00:20::1" },
    ...{ otherVni: 200, otherMac: macRed },
  };

  beforeAll(async () => {
    a = it.lab.host("a");
    await it.network("seven", 7);
    await it.network("red", 200);
    await a.ip(
      "address add 2001:db8::1/64 dev eth0 nodad",
      "link add br-seven type bridge",
      "address add 10.20.1.254/24 dev br-seven",
      "address add fd00:20::254/64 dev br-seven nodad",
      "link set br-seven up",
      `link add vxlan7 type vxlan id 7 local ${a.address} dstport 4789 nolearning proxy l2miss l3miss`,
      "link set vxlan7 master br-seven up",
    );
    await it.lab.host("b").ip("address add 2001:db8::2/64 dev eth0 nodad");
    a.sysctl("ipv4/ip_forward", 1);
    await a.exec(["nft", "add table ip test"]);
    await a.exec(["nft", "add chain ip test post { type nat hook postrouting priority 100 ; }"]);
    await a.exec(["nft", "add rule ip test post oifname eth0 masquerade"]);
    guest = await it.vm("seven-1", "a", "seven", 7, mac(1), ["10.20.1.1/24", "fd00:20::1/64"], { bridge: "br-seven" });
    await it.vm("seven-2", "b", "seven", 7, mac(2), ["10.20.1.2/24", "fd00:20::2/64"]);
    const victim = await it.vm("victim", "a", "red", 200, macRed, ["10.20.1.10/24"]);
    red = await openPacketSocket(victim, "eth0");
    ears = await HostEars.open(a);
    bridgeMac = (await a.exec(["cat", "/sys/class/net/br-seven/address"])).trim();
  });

  afterAll(() => {
    ears?.close();
    red?.close();
  });

  const attack = async (only: readonly string[]) => {
    ears.datagrams = [];
    ears.connections.length = 0;
    const macs = [(await a.exec(["cat", "/sys/class/net/eth0/address"])).trim()];
    return attackHost({ it, ears, red, target: { ...target, macs }, underlay: 4, guest, only, hostSpeaks: true });
  };

  test("reaches the host's services through the bridge, as its owner intends, and no other network", async () => {
    const { services, injected } = await attack([bridgeMac]);
    expect(services).toContain("from a guest");
    expect(injected).toEqual([]);
  });

  test("reaches nothing through the reserved groups", async () => {
    expect(await attack(reservedGroups)).toMatchObject({ services: [], injected: [], answers: [] });
    await a.ip("link set br-seven type bridge stp_state 1");
    expect(await attack(reservedGroups.slice(0, 1))).toMatchObject({ services: [], injected: [], answers: [] });
    await a.ip("link set br-seven type bridge stp_state 0");
  });

  test("reaches no tunnel of another host with this host's address", async () => {
    const far = it.lab.host("b");
    const tunnels = await openPacketSocket(far, "eth0");
    const socket = await openPacketSocket(guest, "eth0");
    const inner = ethernet({ to: macRed, from: mac(0x66), type: injectedType, payload: Buffer.alloc(46) });
    const send = (toPort: number): void =>
      socket.inject(
        ethernet({
          to: bridgeMac,
          from: mac(1),
          type: etherTypes.ipv4,
          payload: udpPacket({ from: "10.20.1.1", to: "192.0.2.2", fromPort: 5_000, toPort, payload: vxlan(7, inner) }),
        }),
      );
    send(4789);
    // Another port is routed, with the host's address as its source: the way is open.
    send(4788);
    await tunnels.waitForFrame(({ bytes, outgoing }) => !outgoing && bytes.includes(inner));
    expect(tunnels.frames().filter(({ bytes }) => findVxlan(bytes)?.inner.equals(inner))).toEqual([]);
    tunnels.close();
    socket.close();
  });

  test("is blocked again at once after the rules are flushed", async () => {
    await a.exec(["nft", "flush", "ruleset"]);
    await waitFor(async () => (await a.exec(["nft", "list", "tables"])).match(/nearmiss-host/g)?.length === 3, {
      what: "all three tables",
      deadlineMs: 2_000,
    });
    expect((await attack([bridgeMac])).injected).toEqual([]);
  });
});

function tryTo(act: () => void): void {
  try {
    act();
  } catch {}
}
