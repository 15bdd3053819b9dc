// Every kind of frame with which a guest might try to reach its host's own stack, or another network through it: the product of
// destinations, contents and tags. Pure.
import {
  arp,
  ethernet,
  etherTypes,
  icmpEcho,
  ipPacket,
  neighbourSolicitation,
  tcpSyn,
  udpPacket,
  vxlan,
} from "../../testkit/lab/frames.ts";
import { servicePort } from "./host-ears.ts";

const hex = (value: number): string => value.toString(16).padStart(2, "0");

/** The sixteen that a bridge does not forward (IEEE 802.1Q, table 8-1). */
export const reservedGroups = Array.from({ length: 16 }, (_, last) => `01:80:c2:00:00:${hex(last)}`);

/** The rest of 01:80:c2:00:00:00/40, and other groups that something somewhere listens to. */
const groups = [
  ...Array.from({ length: 240 }, (_, at) => `01:80:c2:00:00:${hex(at + 16)}`),
  "ff:ff:ff:ff:ff:ff",
  "01:00:5e:00:00:01", // all IPv4 hosts and routers, mDNS, the last IPv4 group
  "01:00:5e:00:00:02",
  "01:00:5e:00:00:fb",
  "01:00:5e:7f:ff:ff",
  "33:33:00:00:00:01", // all IPv6 nodes and routers, MLDv2 routers, mDNS, DHCPv6 servers
  "33:33:00:00:00:02",
  "33:33:00:00:00:16",
  "33:33:00:00:00:fb",
  "33:33:00:01:00:02",
  "01:80:c2:00:01:00", // FDDI, IS-IS, CFM of other numbering
  "01:80:c2:00:01:30",
  "01:00:0c:cc:cc:cc", // CDP, PVST, Cisco's pause
  "01:00:0c:cc:cc:cd",
  "01:00:0c:cd:cd:cd",
  "01:1b:19:00:00:00", // PTP, profinet, GOOSE, MRP
  "01:0e:cf:00:00:00",
  "01:0c:cd:01:00:00",
  "01:15:4e:00:00:01",
  "03:00:00:00:00:01", // NetBEUI, loopback, AppleTalk
  "cf:00:00:00:00:00",
  "09:00:07:ff:ff:ff",
] as const;

export interface HostAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
  /** Of the bridge, the tunnel device, the guest's port, the underlay's card. */
  readonly macs: readonly string[];
}

export interface Target extends HostAddresses {
  /** The guest's own address in the frame. */
  readonly mac: string;
  readonly guest4: string;
  readonly guest6: string;
  /** Another tenant's network and its guest. */
  readonly otherVni: number;
  readonly otherMac: string;
}

/** EtherTypes that are neither IP nor ARP: 802.3 length, RARP, MPLS, PPPoE discovery and session, EAPOL, LLDP, experiments. */
const otherTypes = [0x002e, 0x8035, 0x8847, 0x8863, 0x8864, 0x888e, 0x88cc, 0x88b5] as const;

export const injectedType = 0x88b7;

/** The content of the frame, by its name; `type` is that of the innermost header. */
function contents(at: Target): { name: string; type: number; payload: Buffer }[] {
  const inner = ethernet({
    to: at.otherMac,
    from: "52:54:00:00:00:66",
    type: injectedType,
    payload: Buffer.alloc(46, 7),
  });
  const families = [
    { v: 4, type: etherTypes.ipv4, to: at.ipv4, from: at.guest4, peer: at.ipv4.replace(/\d+$/, "2") },
    { v: 6, type: etherTypes.ipv6, to: at.ipv6, from: at.guest6, peer: at.ipv6.replace(/[0-9a-f]+$/, "2") },
  ] as const;
  const ip = families.flatMap(({ v, type, to, from, peer }) => {
    const udp = (toPort: number, payload: Buffer, sender: string = from): Buffer =>
      udpPacket({ from: sender, to, fromPort: 50_000, toPort, payload });
    const tunnel = udp(4789, vxlan(at.otherVni, inner));
    return [
      { name: `UDP over IPv${v}`, type, payload: udp(servicePort, Buffer.from("from a guest")) },
      { name: `TCP over IPv${v}`, type, payload: tcpSyn({ from, to, fromPort: 50_000, toPort: servicePort }) },
      { name: `echo over IPv${v}`, type, payload: icmpEcho({ from, to }) },
      { name: `VXLAN over IPv${v}`, type, payload: tunnel },
      { name: `VXLAN over IPv${v} with a peer's address`, type, payload: udp(4789, vxlan(at.otherVni, inner), peer) },
      ...fragments(v, tunnel).map((payload, part) => ({ name: `VXLAN over IPv${v}, fragment ${part}`, type, payload })),
      {
        name: `IPv${v} with an unknown protocol`,
        type,
        payload: ipPacket({ from, to, protocol: 253, payload: Buffer.alloc(20) }),
      },
    ];
  });
  const request = arp({ operation: "request", senderMac: at.mac, senderIp: at.guest4, targetIp: at.ipv4 });
  const solicitation = neighbourSolicitation({ mac: at.mac, from: at.guest6, target: at.ipv6 });
  return [
    ...ip,
    { name: "ARP", type: etherTypes.arp, payload: request.subarray(14) },
    { name: "neighbour solicitation", type: etherTypes.ipv6, payload: solicitation.subarray(14) },
    ...otherTypes.map((type) => ({ name: `EtherType ${type.toString(16)}`, type, payload: Buffer.alloc(46, 0xaa) })),
  ];
}

