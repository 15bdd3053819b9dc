// Checks whether a vxlan device can serve a network, and how to make one that can. Pure.
import { familyOf, type Vni, type VtepAddress } from "../../../schema/address/index.ts";
import type { HostAddress, Link, VxlanSettings } from "../codec/link-codec.ts";

/** VXLAN's overhead for a guest's frame, in bytes of the underlay's MTU: inner Ethernet, VXLAN, UDP, outer IP. */
export const overheadBytes = { 4: 50, 6: 70 } as const;

/** A link of the host that has the VTEP address. */
export type Underlay = Link & Pick<HostAddress, "unusable">;

/** One of the links that packets take. */
export interface Hop {
  readonly device: string;
  /** Of IP packets: the link's, or the route's where that is smaller. */
  readonly mtu: number;
}

/** The smallest and the largest MTU on the ways to the hosts of a network. */
export interface RoutedMtu {
  readonly smallest: Hop;
  readonly largest: number;
}

/** The kernel's largest, and what a device has where nothing else says how large. */
const maxMtu = 65_535;
const usualMtu = 1_500;

/**
 * Of the tunnel: at least as large as what any way takes, since the device drops larger frames silently, while the kernel answers
 * those that do not fit the route with "fragmentation needed".
 * @param routed the largest MTU on the ways to other hosts
 */
export function tunnelMtu(underlay: Underlay | undefined, routed = 0): number {
  return Math.min(maxMtu, Math.max(hopOf(underlay)?.mtu ?? 0, routed) || usualMtu);
}

/** The VTEP's link as the one that packets take; a loopback device is none. */
export function hopOf(underlay: Underlay | undefined): Hop | undefined {
  return underlay && !underlay.loopback ? { device: underlay.name, mtu: underlay.mtu } : undefined;
}

export function mtuOn(hops: readonly Hop[]): RoutedMtu | undefined {
  const [first, ...others] = hops;
  if (!first) return undefined;
  const smallest = others.reduce((a, b) => (b.mtu < a.mtu ? b : a), first);
  return { smallest, largest: Math.max(...hops.map(({ mtu }) => mtu)) };
}

/** This host's tunnel end. */
export interface LocalVtep {
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
  /** What peers send to, where that is another address (`--local-vtep`). */
  readonly registered?: VtepAddress;
}

/** The family of the underlay: a device without addresses is IPv4 (vxlan_config_validate() in vxlan_core.c). */
export function underlayFamilyOf({ local, overIpv6 }: VxlanSettings): 4 | 6 {
  return (local ? familyOf(local) === 6 : overIpv6) ? 6 : 4;
}

/** Wrong settings that cannot change on the live device, as text; empty: it can serve. */
export function misfits({ vxlan }: Link, vni: Vni, { vtep, vtepPort }: LocalVtep): string[] {
  if (!vxlan) return ["it has no VNI of its own"];
  const off = (["proxy", "l2miss", "l3miss"] as const).filter((flag) => !vxlan[flag]);
  const family = underlayFamilyOf(vxlan);
  return [
    ...(vxlan.vni === vni ? [] : [`it has VNI ${vxlan.vni}`]),
    ...(off.length === 0 ? [] : [`it is without ${off.join(" and ")}`]),
    ...(vxlan.port === vtepPort ? [] : [`it uses UDP port ${vxlan.port}, not ${vtepPort}`]),
    ...(family === familyOf(vtep) ? [] : [`its tunnel runs over IPv${family}, this host's over IPv${familyOf(vtep)}`]),
    // The kernel creates an all-zeros FDB entry for it, which prevents every l2miss.
    ...(vxlan.hasRemote ? ["it has a default destination (remote or group), which hides every l2miss"] : []),
  ];
}

/** The kernel considers both the same, and allows only one of them (vxlan_vni_in_use() in vxlan_core.c). */
export function excludes({ vxlan }: Link, vni: Vni, { vtep, vtepPort }: LocalVtep): boolean {
  return vxlan?.vni === vni && vxlan.port === vtepPort && underlayFamilyOf(vxlan) === familyOf(vtep);
}

/** The commands that create a suitable device, as one line. */
export function commandToMake(
  name: string,
  vni: Vni,
  { vtep, vtepPort }: LocalVtep,
  bridge: string | undefined,
): string {
  const master = bridge === undefined ? "" : `master ${bridge} `;
  return (
    `ip link add ${name} type vxlan id ${vni} local ${vtep} dstport ${vtepPort} nolearning proxy l2miss l3miss; ` +
    `ip link set ${name} ${master}up`
  );
}
