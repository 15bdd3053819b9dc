// A guest of a host with --anti-spoof hides forbidden messages: in fragments, behind extension headers, in VLAN tags,
// in odd ARP. Every message that could deceive another guest is sent in every form that could hide it, together with
// permitted messages in such forms.
import { beforeAll, expect, test } from "vitest";
import { broadcastMac, ethernet, etherTypes, ipBytes, macBytes } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import {
  type ChainHeader,
  destinationOptions,
  fragmentHeader,
  hopByHop,
  ipv4Fragment,
  ipv6Chain,
  oddArp,
  routingHeader,
  tagged,
} from "../../testkit/lab/header-chains.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";
import { Liar } from "../support/liar.ts";

const mac = (last: number): string => `52:54:00:00:00:0${last}`;
const ip4 = (last: number): string => `10.20.1.${last}`;
const ip6 = (last: number): string => `fd00:20::${last}`;
const linkLocal = "fe80::5054:ff:fe00:1";
const allNodes = "ff02::1";
const udp = 17;
const icmp = 1;
const icmpv6 = 58;

const send = (type: number, payload: Uint8Array): Buffer => ethernet({ to: broadcastMac, from: mac(1), type, payload });
const send6 = (headers: readonly ChainHeader[], protocol: number, payload: Uint8Array, from = ip6(1)): Buffer =>
  send(etherTypes.ipv6, ipv6Chain({ from, to: allNodes, headers, protocol, payload }));
const send4 = (fragment: Partial<Parameters<typeof ipv4Fragment>[0]>): Buffer =>
  send(
    etherTypes.ipv4,
    ipv4Fragment({ from: ip4(1), to: "10.20.1.255", protocol: udp, payload: datagram(5_000, 5_000), ...fragment }),
  );

/** Checksums are checked by the receiver: rules check fields only. */
function datagram(fromPort: number, toPort: number, length = 64): Buffer {
  const bytes = Buffer.alloc(8 + length, 0x61);
  bytes.writeUInt16BE(fromPort, 0);
  bytes.writeUInt16BE(toPort, 2);
  bytes.writeUInt16BE(bytes.length, 4);
  return bytes;
}
const message = (type: number, body: Uint8Array = Buffer.alloc(36)): Buffer =>
  Buffer.concat([Buffer.of(type, 0, 0, 0), body]);
const about = (target: string): Buffer => Buffer.concat([Buffer.alloc(4), ipBytes(target), Buffer.alloc(8)]);

interface Content {
  readonly protocol: number;
  readonly payload: Buffer;
  /** That drops it in one piece; absent: it may pass so. */
  readonly whole?: "router" | "dhcp" | "neighbour";
  readonly from?: string;
}

/** All of neighbour discovery (RFC 4861 §4) and SEND's path messages (RFC 3971 §6.4), and what DHCPv6 servers send. */
const contents: Readonly<Record<string, Content>> = {
  "router solicitation": { protocol: icmpv6, payload: message(133) },
  "router advertisement": { protocol: icmpv6, payload: message(134), whole: "router", from: linkLocal },
  "neighbour solicitation": { protocol: icmpv6, payload: message(135, about(ip6(2))) },
  "probe for another's address": {
    protocol: icmpv6,
    payload: message(135, about(ip6(2))),
    whole: "neighbour",
    from: "::",
  },
  "advertisement of its own address": { protocol: icmpv6, payload: message(136, about(ip6(1))) },
  "advertisement of another's address": { protocol: icmpv6, payload: message(136, about(ip6(2))), whole: "neighbour" },
  redirect: { protocol: icmpv6, payload: message(137), whole: "router", from: linkLocal },
  "certification path solicitation": { protocol: icmpv6, payload: message(148) },
  "certification path advertisement": { protocol: icmpv6, payload: message(149), whole: "router" },
  "DHCPv6 answer from a server's port": { protocol: udp, payload: datagram(547, 5_000), whole: "dhcp" },
  "DHCPv6 answer from any port": { protocol: udp, payload: datagram(5_000, 546), whole: "dhcp" },
};
const isDiscovery = ({ protocol }: Content): boolean => protocol === icmpv6;

