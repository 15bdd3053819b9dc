// Networks whose broadcasts are copied: each guest of another host of the network has every broadcast once, and no other host has any.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { askAgent } from "../../node-agent/status/client.ts";
import type { Explanation } from "../../node-agent/status/explanation.ts";
import { run } from "../../testkit/lab/command.ts";
import {
  arp,
  broadcastMac,
  ethernet,
  etherTypes,
  internetChecksum,
  ipPacket,
  rarpAnnouncement,
  readEthernet,
  udpPacket,
} from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { underlayDevice } from "../../testkit/lab/underlay.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster, statusOf } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const metricsPort = 9478;
const mac = (n: number) => `52:54:00:00:00:0${n}`;

/** A broadcast datagram with this content. */
const datagram = (from: Guest, text: string, ports: { fromPort?: number; toPort?: number } = {}): Buffer =>
  ethernet({
    to: broadcastMac,
    from: from.mac,
    type: etherTypes.ipv4,
    payload: udpPacket({
      from: from.ips[0] ?? "",
      to: "255.255.255.255",
      fromPort: 5_000,
      toPort: 5_000,
      ...ports,
      payload: Buffer.from(text),
    }),
  });

describeKernel.each([4, 6] as const)("a network with broadcast replicate, over IPv%i", (underlay) => {
  const it = cluster({ hosts: 3, underlay });
  let sender: Guest;
  let neighbour: Guest;
  let far: Guest;
  let farther: Guest;
  let marks = 0;

  const destinations = async (host: string): Promise<string[]> => {
    const { fdb } = await it.entries(host, 100);
    return fdb.filter((line) => line.startsWith(broadcastMac)).map((line) => line.split(" ")[2] ?? "");
  };
  const untilDestinations = (host: string, ...others: readonly string[]) =>
    waitFor(
      async () => {
        const wanted = others.map((name) => it.lab.host(name).address).sort();
        return (await destinations(host)).sort().join() === wanted.join() || undefined;
      },
      { what: `broadcasts of host ${host} to go to ${others.join(" and ") || "none"}` },
    );
  const contains = (text: string) => (frame: { bytes: Buffer; outgoing: boolean }) =>
    !frame.outgoing && frame.bytes.includes(text);
  /** Sends a datagram that must arrive at `ears`, after everything that was sent before. */
  const fence = async (from: Guest, out: PacketSocket, ...ears: readonly PacketSocket[]): Promise<void> => {
    marks += 1;
    const text = `mark ${marks}.`;
    out.inject(datagram(from, text));
    for (const ear of ears) await ear.waitForFrame(contains(text));
  };

  beforeAll(async () => {
    await it.network("blue", 100, { broadcast: "replicate" });
    sender = await it.vm("blue-1", "a", "blue", 100, mac(1), ["10.20.1.1/24", "fd00:20::1/64"]);
    neighbour = await it.vm("blue-2", "a", "blue", 100, mac(2), ["10.20.1.2/24"]);
    far = await it.vm("blue-3", "b", "blue", 100, mac(3), ["10.20.1.3/24", "fd00:20::3/64"]);
    farther = await it.vm("blue-4", "b", "blue", 100, mac(4), ["10.20.1.4/24"]);
    await untilDestinations("a", "b");
    await untilDestinations("b", "a");
  });

  test("each guest has a broadcast once, its sender has none back, and a host without a member none", async () => {
    const out = await openPacketSocket(sender, "eth0");
    const ears = await Promise.all([neighbour, far, farther].map((guest) => openPacketSocket(guest, "eth0")));
    const wires = await Promise.all(["b", "c"].map((host) => openPacketSocket(it.lab.host(host), underlayDevice)));
    const texts = Array.from({ length: 20 }, (_, n) => `news ${n}.`);
    for (const text of texts) out.inject(datagram(sender, text));
    await fence(sender, out, ...ears);
    for (const ear of ears)
      expect(texts.map((text) => ear.frames().filter(contains(text)).length)).toEqual(texts.map(() => 1));
    expect(out.frames().filter(({ bytes, outgoing }) => !outgoing && bytes.includes("news "))).toEqual([]);
    const [b, c] = wires.map((wire) => wire.frames().filter(({ bytes }) => bytes.includes("news ")).length);
    expect([b, c]).toEqual([texts.length, 0]);
    for (const each of [out, ...ears, ...wires]) each.close();
  });

  test("ARP, DHCP, IGMP, router discovery, IPv6, RARP, tagged and hidden forms do not cross, and what passes does", async () => {
    const out = await openPacketSocket(sender, "eth0");
    const ear = await openPacketSocket(far, "eth0");
    const near = await openPacketSocket(neighbour, "eth0");
    const wire = await openPacketSocket(it.lab.host("b"), underlayDevice);
    const ip4 = (protocol: number, payload: Uint8Array) =>
      ipPacket({ from: "10.20.1.1", to: "255.255.255.255", protocol, payload });
    const framed = (type: number, payload: Uint8Array) => ethernet({ to: broadcastMac, from: mac(1), type, payload });
    const inside = (type: number, payload: Uint8Array, tag = 1) =>
      Buffer.concat([Buffer.from([0, tag, type >> 8, type & 255]), payload]);
    const udp4 = (fromPort: number, toPort: number, size = 100) =>
      udpPacket({ from: "10.20.1.1", to: "255.255.255.255", fromPort, toPort, payload: Buffer.alloc(size, "secret!") });
    const secret = Buffer.from("secret! ".repeat(8));
    const icmp6 = (type: number, ...rest: number[]) =>
      ipPacket(
        {
          from: "fd00:20::1",
          to: "ff02::1",
          protocol: 58,
          payload: Buffer.concat([Buffer.from([type, 0, 0, 0, ...rest]), secret]),
        },
        255,
      );
    /** The first or last fragment of a packet, with the payload cut at `at`. */
    const fragment = (packet: Buffer, from: number, to: number, more: boolean): Buffer => {
      const cut = Buffer.concat([packet.subarray(0, 20), packet.subarray(20 + from, 20 + to)]);
      cut.writeUInt16BE(cut.length, 2);
      cut.writeUInt16BE((more ? 0x2000 : 0) | (from / 8), 6);
      cut.writeUInt16BE(0, 10);
      cut.writeUInt16BE(internetChecksum(cut.subarray(0, 20)), 10);
      return cut;
    };
    const dhcp = udp4(68, 67, 400);
    const refused: Record<string, Buffer> = {
      "an ARP request": arp({ operation: "request", senderMac: mac(1), senderIp: "10.20.1.1", targetIp: "10.20.1.9" }),
      "a gratuitous ARP reply": arp(
        { operation: "reply", senderMac: mac(1), senderIp: "10.20.1.1", targetMac: mac(1), targetIp: "10.20.1.1" },
        broadcastMac,
      ),
      "a DHCP request": framed(etherTypes.ipv4, dhcp),
      "a DHCP answer": framed(etherTypes.ipv4, udp4(67, 68)),
      "a DHCP request's first fragment": framed(etherTypes.ipv4, fragment(dhcp, 0, 200, true)),
      "a short first fragment": framed(etherTypes.ipv4, fragment(dhcp, 0, 8, true)),
      "an IGMP report": framed(etherTypes.ipv4, ip4(2, Buffer.concat([Buffer.from([0x16, 0, 0, 0]), secret]))),
      "an IGMP report's fragment": framed(
        etherTypes.ipv4,
        fragment(ip4(2, Buffer.alloc(400, "secret!")), 200, 400, false),
      ),
      "a router advertisement of IPv4": framed(
        etherTypes.ipv4,
        ip4(1, Buffer.concat([Buffer.from([9, 0, 0, 0]), secret])),
      ),
      "a redirect of IPv4": framed(etherTypes.ipv4, ip4(1, Buffer.concat([Buffer.from([5, 0, 0, 0]), secret]))),
      "a router advertisement": framed(etherTypes.ipv6, icmp6(134, 64, 0, 0, 30)),
      "a router solicitation": framed(etherTypes.ipv6, icmp6(133)),
      "a neighbour advertisement": framed(etherTypes.ipv6, icmp6(136)),
      "a redirect": framed(etherTypes.ipv6, icmp6(137)),
      "an MLD report": framed(etherTypes.ipv6, icmp6(143)),
      "a DHCPv6 request": framed(
        etherTypes.ipv6,
        udpPacket({ from: "fd00:20::1", to: "ff02::1", fromPort: 546, toPort: 547, payload: secret }),
      ),
      "a router advertisement behind destination options": framed(
        etherTypes.ipv6,
        ipPacket(
          {
            from: "fd00:20::1",
            to: "ff02::1",
            protocol: 60,
            payload: Buffer.concat([Buffer.from([58, 0, 1, 4, 0, 0, 0, 0, 134, 0, 0, 0]), secret]),
          },
          255,
        ),
      ),
      "a RARP announcement": rarpAnnouncement(mac(1)),
      "a tagged datagram": framed(0x8100, inside(etherTypes.ipv4, udp4(5_000, 5_000))),
      "a tagged DHCP request": framed(0x8100, inside(etherTypes.ipv4, dhcp)),
      "a datagram in two tags": framed(0x88a8, inside(0x8100, inside(etherTypes.ipv4, udp4(5_000, 5_000)))),
      "a priority-tagged ARP request": framed(
        0x8100,
        inside(
          etherTypes.arp,
          arp({ operation: "request", senderMac: mac(1), senderIp: "10.20.1.1", targetIp: "10.20.1.9" }).subarray(14),
          0,
        ),
      ),
      "another protocol": framed(0x88b5, secret),
      "a packet whose header lies": framed(etherTypes.ipv4, Buffer.concat([Buffer.from([0x4f]), dhcp.subarray(1, 30)])),
    };
    // It would drop the packet whose header lies.
    it.lab.host("a").sysctl("bridge/bridge-nf-call-iptables", 0, { optional: true });
    for (const frame of Object.values(refused)) out.inject(frame);
    await fence(sender, out, near, ear);
    const isSent = ({ bytes, outgoing }: { bytes: Buffer; outgoing: boolean }) =>
      !outgoing && readEthernet(bytes).from === mac(1) && !bytes.includes("mark ");
    const crossed = ear.frames().filter(isSent);
    const names = crossed.map(
      ({ bytes }) => Object.entries(refused).find(([, frame]) => bytes.equals(frame))?.[0] ?? bytes.toString("hex"),
    );
    expect(names).toEqual([]);
    // The capture would have seen them: the guest on the same host has each.
    expect(near.frames().filter(isSent)).toHaveLength(Object.keys(refused).length);
    expect(wire.frames().filter(({ bytes }) => bytes.includes("secret!"))).toEqual([]);
    // A fragmented datagram that may pass arrives whole.
    const large = udp4(5_000, 5_001, 400);
    for (const part of [fragment(large, 0, 200, true), fragment(large, 200, 408, false)])
      out.inject(framed(etherTypes.ipv4, part));
    await waitFor(() => ear.frames().filter(contains("secret!")).length === 2 || undefined, { what: "both fragments" });
    for (const each of [out, ear, near, wire]) each.close();
  });

  test("misses stay: an unknown neighbour and an unknown MAC are asked for", async () => {
    expect(await sender.ping("10.20.1.3")).toMatchObject({ received: 1 });
    expect(await sender.ping("fd00:20::3")).toMatchObject({ received: 1 });
    const fdb = await it.lab.host("a").exec(["bridge", "fdb", "show", "dev", "nmv100"]);
    expect(fdb).not.toContain("00:00:00:00:00:00");
    expect((await statusOf(it.lab.host("a"))).problems).toEqual([]);
  });

  test("destinations follow the first and the last VM of a host, when its change is confirmed", async () => {
    await it.vm("blue-5", "c", "blue", 100, mac(5), ["10.20.1.5/24"]);
    await untilDestinations("a", "b", "c");
    await untilDestinations("c", "a", "b");
    const moved = await it
      .call<{ confirmed: number }>("POST", "/v1/vms/blue-5/move", {
        host: "b",
        wait: true,
      })
      .catch((error: Error) => error);
    expect(moved).not.toBeInstanceOf(Error);
    await untilDestinations("a", "b");
    await it.call("DELETE", "/v1/vms/blue-5");
    await untilDestinations("b", "a");
  });

  test("destinations follow a host's tunnel end, and never lead to an own one", async () => {
    const { address } = it.lab.host("b");
    const other = underlay === 4 ? "192.0.2.77" : "2001:db8::77";
    await it.call("PATCH", "/v1/hosts/b", { vtep: other });
    await waitFor(async () => (await destinations("a")).join() === other || undefined, { what: `${other} at host a` });
    await it.call("PATCH", "/v1/hosts/b", { vtep: address });
    await untilDestinations("a", "b");
    await untilDestinations("b", "a");
  });

  test("a host that a VM is being migrated to has copies before it runs there, and no more after a rollback", async () => {
    await it.call("POST", "/v1/vms/blue-4/prepare", { host: "c", wait: true });
    await untilDestinations("a", "b", "c");
    await untilDestinations("c", "a", "b");
    await it.call("POST", "/v1/vms/blue-4/abort", { wait: true });
    await untilDestinations("a", "b");
  });

  test("explain says where a broadcast goes, and where not", async () => {
    const explain = async (to: string) => {
      const request = { type: "explain", network: "blue", from: "10.20.1.1", to } as const;
      return (await askAgent(it.lab.host("a").agentSocket, request)).result as Explanation;
    };
    for (const to of ["255.255.255.255", "10.20.1.255"]) {
      const { first, checks } = await explain(to);
      expect(first).toBeNull();
      const says = new Map(checks.map((check) => [check.name, check.says]));
      expect(says.get("broadcast")).toBe(`broadcasts of blue are copied to ${it.lab.host("b").address}`);
      expect(says.get("FDB entries (broadcast)")).toBe("nmv100 has all 1");
    }
    const { networks } = await statusOf(it.lab.host("a"));
    expect(networks[0]?.broadcast).toEqual({ state: "copied", destinations: [it.lab.host("b").address] });
  });

  test("another program's destinations are removed and its deletions put back, and traffic goes on", async () => {
    const a = it.lab.host("a");
    const b = it.lab.host("b").address;
    const fake = underlay === 4 ? "192.0.2.99" : "2001:db8::99";
    const append = (...more: string[]) =>
      a.exec(["bridge", "fdb", "append", broadcastMac, "dev", "nmv100", "dst", fake, ...more, "self", "permanent"]);
    await append();
    await untilDestinations("a", "b");
    await append("vni", "300");
    await untilDestinations("a", "b");
    const all = await a.exec(["bridge", "fdb", "show", "dev", "nmv100"]);
    expect(all.split("\n").filter((line) => line.startsWith(broadcastMac))).toHaveLength(1);
    await a.exec(["bridge", "fdb", "del", broadcastMac, "dev", "nmv100", "dst", b, "self"]);
    await untilDestinations("a", "b");
    expect((await statusOf(a)).repairs).toHaveProperty("entry");
  });

  test("rules that another program removes are loaded again", async () => {
    const a = it.lab.host("a");
    const loaded = a.agent.nextLog(({ msg }) => msg === "broadcast rules loaded");
    await a.exec(["nft", "flush", "ruleset"]);
    await loaded;
    expect(await a.exec(["nft", "list", "table", "bridge", "nearmiss-broadcast"])).toContain("nmv100");
    const out = await openPacketSocket(sender, "eth0");
    const ear = await openPacketSocket(far, "eth0");
    out.inject(datagram(sender, "asks for an address", { fromPort: 68, toPort: 67 }));
    await fence(sender, out, ear);
    expect(ear.frames().filter(contains("asks for an address"))).toEqual([]);
    for (const each of [out, ear]) each.close();
  });

  test("an agent that is killed and started again loses and doubles no broadcast", async () => {
    const a = it.lab.host("a");
    const out = await openPacketSocket(sender, "eth0");
    const ear = await openPacketSocket(far, "eth0");
    let sent = 0;
    const timer = setInterval(() => out.inject(datagram(sender, `count ${sent++}.`)), 20);
    try {
      await ear.waitForFrame(contains("count 5."));
      await a.agent.stop("SIGKILL");
      const before = sent;
      await ear.waitForFrame(contains(`count ${before + 5}.`));
      const again = a.startAgent();
      await again.waitForLog(({ msg }) => msg === "in sync with the controller");
      await again.waitForLog(({ msg }) => msg === "broadcast rules loaded");
      await again.waitForLog(({ msg }) => msg === "in sync with the controller");
      const then = sent;
      await ear.waitForFrame(contains(`count ${then + 10}.`));
    } finally {
      clearInterval(timer);
    }
    await fence(sender, out, ear);
    const counts = Array.from({ length: sent }, (_, n) => ear.frames().filter(contains(`count ${n}.`)).length);
    expect(counts).toEqual(counts.map(() => 1));
    await untilDestinations("a", "b");
    for (const each of [out, ear]) each.close();
  });

  test("off removes destinations and rules, and nothing crosses", async () => {
    await it.call("PATCH", "/v1/networks/blue", { broadcast: "off" });
    await untilDestinations("a");
    await untilDestinations("b");
    await waitFor(
      async () => !(await it.lab.host("a").exec(["nft", "list", "tables"])).includes("nearmiss-broadcast") || undefined,
      { what: "the rules to be removed" },
    );
    const out = await openPacketSocket(sender, "eth0");
    const near = await openPacketSocket(neighbour, "eth0");
    const ear = await openPacketSocket(far, "eth0");
    out.inject(datagram(sender, "is not copied"));
    await near.waitForFrame(contains("is not copied"));
    await it.call("PATCH", "/v1/networks/blue", { broadcast: "replicate" });
    await untilDestinations("a", "b");
    await fence(sender, out, ear);
    expect(ear.frames().filter(contains("is not copied"))).toEqual([]);
    for (const each of [out, near, ear]) each.close();
  });
});

