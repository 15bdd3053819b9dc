// Links, addresses and traffic control as bytes (include/uapi/linux/if_link.h, if_bridge.h, pkt_sched.h). No I/O.
import {
  familyOf,
  findIp,
  type IpAddress,
  ipToBytes,
  parseVni,
  type Vni,
  type VtepAddress,
} from "../../schema/index.ts";
import {
  type Attributes,
  attribute,
  be16,
  type NetlinkMessage,
  nested,
  parseAttributes,
  readBe16,
  readText,
  readU32,
  text,
  u8,
  u16,
  u32,
} from "./netlink-codec.ts";

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWQDISC = 36;
export const RTM_NEWTFILTER = 44;

const AF_BRIDGE = 7;
const AF_INET6 = 10;
const IFF_UP = 1;
const IFF_LOWER_UP = 0x1_0000;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_PROTINFO = 12;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_AF_SPEC = 26;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IFLA_BR_MCAST_SNOOPING = 23;
const IFLA_BR_NF_CALL_IPTABLES = 36;
const IFLA_BR_NF_CALL_IP6TABLES = 37;
const IFLA_BR_NF_CALL_ARPTABLES = 38;
const IFLA_BRPORT_LEARNING = 8;
const IFLA_BRPORT_UNICAST_FLOOD = 9;
const IFLA_VXLAN_ID = 1;
const IFLA_VXLAN_GROUP = 2;
const IFLA_VXLAN_LOCAL = 4;
const IFLA_VXLAN_LEARNING = 7;
const IFLA_VXLAN_PROXY = 11;
const IFLA_VXLAN_L2MISS = 13;
const IFLA_VXLAN_L3MISS = 14;
const IFLA_VXLAN_PORT = 15;
const IFLA_VXLAN_GROUP6 = 16;
const IFLA_VXLAN_LOCAL6 = 17;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

const ifinfomsgBytes = 16;
const ifaddrmsgBytes = 8;

/** What the agent needs to know of a vxlan device; all but `local` and `learning` cannot change on a live one. */
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
  /** What a device without a local address runs over, where that is IPv6. */
  readonly overIpv6?: boolean;
}

/** Which of the host's filters a bridge sends its frames through, by the name of the sysctl that does it for all bridges. */
export type BridgeFilter = "iptables" | "ip6tables" | "arptables";

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  /** "bridge", "vxlan", "veth", … ; undefined for hardware. */
  readonly kind?: string;
  readonly alias?: string;
  /** ifindex of the bridge that it is a port of. */
  readonly master?: number;
  /** As a port of a bridge: it learns what it hears. */
  readonly portLearning?: boolean;
  /** As a port of a bridge: it gets the unicast frames that the bridge knows no port for. */
  readonly portFlood?: boolean;
  /** Makes no IPv6 address of its own. */
  readonly addressless: boolean;
  /** Of a bridge: multicast snooping is on. */
  readonly snooping?: boolean;
  /** Of a bridge: it asks for these by itself, whatever the sysctls say. */
  readonly filters?: readonly BridgeFilter[];
  readonly vxlan?: VxlanSettings;
}

export function decodeLink({ type, payload }: NetlinkMessage): Link | undefined {
  if (type !== RTM_NEWLINK || payload.length < ifinfomsgBytes) return undefined;
  // A bridge tells of its ports in messages of its own: "gone" means gone from the bridge there.
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
  return {
    ifindex: payload.readInt32LE(4),
    name,
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    carrier: (payload.readUInt32LE(8) & IFF_LOWER_UP) !== 0,
    mtu: readU32(attributes.get(IFLA_MTU)) ?? 0,
    addressless: addressModeOf(attributes) === IN6_ADDR_GEN_MODE_NONE,
    ...(kind === undefined ? {} : { kind }),
    ...(alias === undefined ? {} : { alias }),
    ...(master === undefined ? {} : { master }),
    ...(isBridgePort
      ? {
          portLearning: port.get(IFLA_BRPORT_LEARNING)?.[0] === 1,
          portFlood: port.get(IFLA_BRPORT_UNICAST_FLOOD)?.[0] === 1,
        }
      : {}),
    ...(kind === "bridge" ? { snooping: data.get(IFLA_BR_MCAST_SNOOPING)?.[0] === 1, filters: filtersOf(data) } : {}),
    ...(vxlan === undefined ? {} : { vxlan }),
  };
}

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
}

export function decodeAddress({ type, payload }: NetlinkMessage): HostAddress | undefined {
  if ((type !== RTM_NEWADDR && type !== RTM_DELADDR) || payload.length < ifaddrmsgBytes) return undefined;
  const attributes = parseAttributes(payload.subarray(ifaddrmsgBytes));
  // On point-to-point links IFA_ADDRESS is the peer's.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const ip = bytes && findIp(bytes);
  return ip && { ifindex: payload.readUInt32LE(4), ip };
}