/** Headers that may precede a fragment header, or the message if there is none (RFC 8200 §4.1). */
const prefixes: Readonly<Record<string, readonly ChainHeader[]>> = {
  "": [],
  "behind hop-by-hop options": [hopByHop()],
  "behind destination options": [destinationOptions()],
  "behind a routing header": [routingHeader()],
  "behind all three": [hopByHop(), destinationOptions(16), routingHeader()],
  "behind 24 destination options": Array.from({ length: 24 }, () => destinationOptions()),
};

/** Ways to cut the packet: the header after the prefix, and the length of the message in the first fragment. */
const cuts: Readonly<Record<string, { headers: readonly ChainHeader[]; bytes?: number }>> = {
  "an atomic fragment": { headers: [fragmentHeader()] },
  "a first fragment": { headers: [fragmentHeader({ more: true })] },
  "a first fragment of 8 bytes": { headers: [fragmentHeader({ more: true })], bytes: 8 },
  "a first fragment of 4 bytes": { headers: [fragmentHeader({ more: true })], bytes: 4 },
  "a first fragment without its header": { headers: [fragmentHeader({ more: true })], bytes: 0 },
  "a fragment with options inside": { headers: [fragmentHeader(), destinationOptions()] },
  "a first fragment with options inside": { headers: [fragmentHeader({ more: true }), destinationOptions()] },
  "a first fragment that ends within its options": {
    headers: [fragmentHeader({ more: true }), { ...destinationOptions(), bytes: Buffer.of(0, 3, 0, 0, 0, 0, 0, 0) }],
    bytes: 0,
  },
  "a later fragment behind options": { headers: [fragmentHeader({ offset: 8 }), destinationOptions()] },
  "a fragment with a routing header inside": { headers: [fragmentHeader({ more: true }), routingHeader()] },
  "a fragment in a fragment": { headers: [fragmentHeader(), fragmentHeader({ more: true })] },
  "a later fragment in a first one": { headers: [fragmentHeader({ more: true }), fragmentHeader({ offset: 8 })] },
};

const tags: Readonly<Record<string, (frame: Buffer) => Buffer>> = {
  "a priority tag": (frame) => tagged(frame, 0),
  "a VLAN tag": (frame) => tagged(frame, 5),
  "a service tag": (frame) => tagged(frame, 0, 0x88a8),
  "two tags": (frame) => tagged(tagged(frame, 0), 0),
};

const cutFrames = (name: string): Buffer[] => {
  const cut = cuts[name];
  if (!cut) throw new Error(`no cut ${name}`);
  return Object.values(contents).flatMap(({ protocol, payload, from }) =>
    Object.values(prefixes).map((prefix) =>
      send6([...prefix, ...cut.headers], protocol, payload.subarray(0, cut.bytes ?? payload.length), from),
    ),
  );
};

