// Rules of nf_tables that close the host to its guests. They name no port, so they apply from a port's first frame on,
// whichever program attached it. Pure. network-bridges.ts closes bridges and ports without nf_tables.
import { be16, text } from "../codec/netlink-codec.ts";
import { type NftChain, type NftFamily, type NftMatch, nftHooks } from "../codec/nftables-codec.ts";
import { firstReservedGroup, reservedGroupMask } from "../codec/reserved-groups.ts";

/** Separate from the tables of `--anti-spoof` and `--underlay-filter`: this one is always loaded. */
export const hostTable = "nearmiss-host";

const ARPHRD_ETHER = 1;
const IPPROTO_UDP = 17;
/** Before connection tracking and its reassembly (NF_IP_PRI_CONNTRACK_DEFRAG is -400). */
const first = -450;

const toReservedGroup: NftMatch = {
  kind: "payload",
  base: "link",
  offset: 0,
  equals: firstReservedGroup,
  mask: reservedGroupMask,
};
const fromEthernet: NftMatch = {
  kind: "meta",
  key: "iiftype",
  equals: Buffer.from(Uint16Array.of(ARPHRD_ETHER).buffer),
};
/**
 * IPv4, ARP and IPv6, and the tags that may contain them: the stack removes tags of VID 0, one after the other, and handles the
 * packet in them (net/core/dev.c). The first tag is already removed at the bridge.
 */
const internetProtocols = [0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8].map(
  (type): NftMatch => ({ kind: "meta", key: "protocol", equals: be16(type) }),
);

/** Third-party bridges. Their guests may reach this host, but not its tunnels, nor tunnels of other hosts through it. */
export interface AdoptedBridges {
  readonly names: readonly string[];
  /** UDP ports of tunnels. */
  readonly tunnelPorts: readonly number[];
}

/**
 * A port of a bridge is looked at by protocol: bridges of others may serve LACP or 802.1X, but none has a use for IP and ARP in
 * frames for these groups. The bridge's input hook does not see the group of LLDP, and none while a spanning tree protocol runs
 * for that of STP. On our bridges neither is delivered (network-bridges.ts); for those of others the hooks behind look again.
 * The first fragment of a datagram carries its UDP ports (RFC 8200 §4.5, RFC 7112), and without it the rest is never put
 * together.
 */
export function hostChains({ names, tunnelPorts }: AdoptedBridges): ReadonlyMap<NftFamily, NftChain | undefined> {
  const tunnels = names.flatMap((name) =>
    tunnelPorts.map((port): NftMatch[] => [
      { kind: "meta", key: "iifname", equals: interfaceName(name) },
      { kind: "meta", key: "l4proto", equals: Buffer.of(IPPROTO_UDP) },
      { kind: "payload", base: "transport", offset: 2, equals: be16(port) },
    ]),
  );
  const adopted = names.length > 0;
  return new Map<NftFamily, NftChain | undefined>([
    [
      "bridge",
      {
        name: "input",
        hook: nftHooks.bridge.input,
        priority: first,
        drops: internetProtocols.map((each) => [each, toReservedGroup]),
      },
    ],
    [
      "inet",
      adopted
        ? {
            name: "prerouting",
            hook: nftHooks.inet.prerouting,
            priority: first,
            drops: [[fromEthernet, toReservedGroup], ...tunnels],
          }
        : undefined,
    ],
    [
      "arp",
      adopted ? { name: "input", hook: nftHooks.arp.input, priority: first, drops: [[toReservedGroup]] } : undefined,
    ],
  ]);
}

/** As the kernel compares it: IFNAMSIZ bytes. */
function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(16);
  text(name).copy(bytes);
  return bytes;
}
