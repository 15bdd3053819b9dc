// Names of devices, and the alias that marks them as ours.
import { maxVni, parseVni, type Vni } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";

/** Alias of our devices: the owner, the network's name, the epoch of the store that they were created for. */
const aliasPrefix = "nearmiss ";

export const bridgeName = (vni: Vni): string => `nmb${vni}`;
export const vxlanName = (vni: Vni): string => `nmv${vni}`;

/** The network of a bridge by its name. */
export function vniOfName(name: string): Vni | undefined {
  const vni = Number(/^nmb([1-9]\d{0,7})$/.exec(name)?.[1]);
  return vni <= maxVni ? parseVni(vni) : undefined;
}

export const aliasFor = (network: string, epoch: string): string => `${aliasPrefix}${network} ${epoch}`;

/** In the place of an epoch: no store's, so no session removes the device. */
export const disownedEpoch = "of-another-registration";

export function isOurs(link: Link): boolean {
  return link.alias?.startsWith(aliasPrefix) ?? false;
}

/** Of the store that a device of ours was made for. */
export function epochOf(link: Link): string | undefined {
  return isOurs(link) ? link.alias?.split(" ").at(2) : undefined;
}

/** A device of ours, or one whose agent was killed before it could set the alias. */
export function mayTake(link: Link, kind: string): boolean {
  return link.kind === kind && (isOurs(link) || (link.alias === undefined && !link.up));
}
