// What is wrong with devices that do not fit a network, as conditions (schema/agent/condition-kinds.ts has the texts). Pure.
import { type AgentNetwork, familyOf } from "../../../schema/address/index.ts";
import { type conditionKinds, conditionSentence, type ReportedCondition } from "../../../schema/agent/index.ts";
import type { HiddenAddresses } from "../../tables/entry.ts";
import type { HostAddress, Link } from "../codec/link-codec.ts";
import { NetlinkError } from "../sockets/request-socket.ts";
import { excludes, type Hop, type LocalVtep, overheadBytes, type Underlay } from "./device-fit.ts";
import { isOurs } from "./device-names.ts";

export type ForeignProgram = keyof (typeof conditionKinds)["foreign-program"]["texts"];
export type Obstacle = keyof (typeof conditionKinds)["network-not-ready"]["texts"];

/** A device is in the way of a network: a reason of `network-not-ready`, whose text has the fix. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  constructor(
    readonly reason: Obstacle,
    readonly values: Readonly<Record<string, string>>,
    network = "",
    /** With what the kernel said, for the message here: it is not sent. */
    said = values,
  ) {
    const facts = { kind: "network-not-ready", reason, values: said } as const;
    super(conditionSentence(facts, network).slice(`network ${network}: `.length));
  }
}

/** A problem that an operator should fix, although the network works. */
export type DeviceWarning = ReportedCondition & {
  readonly kind:
    | "vtep-missing"
    | "mtu-too-large"
    | "second-device"
    | "port-blocked"
    | "foreign-address"
    | "foreign-program"
    | "device-on-top"
    | "ipv6-disabled"
    | "misses-hidden";
  /** The problem and its fix. */
  readonly says: string;
};

export function nameTaken(link: Link, network: AgentNetwork): DeviceError {
  return new DeviceError("name-taken", { device: link.name }, network.name);
}

export function noBridge(link: Link, master: Link | undefined, network: AgentNetwork): DeviceError {
  if (!master) return new DeviceError("bridge-gone", { device: link.name }, network.name);
  return new DeviceError("no-bridge", { device: link.name, master: master.name }, network.name);
}

/** Why rules cannot be loaded. Without netfilter the kernel cannot even be asked. */
export type RuleRefusal = NetlinkError | "no netfilter";

/** Without rules that match any port, a guest's first frames arrive before its port is closed. */
export function hostNotCovered(refusal: RuleRefusal): ReportedCondition & { readonly says: string } {
  const isRefused = refusal instanceof NetlinkError;
  const facts = isRefused
    ? ({ kind: "host-open", reason: "refused", values: { errno: refusal.errnoText } } as const)
    : ({ kind: "host-open", reason: "unsupported", values: {} } as const);
  const said = isRefused ? { ...facts, values: { errno: refusal.message } } : facts;
  return { ...facts, says: conditionSentence(said) };
}

/** The bridge of an adopted device is open towards this host, and rules that would close it cannot be loaded. */
export function notCovered(bridge: Link, network: AgentNetwork, refusal: RuleRefusal): DeviceError {
  const values = { bridge: bridge.name };
  if (!(refusal instanceof NetlinkError)) return new DeviceError("unsupported", values, network.name);
  const said = { ...values, errno: refusal.message };
  return new DeviceError("not-covered", { ...values, errno: refusal.errnoText }, network.name, said);
}

/** Another socket uses the UDP port: the kernel reports that (EADDRINUSE) only when the device is set up. */
export function portTaken(vxlan: Link, vxlans: readonly Link[], { vtepPort }: LocalVtep): DeviceError {
  const holders = vxlans.filter((link) => link.up && link.ifindex !== vxlan.ifindex && !isOurs(link));
  const [holder] = holders.filter((link) => link.vxlan === undefined || link.vxlan.port === vtepPort);
  const values = { device: vxlan.name, port: String(vtepPort) };
  return holder
    ? new DeviceError("port-of-device", { ...values, holder: holder.name })
    : new DeviceError("port-taken", values);
}

/**
 * A vxlan device keeps its VNI where it was made, also after it was moved into a container (vxlan_vni_in_use() in
 * vxlan_core.c looks at the namespace of its socket).
 */
export function takenElsewhere(name: string, network: AgentNetwork, { vtepPort }: LocalVtep): DeviceError {
  return new DeviceError(
    "taken-elsewhere",
    { device: name, vni: String(network.vni), port: String(vtepPort) },
    network.name,
  );
}

/** Unless the kernel has the VTEP address, on a link that is up, and uses it. */
export function unreachableVtep({ vtep, registered }: LocalVtep, underlay: Underlay | undefined): DeviceWarning[] {
  const why = whyUnreachable(underlay);
  if (why === undefined) return [];
  const device = underlay ? { device: underlay.name } : {};
  if (registered === undefined) return [warning({ kind: "vtep-missing", reason: why, values: { vtep, ...device } })];
  const values = { vtep: registered, local: vtep, ...device };
  return [warning({ kind: "vtep-missing", reason: `local-${why}`, values })];
}

function whyUnreachable(underlay: Underlay | undefined): string | undefined {
  if (!underlay) return "missing";
  if (!underlay.up) return "down";
  return underlay.carrier ? underlay.unusable : "no-carrier";
}