describeKernel("hosts of a network with broadcast replicate", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: ["--max-broadcast-copies", "10"] });
  let sender: Guest;
  let far: Guest;

  const problemsOf = async () => (await statusOf(it.lab.host("a"))).problems.join();
  const untilState = (state: string) =>
    waitFor(async () => (await statusOf(it.lab.host("a"))).networks[0]?.broadcast?.state === state || undefined, {
      what: `broadcasts of blue to be ${state}`,
    });
  const fdb = async () => (await it.entries("a", 100)).fdb.filter((line) => line.startsWith(broadcastMac));

  beforeAll(async () => {
    await it.network("blue", 100, { broadcast: "replicate" });
    sender = await it.vm("blue-1", "a", "blue", 100, mac(1), ["10.20.1.1/24"]);
    far = await it.vm("blue-3", "b", "blue", 100, mac(3), ["10.20.1.3/24"]);
    await untilState("copied");
    await waitFor(async () => (await fdb()).length === 1 || undefined, { what: "the destination" });
  });

  test("a guest above the limit is slowed down there only, and is a condition while it is above", async () => {
    const out = await openPacketSocket(sender, "eth0");
    const ear = await openPacketSocket(far, "eth0");
    const begin = performance.now();
    for (let n = 0; n < 200; n++) out.inject(datagram(sender, `storm ${n}.`));
    await waitFor(async () => (await problemsOf()).includes("more than 10 copies a second") || undefined, {
      what: "the condition",
    });
    const seconds = (performance.now() - begin) / 1_000;
    const heard = ear.frames().filter(({ bytes, outgoing }) => !outgoing && bytes.includes("storm ")).length;
    expect(heard).toBeGreaterThanOrEqual(10);
    expect(heard).toBeLessThanOrEqual(11 + 10 * seconds);
    await waitFor(
      async () => {
        const network = await it.call<{ conditions?: { kind: string }[] }>("GET", "/v1/networks/blue");
        return network.conditions?.some(({ kind }) => kind === "broadcast-storm") || undefined;
      },
      { what: "the condition at the network" },
    );
    await waitFor(async () => (await problemsOf()) === "" || undefined, { what: "the condition to end" });
    for (const each of [out, ear]) each.close();
  });

  test("a host without nft copies nothing, says so, and confirms changes all the same", async () => {
    const programs = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
    onTestFinished(() => rmSync(programs, { recursive: true }));
    symlinkSync((await run(["sh", "-c", "command -v ip"])).trim(), join(programs, "ip"));
    const preload = join(programs, "without-nft.mjs");
    writeFileSync(preload, `process.env.PATH = ${JSON.stringify(programs)};`);
    const a = it.lab.host("a");
    expect(await fdb()).toHaveLength(1);
    await a.agent.stop("SIGTERM");
    a.startAgent({ preload });
    await untilState("unfiltered");
    await waitFor(async () => (await fdb()).length === 0 || undefined, { what: "the destinations to be removed" });
    expect(await problemsOf()).toContain("install Debian's nftables");
    const vm = await it.vm("blue-9", "a", "blue", 100, mac(9), ["10.20.1.9/24"]);
    expect(await vm.ping("10.20.1.3")).toMatchObject({ received: 1 });
    await a.agent.stop("SIGTERM");
    a.startAgent({ extraArgs: ["--max-broadcast-copies", "10"] });
    await untilState("copied");
    await waitFor(async () => (await fdb()).length === 1 || undefined, { what: "the destination" });
  });

  test("a host that restarts without a controller copies as before", async () => {
    const a = it.lab.host("a");
    const args = ["--state-dir", join(it.lab.directory, "state")];
    await a.agent.stop("SIGTERM");
    await a.startAgent({ extraArgs: args }).waitForLog(({ msg }) => msg === "in sync with the controller");
    await untilState("copied");
    await a.agent.stop("SIGTERM");
    for (const name of a.interfaces().filter((each) => /^nm[bv]\d+$/.test(each))) await a.ip(`link del ${name}`);
    await a.exec(["nft", "flush", "ruleset"]);
    await it.lab.controller.stop("SIGTERM");
    a.startAgent({ extraArgs: args });
    await waitFor(() => a.interfaces().includes("nmb100"), { what: "the bridge of blue" });
    await a.ip(`link set ${sender.port} master nmb100 up`);
    await untilState("copied");
    await waitFor(async () => (await fdb()).length === 1 || undefined, { what: "the destination" });
    const out = await openPacketSocket(sender, "eth0");
    const ear = await openPacketSocket(far, "eth0");
    out.inject(datagram(sender, "after the restart"));
    await ear.waitForFrame(({ bytes, outgoing }) => !outgoing && bytes.includes("after the restart"));
    for (const each of [out, ear]) each.close();
  });
});

