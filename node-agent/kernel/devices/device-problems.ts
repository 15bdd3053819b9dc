// Messages to operators about devices that do not fit a network, each with its fix. Pure.
import { type AgentNetwork, type FindingKind, familyOf } from "../../../schema/index.ts";
import type { Link } from "../codec/link-codec.ts";
import { excludes, type LocalVtep, overheadBytes } from "./device-fit.ts";
import { isOurs } from "./device-names.ts";

/** A device that is in the way, and the fix. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
}

/** A problem that an operator should fix, although the network works. */
export interface DeviceWarning {
  readonly kind: Extract<FindingKind, "vtep-missing" | "mtu-too-large" | "second-device">;
  /** The address or the device that it is about. */
  readonly subject: string;
  /** The problem and its fix. */
  readonly says: string;
}

export function nameTaken(link: Link, network: AgentNetwork): DeviceError {
  return new DeviceError(
    `network ${network.name} needs the name ${link.name}, which a device that is not nearmiss's has: ` +
      `rename it (ip link set ${link.name} name …) or delete it (ip link del ${link.name})`,
  );
}

export function noBridge(link: Link, master: Link | undefined, network: AgentNetwork): DeviceError {
  return new DeviceError(
    `${link.name}, adopted for network ${network.name}, is a port of ${master?.name ?? "a device that is gone"}, which is ` +
      `not a bridge: take it out (ip link set ${link.name} nomaster), then the agent makes a bridge`,
  );
}

/** Without rules that match any port, a guest's first frames arrive before its port is closed. */
export function hostNotCovered(reason: string): string {
  return (
    "guests can send to this host from the moment in which their port is attached until the agent has closed it, a few " +
    `milliseconds later: ${reason}; load nf_tables (modprobe nf_tables)`
  );
}

/** The bridge of an adopted device is open towards this host, and rules that would close it cannot be loaded. */
export function notCovered(bridge: Link, network: AgentNetwork, reason: string): DeviceError {
  return new DeviceError(
    `${bridge.name}, the bridge of network ${network.name}'s adopted device, is not used: its guests could send into other ` +
      `networks through this host (${reason}); load nf_tables (modprobe nf_tables), or let the agent make the bridge ` +
      "(take the adopted device out of --adopt)",
  );
}

/** Another socket uses the UDP port: the kernel reports that (EADDRINUSE) only when the device is set up. */
export function portTaken(vxlan: Link, vxlans: readonly Link[], { vtepPort }: LocalVtep): DeviceError {
  const holders = vxlans.filter((link) => link.up && link.ifindex !== vxlan.ifindex && !isOurs(link));
  const same = holders.filter((link) => link.vxlan === undefined || link.vxlan.port === vtepPort);
  const [holder] = same;
  return new DeviceError(
    holder
      ? `${vxlan.name} cannot be set up: ${holder.name}, a vxlan device with other settings, uses UDP port ${vtepPort}; ` +
          `delete it (ip link del ${holder.name}), or register the host with another port`
      : `${vxlan.name} cannot be set up: another program uses UDP port ${vtepPort} (ss -ulnp sport = :${vtepPort}); ` +
          "end it, or register the host with another port",
  );
}

export function missingVtep({ vtep }: LocalVtep, underlay: Link | undefined): DeviceWarning[] {
  if (underlay) return [];
  const says =
    `no interface of this host has the VTEP address ${vtep}: packets to it are lost; ` +
    `add it (ip address add ${vtep}/… dev …), or register the host with the address that it has`;
  return [{ kind: "vtep-missing", subject: vtep, says }];
}

export function tooLargeMtu(network: AgentNetwork, { vtep }: LocalVtep, underlay: Link | undefined): DeviceWarning[] {
  if (!underlay) return [];
  const most = underlay.mtu - overheadBytes[familyOf(vtep)];
  if (network.mtu <= most) return [];
  const needed = network.mtu - most + underlay.mtu;
  const says =
    `network ${network.name}: MTU ${network.mtu} does not fit the underlay's ${underlay.mtu}; ` +
    `set the network's MTU to ${most} or less, or raise the underlay's to ${needed} (ip link set ${underlay.name} mtu ${needed})`;
  return [{ kind: "mtu-too-large", subject: underlay.name, says }];
}

/** Other devices of the network's VNI. @param vxlan the one that the agent uses */
export function rivals(vxlans: readonly Link[], vxlan: Link, network: AgentNetwork, local: LocalVtep): DeviceWarning[] {
  return vxlans
    .filter((link) => link.vxlan?.vni === network.vni && link.ifindex !== vxlan.ifindex)
    .map((rival) => {
      const effect = excludes(rival, network.vni, local)
        ? "only one of the two can be up, and each takes the other's place"
        : "frames that are sent to it never reach the guests here";
      const says =
        `network ${network.name}: ${rival.name} is a second vxlan device of VNI ${network.vni} beside ${vxlan.name}: ` +
        `${effect}; delete it (ip link del ${rival.name})`;
      return { kind: "second-device", subject: rival.name, says };
    });
}
