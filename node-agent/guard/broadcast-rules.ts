// What may be copied of the broadcasts of guests, as rules of nf_tables in the bridge family: pure text. They decide where a frame
// is on its way from the bridge to the tunnel, so guests of the same host have all of them. Behind that, in postrouting, the kernel does
// not say any more which port a frame came from.
import type { FilteredTunnel } from "../networks/broadcasts.ts";
import { type Elements, fillScript } from "./rule-table.ts";

/** Apart from the tables of `--anti-spoof` and `--underlay-filter`. */
export const broadcastTable = "nearmiss-broadcast";

/** Counted reasons for a drop, by the name of the counter, beside `storm`. */
export const filterReasons = ["ethertype", "dhcp", "control", "fragment", "malformed"] as const;

/** IPv4's smallest first fragment (see rules.ts): a shorter one is crafted to hide a header. */
const minFirstFragmentBytes = 68;

/**
 * Copied is untagged IPv4. ARP goes to the tunnel, whose proxy takes all of it: it is the question that a miss comes from. IPv6 has no
 * broadcast (RFC 4291 §2), so neighbour discovery, router advertisements, DHCPv6 and MLD are there by mistake or for harm. What is in a
 * VLAN tag is not looked into, and not copied.
 *
 * Of a fragmented packet the first fragment has the header that is judged, whole, and receivers put nothing together without it. IGMP has
 * its number in every fragment.
 */
export function broadcastScript(): string {
  const counters = [...filterReasons, "storm"].map((reason) => `  counter dropped_${reason} {}`).join("\n");
  const refuse = (reason: (typeof filterReasons)[number]): string => `counter name dropped_${reason} drop`;
  return `
table bridge ${broadcastTable} {}
delete table bridge ${broadcastTable}
table bridge ${broadcastTable} {
  counter copied {}
${counters}
  set tunnels { type ifname; }
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
    jump rates
    counter name copied accept
  }
  chain broadcasts {
    ether type arp accept
    ether type != ip ${refuse("ethertype")}
    ip frag-off & 0x3fff == 0x2000 ip length < ${minFirstFragmentBytes} ${refuse("fragment")}
    meta l4proto != 255 goto ipv4_packets
    ${refuse("malformed")}
  }
  chain forward {
    type filter hook forward priority -300; policy accept;
    oifname @tunnels ether daddr ff:ff:ff:ff:ff:ff goto broadcasts
  }
  chain output {
    type filter hook output priority -300; policy accept;
    oifname @tunnels ether daddr ff:ff:ff:ff:ff:ff goto broadcasts
  }
}
`;
}

/** Exactly these tunnels with their rates, in one transaction. An element of `talk` keeps the rate that it was made with. */
export function broadcastElements(tunnels: readonly Omit<FilteredTunnel, "vni">[]): Elements {
  const at = `bridge ${broadcastTable}`;
  const devices = tunnels.map(({ device }) => `"${device}"`);
  const { script, sizes } = fillScript("bridge", new Map([["tunnels", devices]]), broadcastTable);
  const rates = tunnels.map(
    ({ device, perMinute, burst }) =>
      `add rule ${at} rates oifname "${device}" update @talk ` +
      `{ iifname limit rate over ${perMinute}/minute burst ${burst} packets } counter name dropped_storm jump over`,
  );
  const lines = [`flush chain ${at} rates`, `flush set ${at} talk`, ...rates];
  return { script: `${lines.join("\n")}\n${script}`, sizes };
}
