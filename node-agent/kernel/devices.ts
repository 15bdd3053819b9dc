// The devices of a network on this host: bridge nmb<vni> for the guests' ports, and vxlan nmv<vni> as one of its ports.
// Made and kept as the kernel needs them; what carries these names without our alias is somebody's and stays untouched.
import { randomBytes } from "node:crypto";
import { type AgentNetwork, familyOf, type Vni, type VtepAddress } from "../../schema/index.ts";
import {
  decodeAddress,
  decodeLink,
  encodeAddressDump,
  encodeBridge,
  encodeClsact,
  encodeDropDeliveredUp,
  encodeLinkDelete,
  encodeLinkDump,
  encodeLinkSettings,
  encodeLinkUp,
  encodeMtu,
  encodePortLearningOff,
  encodeVxlan,
  encodeVxlanLocal,
  type Link,
  RTM_DELLINK,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  RTM_SETLINK,
} from "./link-codec.ts";
import type { EntryDevice } from "./neighbour-codec.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./netlink-codec.ts";
import { NetlinkError, type RequestSocket } from "./request-socket.ts";

/** What VXLAN adds to a guest's frame, in bytes of the underlay's MTU: inner Ethernet, VXLAN, UDP, outer IP. */
const overheadBytes = { 4: 50, 6: 70 } as const;
const aliasPrefix = "nearmiss ";
const ENODEV = 19;
const EEXIST = 17;

export const bridgeName = (vni: Vni): string => `nmb${vni}`;
export const vxlanName = (vni: Vni): string => `nmv${vni}`;

/** This host's tunnel end. */
export interface LocalVtep {
  readonly vtep: VtepAddress;
  readonly vtepPort: number;
}

/** A device that is in the way, and what mends it. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
}

export class NetworkDevices {
  private readonly byVni = new Map<Vni, EntryDevice>();
  private readonly byIfindex = new Map<number, Vni>();

  constructor(private readonly socket: RequestSocket) {}

  readonly deviceOf = (vni: Vni): EntryDevice | undefined => this.byVni.get(vni);
  readonly vniOf = (ifindex: number): Vni | undefined => this.byIfindex.get(ifindex);

  vnis(): Vni[] {
    return [...this.byVni.keys()];
  }

  /** Takes over what an earlier run of the agent left: its devices, with the entries on them. */
  async takeOver(): Promise<Vni[]> {
    for (const link of await this.links()) {
      if (link.vxlan && isOurs(link) && link.name === vxlanName(link.vxlan.vni)) this.remember(link, link.master ?? 0);
    }
    return this.vnis();
  }

  /**
   * Makes what is missing and sets what differs. Idempotent.
   * @returns what an operator should mend, though the network works
   * @throws DeviceError for a foreign device in the way, NetlinkError where the kernel refuses
   */
  async ensure(network: AgentNetwork, local: LocalVtep): Promise<string[]> {
    const underlay = await this.underlayOf(local.vtep);
    const mtu = underlay?.mtu ?? 1_500;
    const bridge = await this.ensureBridge(network);
    const vxlan = await this.ensureVxlan(network, local, mtu);
    await this.set(vxlan.name, encodeLinkSettings(vxlan.ifindex, aliasPrefix + network.name, bridge.ifindex));
    await this.set(vxlan.name, encodePortLearningOff(vxlan.ifindex), RTM_SETLINK);
    // Bridge last: until it is up no guest's frame reaches a tunnel that is half set up.
    await this.set(vxlan.name, encodeLinkUp(vxlan.ifindex));
    await this.set(bridge.name, encodeLinkUp(bridge.ifindex));
    this.remember(vxlan, bridge.ifindex);
    return [...missingVtep(local, underlay), ...tooLargeMtu(network, local, mtu)];
  }

  /** Deletes both devices of a network, with the entries on them; a bridge that still has a guest's port stays. */
  async remove(vni: Vni): Promise<void> {
    this.forget(vni);
    const links = await this.links();
    const bridge = links.find((link) => link.name === bridgeName(vni) && isOurs(link));
    const vxlan = links.find((link) => link.name === vxlanName(vni) && isOurs(link));
    if (vxlan) await this.delete(vxlan);
    const hasGuests = links.some((link) => link.master === bridge?.ifindex && link.ifindex !== vxlan?.ifindex);
    if (bridge && !hasGuests) await this.delete(bridge);
  }

  private async ensureBridge(network: AgentNetwork): Promise<Link> {
    const name = bridgeName(network.vni);
    let link = await this.findLink(name);
    if (link && !mayTake(link, "bridge")) throw inTheWay(link, network);
    if (!link) {
      await this.create(name, encodeBridge(name, localMac()));
      link = await this.getLink(name);
    }
    await this.set(name, encodeLinkSettings(link.ifindex, aliasPrefix + network.name));
    await this.dropDeliveredUp(link);
    return link;
  }

  private async ensureVxlan(network: AgentNetwork, local: LocalVtep, mtu: number): Promise<Link> {
    const { vni } = network;
    const name = vxlanName(vni);
    const present = await this.findLink(name);
    if (present && !mayTake(present, "vxlan")) throw inTheWay(present, network);
    if (present && fits(present, vni, local)) {
      await this.set(name, encodeVxlanLocal(present.ifindex, local.vtep));
      await this.set(name, encodeMtu(present.ifindex, mtu));
      return present;
    }
    // Ours, but with settings that the kernel cannot change on a live device.
    if (present) await this.delete(present);
    await this.create(name, encodeVxlan({ name, vni, local: local.vtep, port: local.vtepPort, mtu }));
    return this.getLink(name);
  }

  private async dropDeliveredUp(bridge: Link): Promise<void> {
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    const results = await this.socket.send([
      { type: RTM_NEWQDISC, flags, payload: encodeClsact(bridge.ifindex) },
      { type: RTM_NEWTFILTER, flags, payload: encodeDropDeliveredUp(bridge.ifindex) },
    ]);
    for (const result of results) {
      if (result.errno !== 0 && result.errno !== EEXIST) {
        throw new NetlinkError(`closing ${bridge.name} towards the host`, result);
      }
    }
  }

  private async underlayOf(vtep: VtepAddress): Promise<Link | undefined> {
    const messages = await this.socket.dump("list addresses", RTM_GETADDR, encodeAddressDump());
    const address = messages.map(decodeAddress).find((each) => each?.ip === vtep);
    return address && (await this.links()).find((link) => link.ifindex === address.ifindex);
  }

  private async links(): Promise<Link[]> {
    const messages = await this.socket.dump("list links", RTM_GETLINK, encodeLinkDump());
    return messages.flatMap((message) => decodeLink(message) ?? []);
  }

  private async findLink(name: string): Promise<Link | undefined> {
    return (await this.links()).find((link) => link.name === name);
  }

  private async getLink(name: string): Promise<Link> {
    const link = await this.findLink(name);
    if (!link) throw new DeviceError(`${name} vanished while it was set up`);
    return link;
  }

  private create(name: string, payload: Buffer): Promise<void> {
    return this.socket.request(`creating ${name}`, { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, payload });
  }

  private set(name: string, payload: Buffer, type = RTM_NEWLINK): Promise<void> {
    return this.socket.request(`setting up ${name}`, { type, flags: 0, payload });
  }

  private async delete(link: Link): Promise<void> {
    const [result] = await this.socket.send([{ type: RTM_DELLINK, flags: 0, payload: encodeLinkDelete(link.ifindex) }]);
    if (result && result.errno !== 0 && result.errno !== ENODEV) {
      throw new NetlinkError(`deleting ${link.name}`, result);
    }
  }

  private remember(link: Link, bridgeIfindex: number): void {
    if (!link.vxlan) return;
    const { vni, port } = link.vxlan;
    this.forget(vni);
    this.byVni.set(vni, { ifindex: link.ifindex, bridgeIfindex, vni, vtepPort: port });
    this.byIfindex.set(link.ifindex, vni);
  }

  private forget(vni: Vni): void {
    const device = this.byVni.get(vni);
    if (!device) return;
    this.byVni.delete(vni);
    this.byIfindex.delete(device.ifindex);
  }
}

