// Guests cannot spoof: on a host with --anti-spoof only registered addresses pass a port. Frames are made by hand and
// sent by the guest; another guest of the host is the possible victim.
import { beforeAll, expect, test } from "vitest";
import {
  arp,
  broadcastMac,
  ethernet,
  etherTypes,
  ipPacket,
  neighbourSolicitation,
  udpPacket,
} from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";
import { Liar } from "../support/liar.ts";

const mac = (last: number): string => `52:54:00:00:00:${last.toString(16).padStart(2, "0")}`;
const ip4 = (last: number): string => `10.20.1.${last}`;
const ip6 = (last: number): string => `fd00:20::${last}`;
const experimental = 0x88b5;
const allNodes = "ff02::1";

const payload = Buffer.from("is anybody there");
const v4 = (from: string, more: { to?: string; ports?: [number, number] } = {}): Buffer => {
  const [fromPort, toPort] = more.ports ?? [5_000, 5_000];
  return udpPacket({ from, to: more.to ?? "10.20.1.255", fromPort, toPort, payload });
};
const send = (from: string, type: number, content: Uint8Array): Buffer =>
  ethernet({ to: broadcastMac, from, type, payload: content });

/** Checksums are checked by the receiver: the rules check the fields only. */
const icmp6 = (from: string, type: number, body: Buffer): Buffer =>
  ipPacket({ from, to: allNodes, protocol: 58, payload: Buffer.concat([Buffer.of(type, 0, 0, 0), body]) }, 255);
const ipv6Bytes = (last: number): Buffer => {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(0xfd00_0020);
  bytes[15] = last;
  return bytes;
};
const advertisement = (from: string, target: Buffer): Buffer =>
  send(mac(1), etherTypes.ipv6, icmp6(from, 136, Buffer.concat([Buffer.of(0x20, 0, 0, 0), target])));
const claim = (senderMac: string, senderIp: string, operation: "request" | "reply" = "request"): Buffer =>
  arp({ operation, senderMac, senderIp, targetMac: "00:00:00:00:00:00", targetIp: senderIp }, broadcastMac);

/** What guest "one" (MAC 1, addresses 1) must not send, by the counter that it ends in. */
const lies: readonly (readonly [name: string, reason: string, frame: () => Buffer])[] = [
  ["another's MAC", "mac", () => send(mac(2), etherTypes.ipv4, v4(ip4(1)))],
  ["an unregistered MAC", "mac", () => send(mac(0x66), etherTypes.arp, claim(mac(1), ip4(1)).subarray(14))],
  ["another's IPv4 address", "ipv4", () => send(mac(1), etherTypes.ipv4, v4(ip4(2)))],
  ["an unregistered IPv4 address", "ipv4", () => send(mac(1), etherTypes.ipv4, v4("10.20.1.99"))],
  ["no IPv4 address, and no DHCP", "ipv4", () => send(mac(1), etherTypes.ipv4, v4("0.0.0.0"))],
  ["another's IPv6 address", "ipv6", () => send(mac(1), etherTypes.ipv6, v4(ip6(2), { to: allNodes }))],
  ["an ARP request as another", "arp", () => claim(mac(1), ip4(2))],
  ["an ARP reply as another", "arp", () => claim(mac(1), ip4(2), "reply")],
  [
    "an ARP claim that its address is another's MAC",
    "arp",
    () => send(mac(1), etherTypes.arp, claim(mac(2), ip4(1)).subarray(14)),
  ],
  ["an advertisement of another's address", "neighbour", () => advertisement(ip6(1), ipv6Bytes(2))],
  [
    "a router advertisement",
    "router",
    () => send(mac(1), etherTypes.ipv6, icmp6("fe80::5054:ff:fe00:1", 134, Buffer.alloc(12))),
  ],
  ["a redirect", "router", () => send(mac(1), etherTypes.ipv6, icmp6("fe80::5054:ff:fe00:1", 137, Buffer.alloc(36)))],
  ["a DHCP answer", "dhcp", () => send(mac(1), etherTypes.ipv4, v4(ip4(1), { ports: [67, 68] }))],
  [
    "a DHCPv6 answer",
    "dhcp",
    () => {
      const answer = udpPacket({ from: ip6(1), to: allNodes, fromPort: 547, toPort: 546, payload });
      return send(mac(1), etherTypes.ipv6, answer);
    },
  ],
  ["another protocol", "ethertype", () => send(mac(1), experimental, payload)],
  [
    "a VLAN tag with another's address inside",
    "ethertype",
    () => {
      const inner = Buffer.concat([Buffer.of(0, 0, 0x08, 0x00), v4(ip4(2))]);
      return send(mac(1), 0x8100, inner);
    },
  ],
];

