// Sends frames that must not be copied, and one that must, through a bridge of its own: proves that this kernel enforces the rules
// for broadcasts before any network relies on them.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { MacAddress } from "../../schema/address/index.ts";
import { FrameSender } from "../kernel/sockets/guest-sockets.ts";
import type { FilteredTunnel } from "../networks/broadcasts.ts";
import { broadcastElements } from "./broadcast-rules.ts";
import { runCommand } from "./commands.ts";

/** Long enough for a softirq on a loaded machine. */
const deadlineMs = 5_000;
const pollMs = 5;

/** Far more than the probe sends. */
const rate = { perMinute: 60_000, burst: 1_000 };
/** Of 239.1.2.3 and ff0e::1:3. Other groups have the same: 224.1.2.3, and ff02::1:3. */
const group4 = "01:00:5e:01:02:03";
const group6 = "33:33:00:01:00:03";

/**
 * @param tunnels those that stay covered during the probe
 * @returns the first check that failed; undefined if the rules work
 * @throws CommandError
 */
export async function probeBroadcasts(tunnels: readonly FilteredTunnel[]): Promise<string | undefined> {
  const id = randomBytes(4).toString("hex");
  const names = { bridge: `nmbb${id}`, port: `nmbp${id}`, guest: `nmbg${id}`, device: `nmbt${id}`, peer: `nmbu${id}` };
  const sender = new FrameSender();
  try {
    await runCommand("ip", ["-batch", "-"], devicesOf(names));
    const groups = new Map([group4, group6].map((mac) => [mac as MacAddress, 1]));
    const own = { device: names.device, ...rate, groups };
    await runCommand("nft", ["-f", "-"], broadcastElements([...tunnels, own]).script);
    const ifindex = Number(readFileSync(`/sys/class/net/${names.guest}/ifindex`, "utf8"));
    const copied = (): number => Number(readFileSync(`/sys/class/net/${names.device}/statistics/tx_packets`, "utf8"));
    const before = copied();
    for (const frame of [...refused(), ...accepted()]) {
      if (!sender.send(frame, ifindex)) return `the probe's device ${names.guest} takes no frame`;
    }
    // Frames are handled in order: when the last one has passed, the others have been decided.
    const until = performance.now() + deadlineMs;
    while (copied() - before < accepted().length) {
      if (performance.now() > until) return "a frame that may pass does not";
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    const passed = copied() - before;
    const more = passed - accepted().length;
    return more === 0 ? undefined : `of ${refused().length} frames that must not pass ${more} did`;
  } finally {
    sender.close();
    for (const device of [names.port, names.device, names.bridge])
      await runCommand("ip", ["link", "del", device]).catch(() => {});
    await runCommand("nft", ["-f", "-"], broadcastElements(tunnels).script);
  }
}

type Names = Readonly<Record<"bridge" | "port" | "guest" | "device" | "peer", string>>;

function devicesOf({ bridge, port, guest, device, peer }: Names): string {
  return [
    `link add ${bridge} type bridge stp_state 0 mcast_snooping 0`,
    `link add ${port} type veth peer name ${guest}`,
    `link add ${device} type veth peer name ${peer}`,
    ...[bridge, port, guest, device, peer].map((each) => `link set ${each} addrgenmode none`),
    ...[port, device].map((each) => `link set ${each} master ${bridge}`),
    ...[guest, peer, port, device, bridge].map((each) => `link set ${each} up`),
    "",
  ].join("\n");
}

const broadcast = Buffer.alloc(6, 0xff);
const from = Buffer.from([0x02, 0, 0, 0, 0, 1]);
const rarp = 0x8035;
const ipv4 = 0x0800;
const ipv6 = 0x86dd;
const vlan = 0x8100;
const protocols = { icmp: 1, igmp: 2, udp: 17, icmp6: 58 } as const;

function refused(): Buffer[] {
  const tagged = Buffer.concat([Buffer.from([0, 1, ipv4 >> 8, ipv4 & 255]), packet(protocols.udp, datagram(9, 9))]);
  return [
    udp(68, 67),
    udp(67, 68),
    frame(ipv4, packet(protocols.igmp, Buffer.from([0x16, 0, 0, 0, 224, 0, 0, 251]))),
    frame(ipv4, packet(protocols.icmp, Buffer.from([9, 0, 0, 0, 1, 2, 0, 30]))),
    frame(ipv6, packet6("ff050000000000000000000000010003", protocols.udp, datagram(9, 9))),
    frame(rarp, Buffer.alloc(28)),
    frame(vlan, tagged),
    // The same MAC as that of a group which is copied, and a group that is not.
    frame(ipv4, packet(protocols.igmp, Buffer.from([0x16, 0, 0, 0, 239, 1, 2, 3]), [239, 1, 2, 3]), group4),
    frame(ipv4, packet(protocols.udp, datagram(68, 67), [239, 1, 2, 3]), group4),
    frame(ipv4, packet(protocols.udp, datagram(9, 9), [239, 1, 2, 4]), "01:00:5e:01:02:04"),
    frame(ipv6, packet6("ff020000000000000000000000010003", protocols.icmp6, Buffer.from([134, ...zeros(15)])), group6),
    frame(
      ipv6,
      packet6("ff020000000000000000000000010003", 0, Buffer.from([58, 0, 5, 2, 0, 0, 1, 0, 143, ...zeros(7)])),
      group6,
    ),
    frame(ipv6, packet6("ff050000000000000000000000010003", protocols.udp, datagram(546, 547)), group6),
  ];
}

const accepted = (): Buffer[] => [
  udp(9, 9),
  frame(ipv4, packet(protocols.udp, datagram(9, 9), [239, 1, 2, 3]), group4),
  frame(ipv6, packet6("ff0e0000000000000000000000010003", protocols.udp, datagram(9, 9)), group6),
];

const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

/** From fd00::1, with a hop limit of 1. @param to 16 bytes in hex */
function packet6(to: string, protocol: number, content: Buffer): Buffer {
  const from = Buffer.from("fd000000000000000000000000000001", "hex");
  const header = Buffer.of(0x60, 0, 0, 0, 0, content.length, protocol, 1);
  return Buffer.concat([header, from, Buffer.from(to, "hex"), content]);
}

const udp = (source: number, destination: number): Buffer =>
  frame(ipv4, packet(protocols.udp, datagram(source, destination)));

const frame = (type: number, content: Buffer, to?: string): Buffer => {
  const address = to === undefined ? broadcast : Buffer.from(to.replaceAll(":", ""), "hex");
  return Buffer.concat([address, from, Buffer.from([type >> 8, type & 255]), content]);
};

/** An IPv4 packet from 192.0.2.1 (RFC 791 §3.1). With br_netfilter the bridge drops one whose checksum is wrong. */
function packet(protocol: number, content: Buffer, to: readonly number[] = [255, 255, 255, 255]): Buffer {
  const header = Buffer.from([0x45, 0, 0, 0, 0, 0, 0, 0, 1, protocol, 0, 0, 192, 0, 2, 1, ...to]);
  header.writeUInt16BE(header.length + content.length, 2);
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  header.writeUInt16BE(~((sum & 0xffff) + (sum >> 16)) & 0xffff, 10);
  return Buffer.concat([header, content]);
}

function datagram(source: number, destination: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(source, 0);
  header.writeUInt16BE(destination, 2);
  header.writeUInt16BE(header.length, 4);
  return header;
}
