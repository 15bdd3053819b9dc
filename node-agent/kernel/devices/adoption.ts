// Chooses the vxlan device that serves a network: the agent's own, or a third-party device that `--adopt` allows. Pure.
import type { AgentNetwork } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";
import { commandToMake, excludes, type LocalVtep, misfits } from "./device-fit.ts";
import { isOurs, mayTake, vxlanName } from "./device-names.ts";
import { DeviceError } from "./device-problems.ts";

/** Third-party devices that the agent may use: by their names, or all. */
export type Adoptable = "all" | ReadonlySet<string>;

/** A device that was adopted in this run: until it is back, the agent creates no other, since that is the operator's decision. */
export interface Awaited {
  readonly name: string;
  /** The bridge that it was a port of, by its name. */
  readonly bridge: string | undefined;
}

export type VxlanChoice =
  /** The agent's own, existing or to be created. */
  | { readonly kind: "own" }
  | { readonly kind: "adopted"; readonly link: Link }
  /** None before an operator acts; `reason` says how to fix it. */
  | { readonly kind: "none"; readonly reason: DeviceError; readonly awaited?: Awaited };

export function mayAdopt(adoptable: Adoptable, link: Link): boolean {
  return link.vxlan !== undefined && !isOurs(link) && (adoptable === "all" || adoptable.has(link.name));
}

/**
 * @param vxlans all vxlan devices of the namespace
 * @param awaited the network's device, if it was to be adopted in this run
 * @param bridgeOf the name of a link's bridge
 */
export function chooseVxlan(
  vxlans: readonly Link[],
  network: AgentNetwork,
  local: LocalVtep,
  adoptable: Adoptable,
  awaited: Awaited | undefined,
  bridgeOf: (link: Link) => string | undefined,
): VxlanChoice {
  const { vni } = network;
  const sameVni = vxlans.filter((link) => link.vxlan?.vni === vni);
  if (sameVni.some(isOurs)) return { kind: "own" };
  const foreign = sameVni.filter((link) => !(link.name === vxlanName(vni) && mayTake(link, "vxlan")));
  const candidates = foreign.filter((link) => mayAdopt(adoptable, link));
  const fitting = candidates.find((link) => misfits(link, vni, local).length === 0);
  if (fitting) return { kind: "adopted", link: fitting };
  const [candidate] = candidates;
  if (candidate) {
    // A recreated device is in no bridge at first.
    const bridge = bridgeOf(candidate) ?? awaited?.bridge;
    const reason = cannotServe(candidate, network, local, bridge);
    return { kind: "none", reason, awaited: { name: candidate.name, bridge } };
  }
  if (awaited) return { kind: "none", reason: isGone(awaited, network, local), awaited };
  const rival = foreign.find((link) => excludes(link, vni, local));
  if (rival) return { kind: "none", reason: hasTheVni(rival, network) };
  return { kind: "own" };
}

function cannotServe(
  link: Link,
  { name, vni }: AgentNetwork,
  local: LocalVtep,
  bridge: string | undefined,
): DeviceError {
  const why = misfits(link, vni, local).join("; ");
  const values = { device: link.name, misfits: why, make: commandToMake(link.name, vni, local, bridge) };
  return new DeviceError("misfit", values, name);
}

function isGone({ name, bridge }: Awaited, network: AgentNetwork, local: LocalVtep): DeviceError {
  const values = { device: name, make: commandToMake(name, network.vni, local, bridge) };
  return new DeviceError("adopted-gone", values, network.name);
}

function hasTheVni(link: Link, { name, vni }: AgentNetwork): DeviceError {
  return new DeviceError("vni-taken", { device: link.name, vni: String(vni) }, name);
}