/** The packet in two parts, cut after the first 24 bytes behind the header. */
function fragments(v: 4 | 6, packet: Buffer): Buffer[] {
  const headBytes = v === 4 ? 20 : 40;
  const body = packet.subarray(headBytes);
  return [
    { at: 0, part: body.subarray(0, 24), more: 1 },
    { at: 24, part: body.subarray(24), more: 0 },
  ].map(({ at, part, more }) => {
    const head = Buffer.from(packet.subarray(0, headBytes));
    if (v === 4) {
      head.writeUInt16BE(headBytes + part.length, 2);
      head.writeUInt16BE(0x4242, 4);
      head.writeUInt16BE((more << 13) | (at / 8), 6);
      head.writeUInt16BE(0, 10);
      let sum = 0;
      for (let i = 0; i < headBytes; i += 2) sum += head.readUInt16BE(i);
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
      head.writeUInt16BE(~sum & 0xffff, 10);
      return Buffer.concat([head, part]);
    }
    const extension = Buffer.alloc(8);
    extension.writeUInt8(head.readUInt8(6), 0);
    extension.writeUInt16BE(at | more, 2);
    extension.writeUInt32BE(0x4242, 4);
    head.writeUInt8(44, 6);
    head.writeUInt16BE(8 + part.length, 4);
    return Buffer.concat([head, extension, part]);
  });
}

/** Behind the MAC addresses: untagged, priority-tagged (VID 0) once and twice and as a provider's, a customer's VLAN, and both. */
const tags: readonly { readonly name: string; readonly bytes: string }[] = [
  { name: "untagged", bytes: "" },
  { name: "VID 0", bytes: "81000000" },
  { name: "VID 0 with priority 7", bytes: "8100e000" },
  { name: "VID 0 twice", bytes: "8100000081000000" },
  { name: "802.1ad VID 0", bytes: "88a80000" },
  { name: "802.1ad VID 0, 802.1Q VID 0", bytes: "88a8000081000000" },
  { name: "VID 5", bytes: "81000005" },
];

export interface HostileFrame {
  readonly name: string;
  readonly bytes: Buffer;
}

/** @param only destinations; default all */
export function* hostileFrames(at: Target, only?: readonly string[]): Generator<HostileFrame> {
  const destinations = only ?? [
    ...reservedGroups,
    ...groups,
    `33:33:ff:${solicitedTail(at.ipv6)}`,
    ...at.macs,
    at.mac,
    "52:54:00:00:00:77",
    "00:00:00:00:00:00",
  ];
  const all = contents(at);
  for (const to of destinations) {
    for (const { name, type, payload } of all) {
      const plain = ethernet({ to, from: at.mac, type, payload });
      for (const tag of tags) {
        const bytes = Buffer.concat([plain.subarray(0, 12), Buffer.from(tag.bytes, "hex"), plain.subarray(12)]);
        yield { name: `${name} to ${to}, ${tag.name}`, bytes };
      }
    }
  }
}

function solicitedTail(ipv6: string): string {
  const last = Number.parseInt(ipv6.split(":").at(-1) ?? "0", 16);
  return `00:${hex(last >> 8)}:${hex(last & 0xff)}`;
}
