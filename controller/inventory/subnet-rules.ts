// Which addresses a guest may have in a network.
import {
  type IpAddress,
  isLinkLocal,
  type Subnet,
  subnetContains,
  subnetFamily,
  subnetFirst,
  subnetLast,
  subnetLength,
} from "../../schema/address/index.ts";
import type { NetworkSpec } from "../../schema/rest/index.ts";

/** @returns why a guest may not have the address in this network, or undefined if it may */
export function findAddressFault(network: NetworkSpec, ip: IpAddress): string | undefined {
  if (isLinkLocal(ip)) return undefined;
  const subnet = network.subnets.find((each) => subnetContains(each, ip));
  if (!subnet) return `${ip} is in none of the subnets of network "${network.name}" (${network.subnets.join(", ")})`;
  const reserved = findReservation(subnet, ip);
  return reserved && `${ip} is ${reserved} ${subnet}, which no guest can have`;
}

/**
 * The ends of an IPv4 subnet (RFC 1122 §3.2.1.3; not of a /31, RFC 3021), and the first address of an IPv6 one
 * (subnet-router anycast, RFC 4291 §2.6.1; not of a /127, RFC 6164).
 */
function findReservation(subnet: Subnet, ip: IpAddress): string | undefined {
  const hostBits = (subnetFamily(subnet) === 4 ? 32 : 128) - subnetLength(subnet);
  if (hostBits < 2) return undefined;
  if (ip === subnetFirst(subnet)) {
    return subnetFamily(subnet) === 4 ? "the network address of" : "the subnet-router anycast address of";
  }
  if (subnetFamily(subnet) === 4 && ip === subnetLast(subnet)) return "the broadcast address of";
  return undefined;
}