describeKernel("an adopted device in a network with broadcast replicate", () => {
  const it = cluster({
    hosts: 2,
    underlay: 4,
    agentArgs: ["--adopt", "vxlan7", "--metrics", String(metricsPort), "--max-broadcast-copies", "20"],
  });

  const series = async (name: string): Promise<number> => {
    const script = `fetch("http://127.0.0.1:${metricsPort}/metrics").then(async (r) => console.log(await r.text()))`;
    const text = await it.lab.host("a").exec([process.execPath, "-e", script]);
    const line = text.split("\n").find((each) => each.startsWith(`nearmiss_agent_${name} `));
    return Number(line?.split(" ").at(-1));
  };

  test("copies as an own one, filtered, limited and counted, and loses all destinations with its network", async () => {
    const a = it.lab.host("a");
    await it.network("seven", 7, { broadcast: "replicate" });
    await a.ip(
      "link add br-seven type bridge",
      "link set br-seven up",
      `link add vxlan7 type vxlan id 7 local ${a.address} dstport 4789 nolearning proxy l2miss l3miss`,
      "link set vxlan7 master br-seven up",
    );
    // Its owner's: in this network the list is the agent's.
    await a.exec(["bridge", "fdb", "append", broadcastMac, "dev", "vxlan7", "dst", "192.0.2.99", "self", "permanent"]);
    const sender = await it.vm("seven-1", "a", "seven", 7, mac(1), ["10.20.1.1/24"], { bridge: "br-seven" });
    const far = await it.vm("seven-2", "b", "seven", 7, mac(2), ["10.20.1.2/24"]);
    const fdb = async () => {
      const lines = (await a.exec(["bridge", "fdb", "show", "dev", "vxlan7"])).split("\n");
      return lines.filter((line) => line.startsWith(broadcastMac)).map((line) => line.split(" ")[2]);
    };
    await waitFor(async () => (await fdb()).join() === it.lab.host("b").address || undefined, {
      what: "the one destination",
    });
    expect(await series("broadcast_destinations")).toBe(1);
    const out = await openPacketSocket(sender, "eth0");
    const ear = await openPacketSocket(far, "eth0");
    for (let n = 0; n < 5; n++) out.inject(datagram(sender, "a DHCP request", { fromPort: 68, toPort: 67 }));
    for (let n = 0; n < 3; n++) out.inject(datagram(sender, "welcome"));
    await ear.waitForFrame(({ bytes }) => bytes.includes("welcome"));
    await waitFor(async () => (await series('broadcasts_total{handled="filtered"}')) === 5 || undefined, {
      what: "the filtered frames to be counted",
    });
    expect(await series('broadcasts_total{handled="copied"}')).toBe(3);
    expect(await series('broadcasts_total{handled="storm"}')).toBe(0);
    expect(ear.frames().filter(({ bytes }) => bytes.includes("a DHCP request"))).toEqual([]);
    for (let n = 0; n < 200; n++) out.inject(datagram(sender, "storm"));
    const handled = (how: string): Promise<number> => series(`broadcasts_total{handled="${how}"}`);
    await waitFor(async () => (await handled("copied")) + (await handled("storm")) === 203 || undefined, {
      what: "every frame to be counted",
    });
    expect(await handled("storm")).toBeGreaterThan(100);
    expect(await sender.ping("10.20.1.2")).toMatchObject({ received: 1 });
    for (const each of [out, ear]) each.close();
    await it.call("DELETE", "/v1/vms/seven-1");
    await waitFor(async () => (await fdb()).length === 0 || undefined, { what: "the destination to leave" });
    expect(a.interfaces()).toContain("vxlan7");
    await waitFor(async () => (await series("broadcast_destinations")) === 0 || undefined, { what: "no destinations" });
  });
});
