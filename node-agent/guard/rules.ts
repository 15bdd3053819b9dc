// The frames that a guest may send, as rules of nf_tables in the bridge family: pure text. The rules decide at the entry of a
// frame into the bridge, by the name of the port: they are loaded before the tap exists, so there is no moment without them.
import {
  familyOf,
  findIp,
  type IpAddress,
  ipToBytes,
  type MacAddress,
  macToBytes,
  type Subnet,
  subnetContains,
  subnetFamily,
  subnetFirst,
  subnetLength,
  type Vni,
} from "../../schema/address/index.ts";
import type { AddressedGuest } from "../tables/held-network.ts";
import { type Elements, fillScript, tableName } from "./rule-table.ts";

/**
 * By port: each permitted source MAC of its guest, with its addresses, those that it may take included, and prefixes that it may send packets
 * from. All frames of a port without MACs are dropped.
 */
export type GuardedPorts = ReadonlyMap<string, ReadonlyMap<MacAddress, ReadonlySet<IpAddress | Subnet>>>;

/** Counted reasons for a drop, by the name of the counter. */
export const dropReasons = [
  "ethertype",
  "mac",
  "arp",
  "ipv4",
  "ipv6",
  "neighbour",
  "router",
  "dhcp",
  "rate",
  "fragment",
  "malformed",
] as const;
export type DropReason = (typeof dropReasons)[number];

/** ARP and neighbour discovery of one port, frames per second and burst: more is a scan. */
const discoveryRate = { perSecond: 100, burst: 200 };

/** Interfaces with a registered port. An invalid name, which the controller should have refused, must not get into a script. */
export function guardedPorts(guests: readonly AddressedGuest[]): GuardedPorts {
  const ports = new Map<string, Map<MacAddress, Set<IpAddress | Subnet>>>();
  for (const { mac, ips, port, allowed = [] } of guests) {
    if (port === undefined || !isPlainName(port)) continue;
    const macs = ports.get(port) ?? new Map<MacAddress, Set<IpAddress | Subnet>>();
    macs.set(mac, new Set([...(macs.get(mac) ?? []), ...ips, ...allowed, linkLocalOf(mac)]));
    ports.set(port, macs);
  }
  return ports;
}

export const isPlainName = (port: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,14}$/.test(port);

/** The link-local address that a guest makes of its MAC (RFC 4291, appendix A). */
export function linkLocalOf(mac: MacAddress): IpAddress {
  const bytes = macToBytes(mac);
  const id = Buffer.concat([bytes.subarray(0, 3), Buffer.from([0xff, 0xfe]), bytes.subarray(3)]);
  id[0] = (id[0] ?? 0) ^ 0x02;
  const found = findIp(Buffer.concat([Buffer.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0]), id]));
  if (!found) throw new Error(`no address of ${mac}`);
  return found;
}

/**
 * IPv4's smallest first fragment: 60 bytes of header and 8 of data pass every link whole (RFC 791 §3.2), so a shorter one is
 * crafted to hide a header.
 */
const minFirstFragmentBytes = 68;

/** Solicitations, advertisements, redirects and SEND's path messages, which never come in fragments (RFC 6980 §5). */
const neverInFragments = "{ 133-137, 148, 149 }";

/** Hop-by-hop options, routing, fragment, destination options: those that the kernel's ipv6_find_hdr() walks past. */
const extensionHeaders = "{ 0, 43, 44, 60 }";

/**
 * The table without its elements; replaces any table of this name. ARP and neighbour discovery may name registered addresses
 * only: sender of ARP (RFC 826), target of a probe (RFC 5227 §1.1) and of an advertisement (RFC 4861 §4.4), besides the source
 * of the packet. Of prefixes only the source of a packet may be: nothing else names their addresses on this link.
 *
 * A stateless filter judges a fragmented packet by the one fragment with the upper-layer header, so no other fragment may be
 * able to overwrite that header: it must be at offset 0, in its first 8 bytes, which only fragments of offset 0 cover,
 * and each of those is judged. Hence nothing between an IPv6 fragment header and the upper-layer header passes: destination
 * options would move it behind offset 0. A packet whose headers the kernel cannot walk to the end has no `meta l4proto`.
 *
 * A hypervisor announces a guest that has arrived by RARP from its MAC. Nothing here learns from that, so it is dropped, and is no offence.
 */
