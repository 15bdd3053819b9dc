// Decodes the kernel's messages about links and addresses. No I/O; link-requests.ts has the requests.
import { findIp, type IpAddress, parseVni, type Vni } from "../../../schema/address/index.ts";
import {
  bridgeAttributes,
  closedPort,
  findWrong,
  guestPortAttributes,
  tunnelPortAttributes,
  type WrongAttribute,
} from "./forwarding-attributes.ts";
import {
  AF_BRIDGE,
  AF_INET6,
  IFA_ADDRESS,
  IFA_F_DADFAILED,
  IFA_F_OPTIMISTIC,
  IFA_F_TENTATIVE,
  IFA_FLAGS,
  IFA_LOCAL,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_NOARP,
  IFF_UP,
  IFLA_AF_SPEC,
  IFLA_BR_FDB_MAX_LEARNED,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BR_NF_CALL_ARPTABLES,
  IFLA_BR_NF_CALL_IP6TABLES,
  IFLA_BR_NF_CALL_IPTABLES,
  IFLA_BRPORT_LEARNING,
  IFLA_BRPORT_UNICAST_FLOOD,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_PROTO_DOWN,
  IFLA_QDISC,
  IFLA_VXLAN_GROUP,
  IFLA_VXLAN_GROUP6,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_L2MISS,
  IFLA_VXLAN_L3MISS,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  IFLA_VXLAN_PROXY,
  IFLA_XDP,
  IFLA_XDP_ATTACHED,
  IN6_ADDR_GEN_MODE_NONE,
  ifaddrmsgBytes,
  ifinfomsgBytes,
  RTM_DELADDR,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from "./link-numbers.ts";
import { type Attributes, type NetlinkMessage, parseAttributes, readBe16, readText, readU32 } from "./netlink-codec.ts";

/** The attributes of a vxlan device that the agent needs; only `local` and `learning` can change on a live one. */
export interface VxlanSettings {
  readonly vni: Vni;
  readonly local?: IpAddress;
  readonly port: number;
  readonly learning: boolean;
  readonly proxy: boolean;
  readonly l2miss: boolean;
  readonly l3miss: boolean;
  /** A default destination: the kernel makes an all-zeros FDB entry of it. */
  readonly hasRemote?: boolean;
  /** The underlay of a device without a local address, if that is IPv6. */
  readonly overIpv6?: boolean;
}

/** The host's filters that a bridge sends its frames through, by the name of the sysctl that does so for all bridges. */
export type BridgeFilter = "iptables" | "ip6tables" | "arptables";

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  /** Its MTU says nothing of the links that packets take. */
  readonly loopback?: true;
  /** "bridge", "vxlan", "veth", … ; undefined for hardware. */
  readonly kind?: string;
  readonly alias?: string;
  /** ifindex of the bridge that it is a port of. */
  readonly master?: number;
  /** ifindex of the device of this namespace that it takes its frames from. */
  readonly on?: number;
  /** As a port of a bridge: it learns source addresses. */
  readonly portLearning?: boolean;
  /** As a port of a bridge: the bridge floods unknown unicast to it. */
  readonly portFlood?: boolean;
  /** As a port of a bridge: it delivers frames of reserved groups to its own stack (reserved-groups.ts). */
  readonly portOpen?: true;
  /** As a port of a bridge: what keeps it from forwarding as a tunnel, or as a guest's port, must. */
  readonly wrongPort?: readonly WrongAttribute[];
  /** It sends and answers no ARP; the kernel erases the neighbours of a tunnel. */
  readonly noArp?: true;
  /** A program has set it down although it is up. */
  readonly protoDown?: true;
  /** An XDP program handles its frames. */
  readonly xdp?: true;
  /** Of a tunnel, which has none by itself: a queueing discipline handles what leaves it. */
  readonly queued?: true;
  /** Has no automatic IPv6 address. */
  readonly addressless: boolean;
  /** Of a bridge: multicast snooping is on. */
  readonly snooping?: boolean;
  /** Of a bridge: what keeps it from forwarding as a bridge of ours must. */
  readonly wrongBridge?: readonly WrongAttribute[];
  /** Of a bridge: MAC addresses that it learns from frames at most, 0 for any number; undefined where the kernel knows no limit (before 6.8). */
  readonly maxLearned?: number;
  /** Of a bridge: it enables these filters itself, independent of the sysctls. */
  readonly filters?: readonly BridgeFilter[];
  readonly vxlan?: VxlanSettings;
}

