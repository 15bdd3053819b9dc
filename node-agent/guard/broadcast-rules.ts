// What may be copied of the broadcasts and multicasts of guests, as rules of nf_tables in the bridge family: pure text. They decide where a frame
// is on its way from the bridge to the tunnel, so guests of the same host have all of them. Behind that, in postrouting, the kernel does
// not say any more which port a frame came from.

import { linkGroups } from "../../schema/address/index.ts";
import type { FilteredTunnel } from "../networks/broadcasts.ts";
import { frameRate, maxCopies } from "../tables/broadcast.ts";
import { type Elements, fillScript } from "./rule-table.ts";

/** Apart from the tables of `--anti-spoof` and `--underlay-filter`. */
export const broadcastTable = "nearmiss-broadcast";

/** Counted reasons for a drop, by the name of the counter, beside `storm`. */
export const filterReasons = ["ethertype", "dhcp", "control", "fragment", "malformed"] as const;

/**
 * A frame to a group becomes as many copies as hosts have a member. For the limit of a port, groups are sorted by that number; each of these
 * is the most of one size. A rate that followed each group would need a rule for each.
 */
export const groupSizes = [1, 4, 16, 64, maxCopies] as const;

const linkGroupsOf = (family: 4 | 6): string =>
  Object.keys(linkGroups)
    .filter((group) => group.includes(":") === (family === 6))
    .join(", ");

/**
 * Extension headers of IPv6 behind which a header could hide, authentication and mobility among them (IANA's list); fragments are judged
 * apart.
 */
const extensionHeaders = "0, 43, 51, 60, 135, 139, 140, 253, 254";

/** IPv4's smallest first fragment (see rules.ts): a shorter one is crafted to hide a header. */
const minFirstFragmentBytes = 68;

/**
 * Of broadcasts, copied is untagged IPv4. ARP goes to the tunnel, whose proxy takes all of it: it is the question that a miss comes from. IPv6 has no
 * broadcast (RFC 4291 §2), so neighbour discovery, router advertisements, DHCPv6 and MLD are there by mistake or for harm. What is in a
 * VLAN tag is not looked into, and not copied.
 *
 * Of multicasts, copied are frames to groups with a member elsewhere, IPv4 and IPv6, without IGMP, ICMP of one link, DHCP, and what is hidden
 * behind extension headers. Several groups share a MAC address, so the address of the packet is looked at, too. Neighbour solicitations
 * go to the tunnel as ARP does.
 *
 * Of a fragmented packet the first fragment has the header that is judged, whole, and receivers put nothing together without it. IGMP has
 * its number in every fragment.
 */
