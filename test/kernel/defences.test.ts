// Attacks of a guest on another of its host, by the host's configuration: by default, with registered ports, with
// --anti-spoof. SECURITY.md has the table; here each of its cells is an attack that arrives or does not.
import { beforeAll, describe, expect, test } from "vitest";
import { arp, broadcastMac, ethernet, etherTypes, ipBytes, ipPacket, udpPacket } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import { ipv4Fragment } from "../../testkit/lab/header-chains.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";
import { Liar } from "../support/liar.ts";

const mac = (last: number): string => `52:54:00:00:00:0${last}`;
const ip4 = (last: number): string => `10.20.1.${last}`;
const ip6 = (last: number): string => `fd00:20::${last}`;
const linkLocal = "fe80::5054:ff:fe00:1";
const payload = Buffer.from("is anybody there");

const send = (type: number, content: Uint8Array, from = mac(1)): Buffer =>
  ethernet({ to: broadcastMac, from, type, payload: content });
const udp = (from: string, to: string, fromPort = 5_000, toPort = 5_000): Buffer =>
  udpPacket({ from, to, fromPort, toPort, payload });
const icmp6 = (from: string, type: number, body: Uint8Array): Buffer =>
  send(
    etherTypes.ipv6,
    ipPacket({ from, to: "ff02::1", protocol: 58, payload: Buffer.concat([Buffer.of(type, 0, 0, 0), body]) }, 255),
  );

const attacks: Readonly<Record<string, Buffer>> = {
  "another's MAC as its source": send(etherTypes.ipv4, udp(ip4(1), "10.20.1.255"), mac(2)),
  "another's IPv4 address as its source": send(etherTypes.ipv4, udp(ip4(9), "10.20.1.255")),
  "another's IPv6 address as its source": send(etherTypes.ipv6, udp(ip6(9), "ff02::1")),
  "an ARP answer for another": arp(
    { operation: "reply", senderMac: mac(1), senderIp: ip4(9), targetIp: ip4(2) },
    broadcastMac,
  ),
  "an ARP probe for another's address": arp({
    operation: "request",
    senderMac: mac(1),
    senderIp: "0.0.0.0",
    targetIp: ip4(2),
  }),
  "a neighbour advertisement for another": icmp6(
    ip6(1),
    136,
    Buffer.concat([Buffer.of(0x20, 0, 0, 0), ipBytes(ip6(9))]),
  ),
  "a router advertisement": icmp6(linkLocal, 134, Buffer.alloc(12)),
  "a redirect": icmp6(linkLocal, 137, Buffer.alloc(36)),
  "an ICMP redirect": send(
    etherTypes.ipv4,
    ipv4Fragment({
      from: ip4(1),
      to: "10.20.1.255",
      protocol: 1,
      payload: Buffer.concat([Buffer.of(5), Buffer.alloc(60)]),
    }),
  ),
  "a DHCP answer": send(etherTypes.ipv4, udp(ip4(1), "10.20.1.255", 67, 68)),
  "a DHCPv6 answer": send(etherTypes.ipv6, udp(ip6(1), "ff02::1", 547, 546)),
  "another protocol": send(0x88b5, payload),
};

describe.each([
  { how: "by default", pin: false, agentArgs: [], passes: true },
  { how: "with registered ports", pin: true, agentArgs: [], passes: true },
  { how: "with registered ports and --underlay-filter", pin: true, agentArgs: ["--underlay-filter"], passes: true },
  { how: "with --anti-spoof and no registered port", pin: false, agentArgs: ["--anti-spoof"], passes: true },
  { how: "with registered ports and --anti-spoof", pin: true, agentArgs: ["--anti-spoof"], passes: false },
])("$how", ({ pin, agentArgs, passes }) => {
  describeKernel("a guest", () => {
    const it = cluster({ hosts: 1, underlay: 4, agentArgs });
    let one: Guest;
    let liar: Liar;
    beforeAll(async () => {
      await it.network("blue", 100);
      const ips = (last: number): string[] => [`${ip4(last)}/24`, `${ip6(last)}/64`];
      one = await it.vm("one", "a", "blue", 100, mac(1), ips(1), { port: "tap1", pin });
      const two = await it.vm("two", "a", "blue", 100, mac(2), ips(2), { port: "tap2", pin });
      liar = await Liar.on(it.lab.host("a"), one, two);
    });

    test.each(Object.entries(attacks))(
      `${passes ? "reaches" : "does not reach"} another with %s`,
      async (_name, frame) => {
        expect(await liar.seen([frame])).toEqual(passes ? [0] : []);
      },
    );

    test("communicates with another under its own address", async () => {
      for (const address of [ip4(2), ip6(2)]) expect((await one.ping(address)).received, address).toBe(1);
    });
  });
});