/** By name, with the reason that drops each; the honest forms are below. */
const oddArps: Readonly<Record<string, Buffer>> = (() => {
  const [own, other] = [macBytes(mac(1)), macBytes(mac(2))];
  const [mine, theirs, none] = [ipBytes(ip4(1)), ipBytes(ip4(2)), ipBytes("0.0.0.0")];
  const zero = Buffer.alloc(6);
  const good = { sender: [own, mine], target: [zero, theirs] } as const;
  return {
    "a probe for another's address": oddArp({ operation: 1, sender: [own, none], target: [zero, theirs] }),
    "a probe for an unknown address": oddArp({ operation: 1, sender: [own, none], target: [zero, ipBytes(ip4(99))] }),
    "a probe for no address": oddArp({ operation: 1, sender: [own, none], target: [zero, none] }),
    "a probe with another's MAC": oddArp({ operation: 1, sender: [other, none], target: [zero, mine] }),
    "an answer from no address": oddArp({ operation: 2, sender: [own, none], target: [other, mine] }),
    "an answer from another's address": oddArp({ operation: 2, sender: [own, theirs], target: [other, theirs] }),
    "another's MAC and address": oddArp({ operation: 2, sender: [other, theirs], target: [own, mine] }),
    ...Object.fromEntries(
      [0, 3, 4, 5, 6, 7, 8, 9, 10, 23, 25, 0xffff].map((operation) => [
        `operation ${operation}`,
        oddArp({ operation, ...good }),
      ]),
    ),
    ...Object.fromEntries(
      [0, 6, 15, 32, 256].map((hardware) => [`hardware ${hardware}`, oddArp({ hardware, operation: 1, ...good })]),
    ),
    "addresses of IPv6": oddArp({ protocol: 0x86dd, operation: 1, ...good }),
    "trailer negotiation": oddArp({ protocol: 0x1001, operation: 2, ...good }),
    "hardware addresses of 8 bytes": oddArp({
      operation: 2,
      sender: [Buffer.concat([own, mine.subarray(0, 2)]), theirs],
      target: [Buffer.alloc(8), theirs],
    }),
    "protocol addresses of 16 bytes": oddArp({
      operation: 2,
      sender: [own, Buffer.concat([mine, Buffer.alloc(12)])],
      target: [zero, Buffer.alloc(16)],
    }),
    "no protocol addresses": oddArp({
      operation: 2,
      sender: [own, mine.subarray(0, 0)],
      target: [zero, Buffer.alloc(0)],
    }),
    "half a message": oddArp({ operation: 2, sender: [own, theirs], target: [zero, theirs] }).subarray(0, 14),
  };
})();

/** Fragments of IPv4 that hide the ports of a DHCP server's answer (RFC 1858 §3, RFC 3128), and whole ones from other ports. */
const dhcp4: Readonly<Record<string, readonly [reason: string, frame: Buffer]>> = {
  "from a server's port": ["dhcp", send4({ payload: datagram(67, 68) })],
  "from any port": ["dhcp", send4({ payload: datagram(5_000, 68) })],
  "to any port": ["dhcp", send4({ payload: datagram(67, 5_000) })],
  "behind options": ["dhcp", send4({ payload: datagram(67, 68), options: Buffer.alloc(40, 1) })],
  "in a first fragment": ["dhcp", send4({ payload: datagram(67, 68), more: true })],
  "in a first fragment behind options": [
    "dhcp",
    send4({ payload: datagram(67, 68), more: true, options: Buffer.alloc(40, 1) }),
  ],
  ...Object.fromEntries(
    [0, 1, 2, 3, 4, 7, 8, 16, 40, 47].map((bytes) => [
      `in a first fragment of ${bytes} bytes`,
      ["fragment", send4({ payload: datagram(67, 68).subarray(0, bytes), more: true })],
    ]),
  ),
  "in a first fragment of 4 bytes with more behind its end": [
    "fragment",
    send4({ payload: datagram(5_000, 5_000), more: true, length: 24 }),
  ],
  "longer than its frame": ["malformed", send4({ payload: datagram(67, 68), length: 1_400 })],
  "shorter than its header": ["malformed", send4({ payload: datagram(67, 68), length: 19 })],
};