interface LinkHead {
  readonly family?: number;
  /** 0: the link is named by IFLA_IFNAME. */
  readonly ifindex?: number;
  readonly up?: boolean;
}

function ifinfomsg({ family = 0, ifindex = 0, up = false }: LinkHead, ...attributes: Buffer[]): Buffer {
  const head = Buffer.alloc(ifinfomsgBytes);
  head.writeUInt8(family, 0);
  head.writeInt32LE(ifindex, 4);
  head.writeUInt32LE(up ? IFF_UP : 0, 8);
  head.writeUInt32LE(up ? IFF_UP : 0, 12);
  return Buffer.concat([head, ...attributes]);
}

function linkInfo(kind: string, ...data: Buffer[]): Buffer {
  return nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, text(kind)), nested(IFLA_INFO_DATA, ...data));
}

/** All links of the namespace, or a bridge's ports alone. */
export function encodeLinkDump(bridgeIfindex?: number): Buffer {
  return bridgeIfindex === undefined ? ifinfomsg({}) : ifinfomsg({}, attribute(IFLA_MASTER, u32(bridgeIfindex)));
}

/** All links of a kind. */
export function encodeLinkDumpOfKind(kind: string): Buffer {
  return ifinfomsg({}, nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, text(kind))));
}

/** One link, by its name or its index. */
export function encodeLinkGet(which: { readonly name: string } | { readonly ifindex: number }): Buffer {
  return "name" in which ? ifinfomsg({}, attribute(IFLA_IFNAME, text(which.name))) : ifinfomsg(which);
}

/** All addresses of the namespace. */
export const encodeAddressDump = (): Buffer => Buffer.alloc(ifaddrmsgBytes);

/**
 * A bridge without multicast snooping: otherwise one MLD query of a guest stops neighbour solicitations on their way
 * to the tunnel. Its MAC is set, because it would follow its lowest port's.
 */
export function encodeBridge(name: string, mac: Buffer): Buffer {
  return ifinfomsg(
    {},
    attribute(IFLA_IFNAME, text(name)),
    attribute(IFLA_ADDRESS, mac),
    linkInfo("bridge", attribute(IFLA_BR_MCAST_SNOOPING, u8(0))),
  );
}

export interface VxlanDevice {
  readonly name: string;
  readonly vni: Vni;
  readonly local: VtepAddress;
  readonly port: number;
  readonly mtu: number;
}

export function encodeVxlan({ name, vni, local, port, mtu }: VxlanDevice): Buffer {
  return ifinfomsg(
    {},
    attribute(IFLA_IFNAME, text(name)),
    attribute(IFLA_MTU, u32(mtu)),
    linkInfo(
      "vxlan",
      attribute(IFLA_VXLAN_ID, u32(vni)),
      encodeLocal(local),
      attribute(IFLA_VXLAN_PORT, be16(port)),
      attribute(IFLA_VXLAN_LEARNING, u8(0)),
      attribute(IFLA_VXLAN_PROXY, u8(1)),
      attribute(IFLA_VXLAN_L2MISS, u8(1)),
      attribute(IFLA_VXLAN_L3MISS, u8(1)),
    ),
  );
}

function encodeLocal(local: VtepAddress): Buffer {
  return attribute(familyOf(local) === 4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, ipToBytes(local));
}

/** What may change on a live vxlan device: its VTEP within the address family, and learning, which must be off. */
export function encodeVxlanChange(ifindex: number, local: VtepAddress): Buffer {
  return ifinfomsg({ ifindex }, linkInfo("vxlan", encodeLocal(local), attribute(IFLA_VXLAN_LEARNING, u8(0))));
}

/** Apart from vxlan settings: with both in one request the kernel refuses ("Cannot change mtu"). */
export function encodeMtu(ifindex: number, mtu: number): Buffer {
  return ifinfomsg({ ifindex }, attribute(IFLA_MTU, u32(mtu)));
}

/** An alias ("" takes it away). */
export const encodeAlias = (ifindex: number, alias: string): Buffer =>
  ifinfomsg({ ifindex }, attribute(IFLA_IFALIAS, alias === "" ? Buffer.alloc(0) : text(alias)));

/** Alias where one is given, and no automatic addresses: the host's own duplicate address detection would raise misses. */
export function encodeLinkSettings(ifindex: number, alias?: string): Buffer {
  return ifinfomsg(
    { ifindex },
    ...(alias === undefined ? [] : [attribute(IFLA_IFALIAS, text(alias))]),
    nested(IFLA_AF_SPEC, nested(AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, u8(IN6_ADDR_GEN_MODE_NONE)))),
  );
}

