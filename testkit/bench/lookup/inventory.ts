// What `lookup` asks for: a fleet of any size, of which some hosts ask. Pure.
import { addressesOf, vmsPerNetwork } from "../made-up-fleet.ts";

type Addresses = ReturnType<typeof addressesOf>;

/** Hosts that ask at the same time. */
export const askingHosts = 64;
/** On a host, each in a network of its own where there are as many networks. */
const vmsPerHost = 16;

/** So many that a host has about 16 VMs. */
export function hostsFor(vms: number): number {
  return Math.max(askingHosts, Math.ceil(vms / vmsPerHost));
}

/** Number of the host that asks as the `n`th: spread over the fleet, so that together they see all of its networks. */
export function askingHost(n: number, vms: number): number {
  return n * Math.floor(hostsFor(vms) / askingHosts);
}

/** A VM in one of the networks that the host sees. @param random in [0, 1) */
export function anyVisible(host: number, vms: number, random: () => number): Addresses {
  const hosts = hostsFor(vms);
  const own = host + hosts * Math.floor(random() * Math.ceil((vms - host) / hosts));
  const first = own - (own % vmsPerNetwork);
  return addressesOf(first + Math.floor(random() * Math.min(vmsPerNetwork, vms - first)));
}

/** Of its IPv4 or IPv6 address. */
export function questionOf({ vni, ips }: Addresses, random: () => number) {
  return { kind: "ip", vni, ip: random() < 0.5 ? ips[0] : ips[1] } as const;
}
