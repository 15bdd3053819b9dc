// Commands that `explain` tells operators to run and that change something: all of them are here; those of conditions are in their texts
// (test/unit/advice.test.ts), each safe to run where the guess behind the message is wrong. Pure.
import type { BridgeFilter } from "../codec/link-codec.ts";

/**
 * Deletes devices that nothing uses. `ip link del` would also delete those that another program or a running agent
 * forwards with.
 */
export function removeDevices(...names: readonly string[]): string {
  return `nearmiss agent remove ${names.join(" ")}`;
}

/** Frames between guests pass. For frames of other bridges the filter stays as its owner wants it, which a sysctl would change. */
export function letBridgesPass(filter: BridgeFilter | `${"ip" | "ip6"}tables-legacy`): string {
  return `${filter} -I FORWARD -i nmb+ -o nmb+ -j ACCEPT`;
}

/** An address that two machines have stops both. */
export function giveAddress(address: string): string {
  return `if no other machine has it (on another host, ping -c 3 ${address} gets no answer), add it (ip address add ${address}/… dev …)`;
}

/** For guests' frames that large, every link between the hosts has to be ready first. */
export const raiseUnderlay = (device: string, mtu: number): string =>
  `if other hosts have more, raise that of ${device} here to ${mtu}; otherwise raise it on all hosts and switches`;

/** An entry without a MAC, which hides misses. One that has been resolved in between is written again at the next miss. */
export const forgetNeighbour = (ip: string, device: string): string => `ip neigh del ${ip} dev ${device}`;