export function decodeLink({ type, payload }: NetlinkMessage): Link | undefined {
  if (type !== RTM_NEWLINK || payload.length < ifinfomsgBytes) return undefined;
  // A bridge sends separate messages about its ports: "gone" there means that the port left the bridge.
  if (payload.readUInt8(0) === AF_BRIDGE) return undefined;
  const attributes = parseAttributes(payload.subarray(ifinfomsgBytes));
  const name = readText(attributes.get(IFLA_IFNAME));
  if (name === undefined) return undefined;
  const info = parseAttributes(attributes.get(IFLA_LINKINFO) ?? Buffer.alloc(0));
  const kind = readText(info.get(IFLA_INFO_KIND));
  const alias = readText(attributes.get(IFLA_IFALIAS));
  const master = readU32(attributes.get(IFLA_MASTER));
  const data = parseAttributes(info.get(IFLA_INFO_DATA) ?? Buffer.alloc(0));
  const vxlan = kind === "vxlan" ? decodeVxlan(data) : undefined;
  const isBridgePort = readText(info.get(IFLA_INFO_SLAVE_KIND)) === "bridge";
  const port = parseAttributes(info.get(IFLA_INFO_SLAVE_DATA) ?? Buffer.alloc(0));
  const xdp = parseAttributes(attributes.get(IFLA_XDP) ?? Buffer.alloc(0));
  return {
    ifindex: payload.readInt32LE(4),
    name,
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    carrier: (payload.readUInt32LE(8) & IFF_LOWER_UP) !== 0,
    mtu: readU32(attributes.get(IFLA_MTU)) ?? 0,
    addressless: addressModeOf(attributes) === IN6_ADDR_GEN_MODE_NONE,
    ...((payload.readUInt32LE(8) & IFF_LOOPBACK) === 0 ? {} : { loopback: true }),
    ...((payload.readUInt32LE(8) & IFF_NOARP) === 0 ? {} : { noArp: true }),
    ...(attributes.get(IFLA_PROTO_DOWN)?.[0] ? { protoDown: true } : {}),
    ...(xdp.get(IFLA_XDP_ATTACHED)?.[0] ? { xdp: true } : {}),
    ...(kind === "vxlan" && isQueued(readText(attributes.get(IFLA_QDISC))) ? { queued: true } : {}),
    ...(kind === undefined ? {} : { kind }),
    ...(alias === undefined ? {} : { alias }),
    ...(master === undefined ? {} : { master }),
    ...decodeBelow(kind, attributes),
    ...(isBridgePort
      ? {
          portLearning: port.get(IFLA_BRPORT_LEARNING)?.[0] === 1,
          portFlood: port.get(IFLA_BRPORT_UNICAST_FLOOD)?.[0] === 1,
          ...(findWrong([closedPort], port).length > 0 ? { portOpen: true as const } : {}),
          ...some("wrongPort", findWrong(kind === "vxlan" ? tunnelPortAttributes : guestPortAttributes, port)),
        }
      : {}),
    ...(kind === "bridge" ? decodeBridge(data) : {}),
    ...(vxlan === undefined ? {} : { vxlan }),
  };
}

const stackedKinds: readonly string[] = ["macvlan", "macvtap", "ipvlan", "ipvtap", "vlan"];

function decodeBelow(kind: string | undefined, attributes: Attributes): Pick<Link, "on"> {
  const on = readU32(attributes.get(IFLA_LINK));
  const isHere = kind !== undefined && stackedKinds.includes(kind) && !attributes.has(IFLA_LINK_NETNSID);
  return isHere && on ? { on } : {};
}

/** "noop": it was never up. */
const isQueued = (qdisc = "noqueue"): boolean => qdisc !== "noqueue" && qdisc !== "noop";

function decodeBridge(data: Attributes): Pick<Link, "snooping" | "wrongBridge" | "maxLearned" | "filters"> {
  const maxLearned = readU32(data.get(IFLA_BR_FDB_MAX_LEARNED));
  return {
    snooping: data.get(IFLA_BR_MCAST_SNOOPING)?.[0] === 1,
    ...some("wrongBridge", findWrong(bridgeAttributes, data)),
    ...(maxLearned === undefined ? {} : { maxLearned }),
    filters: filtersOf(data),
  };
}