/** Permitted frames. */
const truths: readonly (readonly [name: string, frame: () => Buffer])[] = [
  ["its IPv4 address", () => send(mac(1), etherTypes.ipv4, v4(ip4(1)))],
  ["its IPv6 address", () => send(mac(1), etherTypes.ipv6, v4(ip6(1), { to: allNodes }))],
  [
    "the link-local address of its MAC",
    () => send(mac(1), etherTypes.ipv6, v4("fe80::5054:ff:fe00:1", { to: allNodes })),
  ],
  ["an ARP request", () => claim(mac(1), ip4(1))],
  [
    "an ARP probe",
    () =>
      arp(
        {
          operation: "request",
          senderMac: mac(1),
          senderIp: "0.0.0.0",
          targetMac: "00:00:00:00:00:00",
          targetIp: ip4(1),
        },
        broadcastMac,
      ),
  ],
  ["a DHCP question", () => send(mac(1), etherTypes.ipv4, v4("0.0.0.0", { to: "255.255.255.255", ports: [68, 67] }))],
  ["a solicitation", () => neighbourSolicitation({ mac: mac(1), from: ip6(1), target: ip6(2) })],
  [
    "a solicitation for its own address before it has one",
    () => neighbourSolicitation({ mac: mac(1), from: "::", target: ip6(1) }),
  ],
  ["an advertisement of its address", () => advertisement(ip6(1), ipv6Bytes(1))],
];