export function broadcastScript(copiesPerSecond: number): string {
  const sizes = groupSizes.map((size) => ({ size, ...frameRate(copiesPerSecond, size) }));
  const counters = [...filterReasons, "storm"].map((reason) => `  counter dropped_${reason} {}`).join("\n");
  const refuse = (reason: (typeof filterReasons)[number]): string => `counter name dropped_${reason} drop`;
  return `
table bridge ${broadcastTable} {}
delete table bridge ${broadcastTable}
table bridge ${broadcastTable} {
  counter copied {}
${counters}
  set tunnels { type ifname; }
${sizes
  .flatMap(({ size }) => [
    `  set copies_${size} { type ifname . ether_addr; }`,
    `  set talk_${size} { type ifname; size 65535; flags dynamic,timeout; timeout 1h; }`,
  ])
  .join("\n")}
  set talk { type ifname; size 65535; flags dynamic,timeout; timeout 1h; }
  set offenders { type ifname; size 65535; flags dynamic,timeout; timeout 1h; counter; }
  chain over {
    add @offenders { iifname }
    drop
  }
  chain rates {
  }
  chain ipv4_packets {
    udp sport { 67, 68 } ${refuse("dhcp")}
    udp dport { 67, 68 } ${refuse("dhcp")}
    meta l4proto igmp ${refuse("control")}
    icmp type { redirect, router-advertisement, router-solicitation } ${refuse("control")}
  }
  chain ipv4_broadcasts {
    jump ipv4_packets
    jump rates
    counter name copied accept
  }
  chain broadcasts {
    ether type arp accept
    ether type != ip ${refuse("ethertype")}
    ip frag-off & 0x3fff == 0x2000 ip length < ${minFirstFragmentBytes} ${refuse("fragment")}
    meta l4proto != 255 goto ipv4_broadcasts
    ${refuse("malformed")}
  }
  chain ipv4_groups {
    ip daddr != 224.0.0.0/4 ${refuse("malformed")}
    ip daddr { ${linkGroupsOf(4)} } ${refuse("control")}
    ip frag-off & 0x3fff == 0x2000 ip length < ${minFirstFragmentBytes} ${refuse("fragment")}
    meta l4proto != 255 goto ipv4_packets
    ${refuse("malformed")}
  }
  chain ipv6_packets {
    ip6 nexthdr ipv6-icmp icmpv6 type != { echo-request, echo-reply } ${refuse("control")}
    udp sport { 546, 547 } ${refuse("dhcp")}
    udp dport { 546, 547 } ${refuse("dhcp")}
  }
  chain ipv6_groups {
    ip6 daddr != ff00::/8 ${refuse("malformed")}
    ip6 daddr { ${linkGroupsOf(6)}, ff02::1:ff00:0/104, ff02::2:ff00:0/104 } ${refuse("control")}
    ip6 nexthdr { ${extensionHeaders} } ${refuse("control")}
    ip6 nexthdr 44 @nh,320,8 { ${extensionHeaders}, 44, 58 } ${refuse("fragment")}
    meta l4proto != 255 goto ipv6_packets
    ${refuse("malformed")}
  }
  chain groups {
    ether type ip goto ipv4_groups
    ether type ip6 goto ipv6_groups
    ${refuse("ethertype")}
  }
${sizes
  .map(
    ({ size, perMinute, burst }) => `  chain size_${size} {
    jump groups
    update @talk_${size} { iifname limit rate over ${perMinute}/minute burst ${burst} packets } counter name dropped_storm jump over
    counter name copied accept
  }`,
  )
  .join("\n")}
  chain multicasts {
    ether type arp accept
    ether type ip6 ip6 nexthdr ipv6-icmp icmpv6 type nd-neighbor-solicit ip6 length >= 24 accept
${sizes.map(({ size }) => `    oifname . ether daddr @copies_${size} goto size_${size}`).join("\n")}
    drop
  }
  chain forward {
    type filter hook forward priority -300; policy accept;
    oifname @tunnels ether daddr ff:ff:ff:ff:ff:ff goto broadcasts
    oifname @tunnels ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 goto multicasts
  }
  chain output {
    type filter hook output priority -300; policy accept;
    oifname @tunnels ether daddr ff:ff:ff:ff:ff:ff goto broadcasts
    oifname @tunnels ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 goto multicasts
  }
}
`;
}

/** Exactly these tunnels with their rates and groups, in one transaction. An element of `talk` keeps the rate that it was made with. */
export function broadcastElements(tunnels: readonly Omit<FilteredTunnel, "vni">[]): Elements {
  const at = `bridge ${broadcastTable}`;
  const rates = tunnels.map(
    ({ device, perMinute, burst }) =>
      `add rule ${at} rates oifname "${device}" update @talk ` +
      `{ iifname limit rate over ${perMinute}/minute burst ${burst} packets } counter name dropped_storm jump over`,
  );
  const lines = [`flush chain ${at} rates`, `flush set ${at} talk`, ...rates];
  const { script, sizes } = groupElements(tunnels);
  return { script: `${lines.join("\n")}\n${script}`, sizes };
}

/** The same without rates: what every port has used of its own stays. */
export function groupElements(tunnels: readonly Pick<FilteredTunnel, "device" | "groups">[]): Elements {
  const sets = new Map([["tunnels", tunnels.map(({ device }) => `"${device}"`)]]);
  for (const size of groupSizes) sets.set(`copies_${size}`, []);
  for (const { device, groups } of tunnels) {
    for (const [mac, copies] of groups) {
      const size = groupSizes.find((most) => copies <= most);
      if (size !== undefined) sets.get(`copies_${size}`)?.push(`"${device}" . ${mac}`);
    }
  }
  return fillScript("bridge", sets, broadcastTable);
}
