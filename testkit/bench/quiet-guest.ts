// A guest that changes its identity for every trial, and sends only the measured packets.
import { ipBatch, run } from "../lab/command.ts";
import { type Guest, guestDevice } from "../lab/guest.ts";
import type { Host } from "../lab/host.ts";
import { type Endpoint, network } from "./addresses.ts";

/**
 * Drops outgoing MLD (ICMPv6 behind a hop-by-hop header). An IPv6 guest reports each new address to the network, which
 * would teach learning hosts its MAC before the trial, and would count among the frames that a mode replicates.
 */
const dropMulticastReports = [
  "6", // instructions
  "40 0 0 12", // EtherType
  "21 0 3 34525", // IPv6, or else accept
  "48 0 0 20", // next header
  "21 0 1 0", // hop-by-hop, or else accept
  "6 0 0 2", // TC_ACT_SHOT
  "6 0 0 4294967295", // TC_ACT_UNSPEC: go on
].join(",");

/** @param numberOnHost distinguishes the guests of one host */
export async function bootQuietGuest(host: Host, numberOnHost = 0): Promise<Guest> {
  const mac = `52:54:ff:${[host.name.length, numberOnHost >> 8, numberOnHost & 0xff]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join(":")}`;
  const guest = await host.addGuest({ name: `${host.name}-${numberOnHost}`, vni: network.vni, mac, ips: [] });
  await guest.ip(`link set ${guestDevice} addrgenmode none`, `addr flush dev ${guestDevice}`);
  await run(["tc", "-n", guest.namespace, "-batch", "-"], {
    input: [
      `qdisc add dev ${guestDevice} clsact`,
      `filter add dev ${guestDevice} egress bpf da bytecode "${dropMulticastReports}"`,
      "",
    ].join("\n"),
  });
  return guest;
}

/** The guest becomes `endpoint`, a new card; it drops its neighbour entries together with its addresses. */
export function become(guest: Guest, { mac, ip, prefixLength, family }: Endpoint): Promise<void> {
  return ipBatch(
    [
      `addr flush dev ${guestDevice}`,
      `neigh flush dev ${guestDevice}`,
      `link set ${guestDevice} address ${mac}`,
      `addr add ${ip}/${prefixLength} dev ${guestDevice}${family === 6 ? " nodad" : ""}`,
    ],
    guest.namespace,
  );
}