describeKernel("a guest of a host with --anti-spoof", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: ["--anti-spoof"] });
  let a: Host;
  let one: Guest;
  let two: Guest;
  let liar: Liar;

  /** Without the sets that frames fill; words in order, since the kernel lists elements in any. */
  const ruleset = async (): Promise<string> => {
    const text = await a.exec(["nft", "-s", "list", "ruleset"]);
    const lasting = text.replaceAll(/set (talk|offenders) \{[^}]*(\}[^}]*)?\}/g, "");
    return lasting
      .split(/[\s,]+/)
      .sort()
      .join(" ");
  };

  const seenAfter = async (frame: Buffer): Promise<boolean> => (await liar.seen([frame])).length > 0;

  beforeAll(async () => {
    a = it.lab.host("a");
    // Foreign rules, with a chain at the same hook.
    await a.exec([
      "nft",
      "add table bridge mine; add chain bridge mine pre { type filter hook prerouting priority -300; }",
    ]);
    await it.network("blue", 100);
    const ips = (last: number): string[] => [`${ip4(last)}/24`, `${ip6(last)}/64`];
    one = await it.vm("one", "a", "blue", 100, mac(1), ips(1), { port: "tap1", pin: true });
    two = await it.vm("two", "a", "blue", 100, mac(2), ips(2), { port: "tap2", pin: true });
    await it.vm("far", "b", "blue", 100, mac(9), ips(9), { port: "tap9", pin: true });
    liar = await Liar.on(a, one, two);
  });

  test("communicates with guests here and elsewhere, over IPv4 and IPv6", async () => {
    for (const guest of [one, two]) await guest.forgetNeighbours();
    for (const [from, last] of [
      [one, 2],
      [one, 9],
      [two, 1],
      [two, 9],
    ] as const) {
      for (const address of [ip4(last), ip6(last)]) {
        expect((await from.ping(address)).received, `${from.name} to ${address}`).toBe(1);
      }
    }
  });

  test.each(truths)("may send %s", async (_name, frame) => {
    expect(await seenAfter(frame())).toBe(true);
  });

  test.each(lies)("cannot send %s", async (_name, reason, frame) => {
    const before = await liar.dropped();
    expect(await seenAfter(frame())).toBe(false);
    expect(await liar.droppedSince(before)).toEqual({ [reason]: 1 });
  });

  test("is reported when it spoofs", async () => {
    liar.inject(send(mac(1), etherTypes.ipv4, v4(ip4(2))));
    const list = () => it.call<{ events: { type: string; data: object }[] }>("GET", "/v1/operational-events");
    const { events } = await waitUntil(
      list,
      ({ events }) => events.some(({ type }) => type === "nearmiss.operational.spoofed"),
      { what: "the event" },
    );
    const spoofed = events.find(({ type }) => type === "nearmiss.operational.spoofed");
    expect(spoofed?.data).toMatchObject({ host: "a", network: "blue", subject: "tap1" });
  });

  test("is limited in its rate of questions, and others' questions are answered", async () => {
    for (let i = 0; i < 1_000; i++) liar.inject(claim(mac(1), ip4(1)));
    await waitFor(async () => ((await liar.dropped()).get("rate") ?? 0) > 500, { what: "drops over the rate" });
    await two.forgetNeighbours();
    expect((await two.ping(ip4(9))).received).toBe(1);
  });

  test("may use a new address once its VM is ready with it, and the old one no longer", async () => {
    const before = send(mac(1), etherTypes.ipv4, v4(ip4(31)));
    expect(await seenAfter(before)).toBe(false);
    const register = (ips: string[]) =>
      it.call("PUT", "/v1/vms/one?wait=ready", {
        host: "a",
        interfaces: [{ network: "blue", mac: mac(1), ips, port: "tap1" }],
      });
    expect(await register([ip4(1), ip6(1), ip4(31)])).toMatchObject({ ready: true });
    expect(await seenAfter(before)).toBe(true);
    await register([ip4(1), ip6(1)]);
    expect(await seenAfter(before)).toBe(false);
  });

  test("cannot spoof while the firewall is reloaded: our rules are loaded again, foreign rules are untouched", async () => {
    const theirs = await a.exec(["nft", "list", "table", "bridge", "mine"]);
    const whole = await ruleset();
    await a.exec(["nft", "delete", "table", "bridge", "nearmiss"]);
    await waitFor(async () => (await ruleset()) === whole, { what: "the rules to be back" });
    await a.exec(["nft", "flush", "set", "bridge", "nearmiss", "guarded"]);
    await waitFor(async () => (await ruleset()) === whole, { what: "the rules to be back" });
    expect(await seenAfter(send(mac(1), etherTypes.ipv4, v4(ip4(2))))).toBe(false);
    expect(await a.exec(["nft", "list", "table", "bridge", "mine"])).toBe(theirs);
  });

  test("cannot spoof while the agent is stopped", async () => {
    const lie = send(mac(1), etherTypes.ipv4, v4(ip4(2)));
    a.agent.signal("SIGKILL");
    await a.agent.ended;
    expect(await seenAfter(lie)).toBe(false);
    const again = a.startAgent({ extraArgs: ["--anti-spoof"] });
    await again.waitForLog(({ msg }) => msg === "anti-spoof rules loaded");
    expect(await seenAfter(lie)).toBe(false);
    expect((await one.ping(ip4(9))).received).toBe(1);
  });

  test("cannot send after its VM has moved to another host", async () => {
    const moved = await it.call("POST", "/v1/vms/two/move", { host: "b", wait: true });
    expect(moved).toMatchObject({ unconfirmed: [] });
    const said = await liar.dropped();
    const socket = await openPacketSocket(two, "eth0");
    socket.inject(send(mac(2), etherTypes.ipv4, v4(ip4(2))));
    await waitFor(async () => ((await liar.droppedSince(said)).mac ?? 0) > 0, {
      what: "the straggler's frame to be dropped",
    });
  });

  test("is unrestricted again if the agent runs without it", async () => {
    await a.agent.stop();
    const again = a.startAgent();
    await again.waitForLog(({ msg }) => msg === "in sync with the controller");
    const tables = await a.exec(["nft", "list", "tables"]);
    expect(tables.split("\n")).not.toContain("table bridge nearmiss");
    expect(tables).toContain("table bridge mine");
  });
});