function isOurs(link: Link): boolean {
  return link.alias?.startsWith(aliasPrefix) ?? false;
}

/** A device of ours, or one that an agent was killed over before it could put its alias on it. */
function mayTake(link: Link, kind: string): boolean {
  return link.kind === kind && (isOurs(link) || (link.alias === undefined && !link.up));
}

/** Whether everything that cannot change on a live vxlan device is as it must be. */
function fits({ vxlan }: Link, vni: Vni, { vtep, vtepPort }: LocalVtep): boolean {
  if (!vxlan?.local || vxlan.vni !== vni || vxlan.port !== vtepPort) return false;
  return vxlan.proxy && vxlan.l2miss && vxlan.l3miss && familyOf(vxlan.local) === familyOf(vtep);
}

function inTheWay(link: Link, network: AgentNetwork): DeviceError {
  return new DeviceError(
    `network ${network.name} needs the name ${link.name}, which a device that is not nearmiss's has: ` +
      `rename it (ip link set ${link.name} name …) or delete it (ip link del ${link.name})`,
  );
}

function missingVtep({ vtep }: LocalVtep, underlay: Link | undefined): string[] {
  if (underlay) return [];
  return [`no interface of this host has the VTEP address ${vtep}: nothing sent to it arrives`];
}

function tooLargeMtu(network: AgentNetwork, { vtep }: LocalVtep, underlayMtu: number): string[] {
  const most = underlayMtu - overheadBytes[familyOf(vtep)];
  if (network.mtu <= most) return [];
  return [
    `network ${network.name}: MTU ${network.mtu} does not fit the underlay's ${underlayMtu}; ` +
      `set the network's MTU to ${most} or less, or raise the underlay's to ${network.mtu - most + underlayMtu}`,
  ];
}

/** A random locally administered unicast address (IEEE 802, U/L bit). */
function localMac(): Buffer {
  const bytes = randomBytes(6);
  bytes[0] = 0x02;
  return bytes;
}