describeKernel("a guest of a host with --anti-spoof", () => {
  const it = cluster({ hosts: 2, underlay: 4, agentArgs: ["--anti-spoof"] });
  let one: Guest;
  let liar: Liar;

  /** None of the frames arrives, and each is counted: nothing was lost by accident. */
  async function expectDropped(frames: readonly Buffer[], reason: string): Promise<void> {
    const before = await liar.dropped();
    expect(await liar.seen(frames)).toEqual([]);
    expect(await liar.droppedSince(before)).toEqual({ [reason]: frames.length });
  }
  async function expectPassed(frames: readonly Buffer[]): Promise<void> {
    const before = await liar.dropped();
    expect(await liar.seen(frames)).toEqual(frames.map((_frame, index) => index));
    expect(await liar.droppedSince(before)).toEqual({});
  }

  beforeAll(async () => {
    await it.network("blue", 100);
    const ips = (last: number): string[] => [`${ip4(last)}/24`, `${ip6(last)}/64`];
    one = await it.vm("one", "a", "blue", 100, mac(1), ips(1), { port: "tap1", pin: true });
    const two = await it.vm("two", "a", "blue", 100, mac(2), ips(2), { port: "tap2", pin: true });
    await it.vm("far", "b", "blue", 100, mac(9), ips(9), { port: "tap9", pin: true });
    liar = await Liar.on(it.lab.host("a"), one, two);
  });

  const refusedWhole = Object.entries(contents).filter(([, { whole }]) => whole !== undefined);
  test.each(refusedWhole)("cannot send a %s behind extension headers", async (_name, content) => {
    const { protocol, payload, whole = "", from } = content;
    const frames = Object.values(prefixes).map((prefix) => send6(prefix, protocol, payload, from));
    await expectDropped(frames, whole);
  });

  const cutWithHeader = ["an atomic fragment", "a first fragment", "a first fragment of 8 bytes"];
  test.each(cutWithHeader)("cannot send neighbour discovery in %s", async (name) => {
    const frames = Object.values(contents)
      .filter(isDiscovery)
      .flatMap(({ protocol, payload, from }) =>
        Object.values(prefixes).map((prefix) => {
          const { headers = [], bytes = payload.length } = cuts[name] ?? {};
          return send6([...prefix, ...headers], protocol, payload.subarray(0, bytes), from);
        }),
      );
    await expectDropped(frames, "fragment");
  });

  test.each(cutWithHeader)("cannot send DHCPv6 server messages in %s", async (name) => {
    const frames = Object.values(contents)
      .filter((content) => !isDiscovery(content))
      .flatMap(({ protocol, payload }) =>
        Object.values(prefixes).map((prefix) => {
          const { headers = [], bytes = payload.length } = cuts[name] ?? {};
          return send6([...prefix, ...headers], protocol, payload.subarray(0, bytes));
        }),
      );
    await expectDropped(frames, "dhcp");
  });

  const cutBeforeHeader = Object.keys(cuts).filter((name) => !cutWithHeader.includes(name));
  test.each(cutBeforeHeader)("cannot hide the upper-layer header in %s", async (name) => {
    await expectDropped(cutFrames(name), "fragment");
  });

  test("cannot hide it behind a chain that has no end", async () => {
    const endless = { protocol: 60, bytes: Buffer.of(0, 255, 0, 0, 0, 0, 0, 0) };
    const { payload } = contents["router advertisement"] ?? { payload: Buffer.alloc(0) };
    const packet = ipv6Chain({ from: ip6(1), to: allNodes, headers: [], protocol: icmpv6, payload });
    await expectDropped(
      [
        // Options that reach beyond the packet, with another extension header behind them.
        send6([endless], 60, Buffer.alloc(0)),
        send6([destinationOptions(), endless], 43, Buffer.alloc(0)),
        // A header without its second byte.
        send6([destinationOptions()], 60, Buffer.of(58)),
        send6([], 44, Buffer.of(58)),
        send6([], 0, Buffer.alloc(0)),
        // Longer than the frame; of another version.
        send(
          etherTypes.ipv6,
          ipv6Chain({ from: ip6(1), to: allNodes, headers: [], protocol: 58, payload, length: 1_400 }),
        ),
        send(etherTypes.ipv6, Buffer.concat([Buffer.of(0x40), packet.subarray(1)])),
      ],
      "malformed",
    );
  });

  test.each(Object.entries(tags))("cannot hide anything behind %s", async (_name, tag) => {
    const whole = Object.values(contents).flatMap(({ protocol, payload, from }) =>
      Object.values(prefixes).map((prefix) => send6(prefix, protocol, payload, from)),
    );
    const frames = [
      ...whole,
      ...Object.keys(cuts).flatMap(cutFrames),
      ...Object.values(dhcp4).map(([, frame]) => frame),
      ...Object.values(oddArps).map((arp) => send(etherTypes.arp, arp)),
    ];
    await expectDropped(frames.map(tag), "ethertype");
  });

  test.each(Object.entries(dhcp4))("cannot send a DHCP answer %s", async (_name, [reason, frame]) => {
    await expectDropped([frame], reason);
  });

  test("cannot redirect other guests by ICMP, nor offer itself as their router", async () => {
    const bodies = [5, 9].map((type) => message(type, Buffer.alloc(44)));
    await expectDropped(
      bodies.flatMap((payload) => [
        send4({ protocol: icmp, payload }),
        send4({ protocol: icmp, payload, more: true }),
        send4({ protocol: icmp, payload, options: Buffer.alloc(40, 1) }),
      ]),
      "router",
    );
  });

  test.each(Object.entries(oddArps))("cannot send ARP with %s", async (_name, arp) => {
    await expectDropped([send(etherTypes.arp, arp)], "arp");
  });

  test("may send extension headers with data, and every ICMPv6 message about its own packets", async () => {
    const behind = Object.values(prefixes);
    const protocols = [6, udp, 50, 51, 59, 132];
    await expectPassed([
      ...behind.flatMap((prefix) => protocols.map((protocol) => send6(prefix, protocol, datagram(5_000, 5_001)))),
      ...behind.flatMap((prefix) => [1, 2, 3, 4, 128, 129].map((type) => send6(prefix, icmpv6, message(type)))),
      ...behind.map((prefix) => send6(prefix, icmpv6, message(135, about(ip6(2))))),
      ...behind.map((prefix) => send6(prefix, icmpv6, message(136, about(ip6(1))))),
      ...behind.map((prefix) => send6(prefix, icmpv6, message(135, about(ip6(1))), "::")),
      // As DHCPv6 clients and multicast listeners begin (RFC 8415 §7.2, RFC 3810 §5).
      send6([], udp, datagram(546, 547), linkLocal),
      send6([hopByHop()], icmpv6, message(143), "::"),
    ]);
  });

  test("may send big packets in fragments, over IPv6", async () => {
    const [first, middle, last] = [{ more: true }, { offset: 1_000, more: true }, { offset: 2_000 }];
    const frames = Object.values(prefixes).flatMap((prefix) =>
      [
        [udp, datagram(5_000, 5_001, 992)],
        [6, datagram(5_000, 22, 992)],
        [icmpv6, message(128, Buffer.alloc(996))],
        [icmpv6, message(1, Buffer.alloc(996))],
        [50, Buffer.alloc(1_000)],
      ].flatMap(([protocol, payload]) =>
        [first, middle, last].map((cut) =>
          send6([...prefix, fragmentHeader(cut)], protocol as number, payload as Buffer),
        ),
      ),
    );
    await expectPassed(frames);
  });

  test("may send big packets in fragments, over IPv4", async () => {
    const [first, middle, last] = [{ more: true }, { offset: 1_400, more: true }, { offset: 2_800 }];
    await expectPassed(
      [first, middle, last].flatMap((cut) => [
        send4({ ...cut, payload: datagram(5_000, 5_001, 1_392) }),
        send4({ ...cut, payload: datagram(5_000, 5_001, 1_352), options: Buffer.alloc(40, 1) }),
        send4({ ...cut, protocol: icmp, payload: message(8, Buffer.alloc(1_396)) }),
        send4({ ...cut, protocol: 6, payload: datagram(5_000, 22, 1_392) }),
        send4({ ...cut, protocol: 50, payload: Buffer.alloc(1_400) }),
        // As short as a link may make it (RFC 791 §3.2), and a last fragment of 8 bytes.
        send4({ ...cut, payload: datagram(5_000, 5_001, 40) }),
        send4({ offset: 1_480, payload: Buffer.alloc(8) }),
        send4({ payload: datagram(5_000, 5_001, 0) }),
        // "Fragmentation needed", on which path MTU discovery depends (RFC 1191).
        send4({ protocol: icmp, payload: message(3, Buffer.alloc(32)) }),
      ]),
    );
  });

  test.each(["two", "far"])("is handled correctly by %s with packets of many fragments", async (name) => {
    const last = name === "two" ? 2 : 9;
    for (const address of [ip4(last), ip6(last)]) {
      expect((await one.ping(address, { count: 3, size: 8_000 })).received, address).toBe(3);
    }
  });
});