export const encodeRename = (ifindex: number, name: string): Buffer =>
  ifinfomsg({ ifindex }, attribute(IFLA_IFNAME, text(name)));
/** As a port of a bridge; master 0: of none. */
export const encodeMaster = (ifindex: number, master: number): Buffer =>
  ifinfomsg({ ifindex }, attribute(IFLA_MASTER, u32(master)));
export function encodeSnoopingOff(ifindex: number): Buffer {
  return ifinfomsg({ ifindex }, linkInfo("bridge", attribute(IFLA_BR_MCAST_SNOOPING, u8(0))));
}
export const encodeLinkUp = (ifindex: number): Buffer => ifinfomsg({ ifindex, up: true });
export const encodeLinkDelete = (ifindex: number): Buffer => ifinfomsg({ ifindex });

/** What a bridge does with a port of its; what is absent stays. */
export interface PortSettings {
  readonly learning?: boolean;
  readonly flood?: boolean;
}

/** For RTM_SETLINK only; RTM_NEWLINK acknowledges it and does nothing. */
export function encodePortSettings(ifindex: number, { learning, flood }: PortSettings): Buffer {
  return ifinfomsg(
    { family: AF_BRIDGE, ifindex },
    nested(
      IFLA_PROTINFO,
      ...(learning === undefined ? [] : [attribute(IFLA_BRPORT_LEARNING, u8(learning ? 1 : 0))]),
      ...(flood === undefined ? [] : [attribute(IFLA_BRPORT_UNICAST_FLOOD, u8(flood ? 1 : 0))]),
    ),
  );
}

export interface PortOfBridge {
  readonly ifindex: number;
  readonly bridgeIfindex: number;
}

/**
 * The port that a bridge tells of in a message of its own: what it does with the port has changed. Undefined for others.
 * Source: br_ifinfo_notify() in net/bridge/br_netlink.c.
 */
export function decodePortChange({ type, payload }: NetlinkMessage): PortOfBridge | undefined {
  if (type !== RTM_NEWLINK || payload.length < ifinfomsgBytes || payload.readUInt8(0) !== AF_BRIDGE) return undefined;
  const bridgeIfindex = readU32(parseAttributes(payload.subarray(ifinfomsgBytes)).get(IFLA_MASTER));
  return bridgeIfindex === undefined ? undefined : { ifindex: payload.readInt32LE(4), bridgeIfindex };
}

const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_OPS_LEN = 4;
const TCA_BPF_OPS = 5;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const TC_H_CLSACT = 0xffff_fff1;
const TC_H_CLSACT_HANDLE = 0xffff_0000;
const TC_H_CLSACT_INGRESS = 0xffff_fff2;
const TC_ACT_SHOT = 2;
const ETH_P_ALL_BE = 0x0300;
const BPF_RET_K = 0x06;

function tcmsg(ifindex: number, handle: number, parent: number, info: number, ...attributes: Buffer[]): Buffer {
  const head = Buffer.alloc(20);
  head.writeInt32LE(ifindex, 4);
  head.writeUInt32LE(handle, 8);
  head.writeUInt32LE(parent, 12);
  head.writeUInt32LE(info, 16);
  return Buffer.concat([head, ...attributes]);
}

export function encodeClsact(ifindex: number): Buffer {
  return tcmsg(ifindex, TC_H_CLSACT_HANDLE, TC_H_CLSACT, 0, attribute(TCA_KIND, text("clsact")));
}

/**
 * Drops everything that a device would deliver up to its host (classic BPF: return TC_ACT_SHOT). On a bridge that is
 * what guests address to the host itself; bridging and packet sockets go on.
 */
export function encodeDropDeliveredUp(ifindex: number): Buffer {
  const program = Buffer.alloc(8);
  program.writeUInt16LE(BPF_RET_K, 0);
  program.writeUInt32LE(TC_ACT_SHOT, 4);
  const preference = 1;
  return tcmsg(
    ifindex,
    1,
    TC_H_CLSACT_INGRESS,
    ((preference << 16) | ETH_P_ALL_BE) >>> 0,
    attribute(TCA_KIND, text("bpf")),
    nested(
      TCA_OPTIONS,
      attribute(TCA_BPF_OPS_LEN, u16(1)),
      attribute(TCA_BPF_OPS, program),
      attribute(TCA_BPF_FLAGS, u32(TCA_BPF_FLAG_ACT_DIRECT)),
    ),
  );
}