/** Addresses of the host on devices of a network. */
export function foreignAddresses(
  network: AgentNetwork,
  devices: readonly Link[],
  addresses: readonly HostAddress[],
): DeviceWarning[] {
  return devices.flatMap(({ ifindex, name }) => {
    const found = addresses.find((address) => address.ifindex === ifindex);
    const values = { device: name, ip: found?.ip ?? "" };
    return found ? [warning({ kind: "foreign-address", reason: "set", vni: network.vni, values }, network)] : [];
  });
}

/** Devices of others that take their frames from the bridge: frames for the host are dropped there, so these get none. */
export function devicesOnTop(network: AgentNetwork, bridge: Link, stacked: readonly Link[]): DeviceWarning[] {
  return stacked
    .filter(({ on }) => on === bridge.ifindex)
    .map(({ name }) => {
      const values = { device: name, bridge: bridge.name };
      return warning({ kind: "device-on-top", reason: "deaf", vni: network.vni, values }, network);
    });
}

/** The host does not let IPv6 be enabled on its tunnel. */
export function withoutIpv6(network: AgentNetwork, { name }: Link): DeviceWarning {
  return warning({ kind: "ipv6-disabled", reason: "refused", vni: network.vni, values: { device: name } }, network);
}

/** Programs at devices of a network that handle frames before the kernel forwards them. @param filtered the one that has filters of traffic control */
export function foreignPrograms(network: AgentNetwork, devices: readonly Link[], filtered?: Link): DeviceWarning[] {
  return devices.flatMap((device) => {
    const reason = programOf(device, device === filtered);
    const values = { device: device.name };
    return reason ? [warning({ kind: "foreign-program", reason, vni: network.vni, values }, network)] : [];
  });
}

/** What of other programs handles a device's frames, and may drop them. */
export function programOf({ xdp, queued }: Link, hasFilter: boolean): ForeignProgram | undefined {
  if (xdp) return "xdp";
  if (hasFilter) return "filter";
  return queued ? "queue" : undefined;
}

/** Guests' ports whose owner has set them so that they do not get or send what they must. */
export function blockedPorts(network: AgentNetwork, bridge: Link, ports: readonly Link[]): DeviceWarning[] {
  return ports.flatMap((port) => {
    const reason = whyBlocked(bridge, port);
    if (reason === undefined) return [];
    const values = { device: port.name, bridge: bridge.name };
    return [warning({ kind: "port-blocked", reason, vni: network.vni, values }, network)];
  });
}

/** The name of the first attribute that is wrong. A port that is down has no state to speak of. */
function whyBlocked(bridge: Link, { up, carrier, wrongPort = [] }: Link): string | undefined {
  const isUp = bridge.up && up && carrier;
  return wrongPort.find(({ attribute }) => isUp || attribute.name !== "state")?.attribute.name;
}

/** Entries of other programs on a tunnel that prevent misses. @param device its name */
export function hidingEntries(
  network: AgentNetwork,
  device: string,
  { floods, hidden, behindNexthops }: HiddenAddresses,
): DeviceWarning[] {
  const { vni } = network;
  const [ip] = hidden;
  if (floods) return [warning({ kind: "misses-hidden", reason: "flood", vni, values: { device } }, network)];
  const [mac] = behindNexthops;
  if (mac) {
    const values = { device, mac, count: String(behindNexthops.length) };
    return [warning({ kind: "misses-hidden", reason: "nexthops", vni, values }, network)];
  }
  const values = { device, ip: ip ?? "", count: String(hidden.length) };
  return ip ? [warning({ kind: "misses-hidden", reason: "neighbours", vni, values }, network)] : [];
}

/** @param underlay the link with the smallest MTU on the ways to other hosts, if it is known */
export function tooLargeMtu(network: AgentNetwork, { vtep }: LocalVtep, underlay: Hop | undefined): DeviceWarning[] {
  if (!underlay) return [];
  const most = underlay.mtu - overheadBytes[familyOf(vtep)];
  if (network.mtu <= most) return [];
  const numbers = { mtu: network.mtu, underlay: underlay.mtu, most, needed: network.mtu - most + underlay.mtu };
  const texts = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]));
  const values = { ...texts, device: underlay.device };
  return [warning({ kind: "mtu-too-large", reason: "underlay", vni: network.vni, values }, network)];
}

/** Other devices of the network's VNI. @param vxlan the one that the agent uses */
export function rivals(vxlans: readonly Link[], vxlan: Link, network: AgentNetwork, local: LocalVtep): DeviceWarning[] {
  const { vni } = network;
  return (
    vxlans
      // The list may be older than our own device, which is made anew for another port or family.
      .filter((link) => link.vxlan?.vni === vni && link.ifindex !== vxlan.ifindex && link.name !== vxlan.name)
      .map((rival) => {
        const reason = excludes(rival, vni, local) ? "excludes" : "receives";
        const values = { device: rival.name, vni: String(vni), used: vxlan.name };
        return warning({ kind: "second-device", reason, vni, values }, network);
      })
  );
}

function warning(facts: Omit<DeviceWarning, "says">, network?: AgentNetwork): DeviceWarning {
  return { ...facts, says: conditionSentence(facts, network?.name) };
}
