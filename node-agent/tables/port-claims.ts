// Decides whose port a device is: compares the port of a registration with the actual device. A registration is only a name that
// an operator wrote; it must not affect a port of another network, or the host's own card. Pure.
import type { Vni } from "../../schema/address/index.ts";

/** The registration of an interface on this host names this port. */
export interface PortClaim {
  readonly vni: Vni;
  readonly port: string;
}

/** The present state of a device of this host. */
export interface PortDevice {
  /** Name of its bridge. */
  readonly bridge: string;
  /** The host's own: a card, or a device that is made for more than one guest (bond, VLAN, tunnel, bridge). */
  isHosts(): boolean;
}

/** The bridge of a network on this host. */
export interface NetworkBridge {
  readonly name: string;
  /** A third-party bridge, which may have the host's own devices as ports. */
  readonly adopted: boolean;
}

/**
 * `here`: it is a port of the network's bridge. `free`: it is not a port of any bridge yet, or does not exist.
 */
export type PortVerdict = "here" | "free" | WrongPort;

/** What the device is instead of the guest's port. */
export interface WrongPort {
  /** Reasons of the condition `wrong-port` (schema/agent/condition-kinds.ts). */
  readonly wrong: "own" | "elsewhere" | "other-bridge" | "host";
  /** Where it is a port, and the network's own bridge. */
  readonly values: Readonly<Record<string, string>>;
}

/** Names that nearmiss gives to its own devices. */
const ownDevice = /^nm[bv][1-9]\d{0,7}$/;

export function judgePort(
  { port }: PortClaim,
  device: PortDevice | undefined,
  bridge: NetworkBridge | undefined,
): PortVerdict {
  if (ownDevice.test(port)) return { wrong: "own", values: {} };
  if (!device) return "free";
  if (device.bridge !== bridge?.name) {
    if (!bridge) return { wrong: "elsewhere", values: { bridge: device.bridge } };
    return { wrong: "other-bridge", values: { bridge: device.bridge, wanted: bridge.name } };
  }
  return bridge.adopted && device.isHosts() ? { wrong: "host", values: { bridge: bridge.name } } : "here";
}

/** Ports that interfaces of more than one network claim, by name: of those only the one whose bridge it is in can be right. */
export function disputedPorts(claims: readonly PortClaim[]): ReadonlySet<string> {
  const networks = new Map<string, Vni>();
  const disputed = new Set<string>();
  for (const { vni, port } of claims) {
    const known = networks.get(port);
    if (known !== undefined && known !== vni) disputed.add(port);
    networks.set(port, vni);
  }
  return disputed;
}
