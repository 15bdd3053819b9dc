// Encodes requests to the kernel about links and addresses. No I/O; link-codec.ts decodes its messages.
import { familyOf, ipToBytes, type Vni, type VtepAddress } from "../../../schema/address/index.ts";
import { bridgeAttributes, closedPort, encodeWanted, type ForwardingAttribute } from "./forwarding-attributes.ts";
import {
  AF_BRIDGE,
  AF_INET6,
  IFF_NOARP,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BRPORT_FLUSH,
  IFLA_BRPORT_LEARNING,
  IFLA_BRPORT_UNICAST_FLOOD,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_PROTINFO,
  IFLA_PROTO_DOWN,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_L2MISS,
  IFLA_VXLAN_L3MISS,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  IFLA_VXLAN_PROXY,
  IN6_ADDR_GEN_MODE_NONE,
  ifaddrmsgBytes,
  ifinfomsgBytes,
} from "./link-numbers.ts";
import { attribute, be16, nested, text, u8, u32 } from "./netlink-codec.ts";

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

/** Kernels ignore settings that they do not know. Its MAC is set, because it would follow its lowest port's. */
export function encodeBridge(name: string, mac: Buffer): Buffer {
  return ifinfomsg(
    {},
    attribute(IFLA_IFNAME, text(name)),
    attribute(IFLA_ADDRESS, mac),
    linkInfo("bridge", ...bridgeAttributes.filter(({ isDefault }) => !isDefault).map(encodeWanted)),
  );
}

export function encodeBridgeSettings(ifindex: number, wanted: readonly ForwardingAttribute[]): Buffer {
  return ifinfomsg({ ifindex }, linkInfo("bridge", ...wanted.map(encodeWanted)));
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

/** The settings that can change on a live vxlan device: its VTEP within the address family, and learning, which must be off. */
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
/** For RTM_SETLINK, as `encodePortSettings`. */
export function encodePortAttributes(ifindex: number, wanted: readonly ForwardingAttribute[]): Buffer {
  return ifinfomsg({ family: AF_BRIDGE, ifindex }, nested(IFLA_PROTINFO, ...wanted.map(encodeWanted)));
}

export function encodeArpOn(ifindex: number): Buffer {
  const body = ifinfomsg({ ifindex });
  body.writeUInt32LE(IFF_NOARP, 12);
  return body;
}
/** Not down by a protocol of another program. Not for bridges. */
export const encodeProtocolUp = (ifindex: number): Buffer => ifinfomsg({ ifindex }, attribute(IFLA_PROTO_DOWN, u8(0)));

export const encodeLinkUp = (ifindex: number): Buffer => ifinfomsg({ ifindex, up: true });
export const encodeLinkDelete = (ifindex: number): Buffer => ifinfomsg({ ifindex });

/** A bridge's settings of a port; absent ones stay. */
export interface PortSettings {
  readonly learning?: boolean;
  readonly flood?: boolean;
  /** Frames for the reserved groups stay on the bridge, see reserved-groups.ts. */
  readonly closed?: true;
  /** Deletes the addresses that were learned on it. */
  readonly flush?: true;
}

/** For RTM_SETLINK only; RTM_NEWLINK acknowledges it and does nothing. */
export function encodePortSettings(ifindex: number, { learning, flood, closed, flush }: PortSettings): Buffer {
  return ifinfomsg(
    { family: AF_BRIDGE, ifindex },
    nested(
      IFLA_PROTINFO,
      ...(learning === undefined ? [] : [attribute(IFLA_BRPORT_LEARNING, u8(learning ? 1 : 0))]),
      ...(flood === undefined ? [] : [attribute(IFLA_BRPORT_UNICAST_FLOOD, u8(flood ? 1 : 0))]),
      ...(flush ? [attribute(IFLA_BRPORT_FLUSH, Buffer.alloc(0))] : []),
      ...(closed ? [encodeWanted(closedPort)] : []),
    ),
  );
}