const some = <Key extends string>(key: Key, wrong: readonly WrongAttribute[]): { [key in Key]?: typeof wrong } =>
  wrong.length === 0 ? {} : ({ [key]: wrong } as { [key in Key]: typeof wrong });

function filtersOf(data: Attributes): BridgeFilter[] {
  const attributes = [
    [IFLA_BR_NF_CALL_IPTABLES, "iptables"],
    [IFLA_BR_NF_CALL_IP6TABLES, "ip6tables"],
    [IFLA_BR_NF_CALL_ARPTABLES, "arptables"],
  ] as const;
  return attributes.flatMap(([type, name]) => (data.get(type)?.[0] === 1 ? [name] : []));
}

function addressModeOf(attributes: Attributes): number | undefined {
  const families = parseAttributes(attributes.get(IFLA_AF_SPEC) ?? Buffer.alloc(0));
  const inet6 = parseAttributes(families.get(AF_INET6) ?? Buffer.alloc(0));
  return inet6.get(IFLA_INET6_ADDR_GEN_MODE)?.[0];
}

function decodeVxlan(data: Attributes): VxlanSettings | undefined {
  const id = readU32(data.get(IFLA_VXLAN_ID));
  const port = readBe16(data.get(IFLA_VXLAN_PORT));
  // `external` devices have VNI 0 and no misses of their own.
  if (id === undefined || id < 1 || id > 0xff_ffff || port === undefined) return undefined;
  const localBytes = data.get(IFLA_VXLAN_LOCAL) ?? data.get(IFLA_VXLAN_LOCAL6);
  const local = localBytes && findIp(localBytes);
  const flag = (type: number): boolean => data.get(type)?.[0] === 1;
  return {
    vni: parseVni(id),
    ...(local ? { local } : {}),
    port,
    learning: flag(IFLA_VXLAN_LEARNING),
    proxy: flag(IFLA_VXLAN_PROXY),
    l2miss: flag(IFLA_VXLAN_L2MISS),
    l3miss: flag(IFLA_VXLAN_L3MISS),
    ...(data.has(IFLA_VXLAN_GROUP) || data.has(IFLA_VXLAN_GROUP6) ? { hasRemote: true } : {}),
    ...(data.has(IFLA_VXLAN_GROUP6) ? { overIpv6: true } : {}),
  };
}

/** An address of the host and the link that carries it. */
export interface HostAddress {
  readonly ifindex: number;
  readonly ip: IpAddress;
  /** The kernel lists it, and does not use it (RFC 4862 §5.4): not yet, while it looks for a duplicate, or because it has found one. */
  readonly unusable?: "tentative" | "duplicate";
}

export function decodeAddress({ type, payload }: NetlinkMessage): HostAddress | undefined {
  if ((type !== RTM_NEWADDR && type !== RTM_DELADDR) || payload.length < ifaddrmsgBytes) return undefined;
  const attributes = parseAttributes(payload.subarray(ifaddrmsgBytes));
  // On point-to-point links IFA_ADDRESS is the peer's.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const ip = bytes && findIp(bytes);
  const flags = readU32(attributes.get(IFA_FLAGS)) ?? payload.readUInt8(2);
  const unusable = unusableBy(flags);
  return ip && { ifindex: payload.readUInt32LE(4), ip, ...(unusable ? { unusable } : {}) };
}

function unusableBy(flags: number): HostAddress["unusable"] {
  if ((flags & IFA_F_DADFAILED) !== 0) return "duplicate";
  return (flags & IFA_F_TENTATIVE) !== 0 && (flags & IFA_F_OPTIMISTIC) === 0 ? "tentative" : undefined;
}

export interface PortOfBridge {
  readonly ifindex: number;
  readonly bridgeIfindex: number;
}

/**
 * The port in a bridge's own message: the bridge's settings of the port have changed. Undefined for other messages.
 * Source: br_ifinfo_notify() in net/bridge/br_netlink.c.
 */
export function decodePortChange({ type, payload }: NetlinkMessage): PortOfBridge | undefined {
  if (type !== RTM_NEWLINK || payload.length < ifinfomsgBytes || payload.readUInt8(0) !== AF_BRIDGE) return undefined;
  const bridgeIfindex = readU32(parseAttributes(payload.subarray(ifinfomsgBytes)).get(IFLA_MASTER));
  return bridgeIfindex === undefined ? undefined : { ifindex: payload.readInt32LE(4), bridgeIfindex };
}