export function tableScript(): string {
  const { perSecond, burst } = discoveryRate;
  const counters = dropReasons.map((reason) => `  counter ${counterOf(reason)} {}`).join("\n");
  const refuse = (reason: DropReason): string => `counter name ${counterOf(reason)} jump refuse`;
  return `
table bridge ${tableName} {}
delete table bridge ${tableName}
table bridge ${tableName} {
${counters}
  set guarded { type ifname; }
  set macs { type ifname . ether_addr; }
  set addresses4 { type ifname . ether_addr . ipv4_addr; }
  set addresses6 { type ifname . ether_addr . ipv6_addr; }
  set prefixes4 { type ifname . ether_addr . ipv4_addr; flags interval; }
  set prefixes6 { type ifname . ether_addr . ipv6_addr; flags interval; }
  set targets6 { typeof iifname . ether saddr . @th,64,128; }
  set talk { type ifname; size 65535; flags dynamic,timeout; timeout 10s; }
  set offenders { type ifname; size 65535; flags dynamic,timeout; timeout 1h; counter; }
  chain refuse {
    add @offenders { iifname }
    drop
  }
  chain arp_frames {
    update @talk { iifname limit rate over ${perSecond}/second burst ${burst} packets } ${refuse("rate")}
    arp htype != 1 ${refuse("arp")}
    arp ptype != 0x0800 ${refuse("arp")}
    arp hlen != 6 ${refuse("arp")}
    arp plen != 4 ${refuse("arp")}
    arp operation != { request, reply } ${refuse("arp")}
    arp operation request arp saddr ip 0.0.0.0 iifname . arp saddr ether . arp daddr ip @addresses4 accept
    iifname . arp saddr ether . arp saddr ip @addresses4 accept
    ${refuse("arp")}
  }
  chain ipv4_frames {
    ip frag-off & 0x3fff == 0x2000 ip length < ${minFirstFragmentBytes} ${refuse("fragment")}
    meta l4proto != 255 goto ipv4_packets
    ${refuse("malformed")}
  }
  chain ipv4_packets {
    udp sport 67 ${refuse("dhcp")}
    udp dport 68 ${refuse("dhcp")}
    icmp type { redirect, router-advertisement } ${refuse("router")}
    iifname . ether saddr . ip saddr @addresses4 accept
    iifname . ether saddr . ip saddr @prefixes4 accept
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    ${refuse("ipv4")}
  }
  chain ipv6_frames {
    exthdr frag exists jump ipv6_fragments
    meta l4proto != 255 goto ipv6_packets
    ${refuse("malformed")}
  }
  chain ipv6_fragments {
    frag nexthdr ${extensionHeaders} ${refuse("fragment")}
    frag frag-off != 0 return
    icmpv6 type ${neverInFragments} ${refuse("fragment")}
    @th,56,8 0 return
    @th,56,8 != 0 return
    ${refuse("fragment")}
  }
  chain ipv6_packets {
    icmpv6 type { nd-router-advert, nd-redirect, 149 } ${refuse("router")}
    udp sport 547 ${refuse("dhcp")}
    udp dport 546 ${refuse("dhcp")}
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } update @talk { iifname limit rate over ${perSecond}/second burst ${burst} packets } ${refuse("rate")}
    icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @targets6 ${refuse("neighbour")}
    iifname . ether saddr . ip6 saddr @addresses6 accept
    icmpv6 type != { nd-neighbor-solicit, nd-neighbor-advert } iifname . ether saddr . ip6 saddr @prefixes6 accept
    meta l4proto != ipv6-icmp iifname . ether saddr . ip6 saddr @prefixes6 accept
    ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . ether saddr . @th,64,128 @targets6 accept
    ip6 saddr :: icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } accept
    ip6 saddr :: icmpv6 type nd-neighbor-solicit ${refuse("neighbour")}
    ${refuse("ipv6")}
  }
  chain guest {
    ether type 0x8035 iifname . ether saddr @macs drop
    ether type != { ip, arp, ip6 } ${refuse("ethertype")}
    iifname . ether saddr != @macs ${refuse("mac")}
    ether type arp goto arp_frames
    ether type ip goto ipv4_frames
    goto ipv6_frames
  }
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname @guarded goto guest
  }
}
`;
}

/**
 * Exactly these ports, in one transaction.
 * @param networkOf the network of a port, recorded for the next run of the agent
 */
export function elementsScript(
  ports: GuardedPorts,
  networkOf: (port: string) => Vni | undefined = () => undefined,
): Elements {
  return fillScript("bridge", elements(ports, networkOf));
}

function elements(
  ports: GuardedPorts,
  networkOf: (port: string) => Vni | undefined,
): ReadonlyMap<string, readonly string[]> {
  const listed = [...ports].flatMap(([port, macs]) =>
    [...macs].map(([mac, ips]) => ({ at: `"${port}" . ${mac}`, ips })),
  );
  const bindings = listed.flatMap(({ at, ips }) => [...ips].filter(isAddress).map((ip) => ({ at, ip })));
  const prefixes = listed.flatMap(({ at, ips }) => widest(ips).map((prefix) => ({ at, prefix })));
  const within = (family: 4 | 6): string[] =>
    prefixes.filter(({ prefix }) => subnetFamily(prefix) === family).map(({ at, prefix }) => `${at} . ${prefix}`);
  const of = (family: 4 | 6): typeof bindings => bindings.filter(({ ip }) => familyOf(ip) === family);
  return new Map([
    ["guarded", [...ports.keys()].map((port) => `"${port}"${noteOf(networkOf(port))}`)],
    ["macs", [...ports].flatMap(([port, macs]) => [...macs.keys()].map((mac) => `"${port}" . ${mac}`))],
    ["addresses4", of(4).map(({ at, ip }) => `${at} . ${ip}`)],
    ["addresses6", of(6).map(({ at, ip }) => `${at} . ${ip}`)],
    ["prefixes4", within(4)],
    ["prefixes6", within(6)],
    ["targets6", of(6).map(({ at, ip }) => `${at} . 0x${ipToBytes(ip).toString("hex")}`)],
  ]);
}

const isAddress = (ip: IpAddress | Subnet): ip is IpAddress => !ip.includes("/");

/** Prefixes that are in no other one: elements of a set must not overlap. */
function widest(ips: ReadonlySet<IpAddress | Subnet>): Subnet[] {
  const prefixes = [...ips].filter((ip): ip is Subnet => !isAddress(ip));
  return prefixes.filter(
    (prefix) =>
      !prefixes.some(
        (other) => subnetLength(other) < subnetLength(prefix) && subnetContains(other, subnetFirst(prefix)),
      ),
  );
}

const noteOf = (vni: Vni | undefined): string => (vni === undefined ? "" : ` comment "${vni}"`);

const counterOf = (reason: DropReason): string => `dropped_${reason}`;

export function samePorts(a: GuardedPorts, b: GuardedPorts): boolean {
  return a.size === b.size && elementsScript(a).script === elementsScript(b).script;
}
