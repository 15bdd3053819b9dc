// The devices of a network on this host: bridge nmb<vni> for the guests' ports, and vxlan nmv<vni> as one of its ports.
// Made and kept as the kernel needs them; what carries these names without our alias is somebody's and stays untouched.
import { randomBytes } from "node:crypto";
import { type AgentNetwork, familyOf, maxVni, parseVni, type Vni, type VtepAddress } from "../../schema/index.ts";
import {
  encodeBridge,
  encodeClsact,
  encodeDropDeliveredUp,
  encodeLinkSettings,
  encodeLinkUp,
  encodeMaster,
  encodeMtu,
  encodePortLearningOff,
  encodeRename,
  encodeSnoopingOff,
  encodeVxlan,
  encodeVxlanChange,
  type Link,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  RTM_SETLINK,
} from "./link-codec.ts";
import { Links } from "./links.ts";
import type { EntryDevice } from "./neighbour-codec.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./netlink-codec.ts";
import { RememberedPorts } from "./remembered-ports.ts";
import { NetlinkError, type RequestSocket } from "./request-socket.ts";

/** What VXLAN adds to a guest's frame, in bytes of the underlay's MTU: inner Ethernet, VXLAN, UDP, outer IP. */
export const overheadBytes = { 4: 50, 6: 70 } as const;
/** Alias of our devices: whose they are, the network's name, the epoch of the store that they were made for. */
const aliasPrefix = "nearmiss ";
const EEXIST = 17;

export const bridgeName = (vni: Vni): string => `nmb${vni}`;
export const vxlanName = (vni: Vni): string => `nmv${vni}`;

/** The network of a bridge by its name. */
function vniOfName(name: string): Vni | undefined {
  const vni = Number(/^nmb([1-9]\d{0,7})$/.exec(name)?.[1]);
  return vni <= maxVni ? parseVni(vni) : undefined;
}

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
  private readonly links: Links;
  private readonly byVni = new Map<Vni, EntryDevice>();
  private readonly byIfindex = new Map<number, Vni>();
  private readonly epochs = new Map<Vni, string>();
  /** Bridges of networks that left this host, which somebody's port kept. */
  private readonly leftovers = new Set<Vni>();
  private readonly ports: RememberedPorts;
  /** What carries the VTEP address, as it was when last looked at. */
  private underlay: Link | undefined;

  constructor(
    private readonly socket: RequestSocket,
    nowMs: () => number = () => performance.now(),
  ) {
    this.links = new Links(socket);
    this.ports = new RememberedPorts(nowMs);
  }

  readonly deviceOf = (vni: Vni): EntryDevice | undefined => this.byVni.get(vni);
  /** The network behind a vxlan device of ours. */
  readonly vniOf = (ifindex: number): Vni | undefined => this.byIfindex.get(ifindex);

  vnis(): Vni[] {
    return [...this.byVni.keys()];
  }

  /** The controller's store that a network's devices were made for, or undefined where that is not known. */
  epochOf(vni: Vni): string | undefined {
    return this.epochs.get(vni);
  }

  /** The network behind one of our bridges. */
  vniOfBridge(ifindex: number): Vni | undefined {
    return [...this.byVni.values()].find((device) => device.bridgeIfindex === ifindex)?.vni;
  }

  /** Takes over what an earlier run of the agent left: its devices, with the entries on them. */
  async takeOver(): Promise<Vni[]> {
    const links = await this.links.list();
    for (const link of links) {
      if (link.vxlan && isOurs(link) && link.name === vxlanName(link.vxlan.vni)) this.remember(link, link.master ?? 0);
    }
    for (const link of links) {
      const vni = isOurs(link) && link.kind === "bridge" ? vniOfName(link.name) : undefined;
      if (vni !== undefined && !this.byVni.has(vni)) this.leftovers.add(vni);
    }
    for (const link of links) this.onLink(link, false);
    return this.vnis();
  }

  /**
   * Makes what is missing and sets what differs, and nothing else: what is right is not touched.
   * @param epoch of the controller's store, noted on the devices
   * @returns what an operator should mend, though the network works
   * @throws DeviceError for a foreign device in the way, NetlinkError where the kernel refuses
   */
  async ensure(network: AgentNetwork, local: LocalVtep, epoch: string): Promise<string[]> {
    const underlay = await this.links.findByAddress(local.vtep);
    this.underlay = underlay;
    const mtu = underlay?.mtu ?? 1_500;
    const alias = `${aliasPrefix}${network.name} ${epoch}`;
    const bridge = await this.ensureBridge(network, alias);
    const vxlan = await this.ensureVxlan(network, local, mtu, alias);
    // Enslaving turns learning on again.
    if (vxlan.master !== bridge.ifindex) await this.links.set(vxlan.name, encodeMaster(vxlan.ifindex, bridge.ifindex));
    if (vxlan.master !== bridge.ifindex || vxlan.portLearning !== false) {
      await this.links.set(vxlan.name, encodePortLearningOff(vxlan.ifindex), RTM_SETLINK);
    }
    // Bridge last: until it is up no guest's frame reaches a tunnel that is half set up.
    for (const link of [vxlan, bridge]) if (!link.up) await this.links.set(link.name, encodeLinkUp(link.ifindex));
    this.remember({ ...vxlan, alias }, bridge.ifindex);
    this.leftovers.delete(network.vni);
    return [...missingVtep(local, underlay), ...tooLargeMtu(network, local, mtu)];
  }

  /** Deletes both devices of a network, with the entries on them; a bridge that still has a guest's port stays. */
  async remove(vni: Vni): Promise<void> {
    this.forget(vni);
    const vxlan = await this.links.find({ name: vxlanName(vni) });
    if (vxlan && isOurs(vxlan)) await this.links.delete(vxlan);
    await this.removeBridge(vni);
  }

  get hasLeftovers(): boolean {
    return this.leftovers.size > 0;
  }

  /** Deletes the bridges that `remove` had to leave and that have no port any more. @throws NetlinkError */
  async sweep(): Promise<void> {
    for (const vni of [...this.leftovers]) await this.removeBridge(vni);
  }

  private async removeBridge(vni: Vni): Promise<void> {
    this.leftovers.delete(vni);
    const bridge = await this.links.find({ name: bridgeName(vni) });
    if (!bridge || !isOurs(bridge)) return;
    const ports = await this.links.list(bridge.ifindex);
    if (ports.length > 0) this.leftovers.add(vni);
    else await this.links.delete(bridge);
  }

  /** Somebody changed or deleted a link. @returns the network whose devices that concerns, or all of them, if any */
  onLink(link: Link, gone: boolean): Vni | "all" | undefined {
    if (link.ifindex === this.underlay?.ifindex && (gone || link.mtu !== this.underlay.mtu)) return "all";
    const vni = this.vniOf(link.ifindex) ?? this.vniOfBridge(link.ifindex);
    if (vni !== undefined) return vni;
    this.ports.note(link, gone, link.master === undefined ? undefined : this.vniOfBridge(link.master));
    return undefined;
  }

  private async ensureBridge(network: AgentNetwork, alias: string): Promise<Link> {
    const { vni } = network;
    const name = bridgeName(vni);
    let link = await this.findOrRename(name, this.byVni.get(vni)?.bridgeIfindex);
    if (link && !mayTake(link, "bridge")) throw inTheWay(link, network);
    if (!link) {
      await this.links.create(name, encodeBridge(name, localMac()));
      link = await this.get(name);
      await this.reattach(vni, link);
    }
    if (link.alias !== alias || !link.addressless) await this.links.set(name, encodeLinkSettings(link.ifindex, alias));
    if (link.snooping) await this.links.set(name, encodeSnoopingOff(link.ifindex));
    await this.dropDeliveredUp(link);
    return link;
  }

  private async ensureVxlan(network: AgentNetwork, local: LocalVtep, mtu: number, alias: string): Promise<Link> {
    const { vni } = network;
    const name = vxlanName(vni);
    let link = await this.findOrRename(name, this.byVni.get(vni)?.ifindex);
    if (link && !mayTake(link, "vxlan")) throw inTheWay(link, network);
    if (link && !fits(link, vni, local)) {
      // Ours, but with settings that the kernel cannot change on a live device.
      await this.links.delete(link);
      link = undefined;
    }
    if (!link) {
      await this.links.create(name, encodeVxlan({ name, vni, local: local.vtep, port: local.vtepPort, mtu }));
      link = await this.get(name);
    }
    if (link.alias !== alias || !link.addressless) await this.links.set(name, encodeLinkSettings(link.ifindex, alias));
    if (link.vxlan?.local !== local.vtep || link.vxlan.learning) {
      await this.links.set(name, encodeVxlanChange(link.ifindex, local.vtep));
    }
    if (link.mtu !== mtu) await this.links.set(name, encodeMtu(link.ifindex, mtu));
    return link;
  }

  /** The link of that name; one that we know by its index and that somebody renamed gets its name back. */
  private async findOrRename(name: string, knownIfindex: number | undefined): Promise<Link | undefined> {
    const found = await this.links.find({ name });
    if (found || !knownIfindex) return found;
    const renamed = await this.links.find({ ifindex: knownIfindex });
    if (!renamed || !isOurs(renamed)) return undefined;
    await this.links.set(renamed.name, encodeRename(renamed.ifindex, name));
    return { ...renamed, name };
  }

  /** The ports that a bridge had when it was deleted, where nobody has taken them since. */
  private async reattach(vni: Vni, bridge: Link): Promise<void> {
    for (const ifindex of this.ports.lostBy(vni)) {
      const port = await this.links.find({ ifindex });
      if (port && port.master === undefined) await this.links.set(port.name, encodeMaster(ifindex, bridge.ifindex));
    }
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

  private async get(name: string): Promise<Link> {
    const link = await this.links.find({ name });
    if (!link) throw new DeviceError(`${name} vanished while it was set up`);
    return link;
  }

  private remember(link: Link, bridgeIfindex: number): void {
    if (!link.vxlan) return;
    const { vni, port } = link.vxlan;
    this.forget(vni);
    this.byVni.set(vni, { ifindex: link.ifindex, bridgeIfindex, vni, vtepPort: port });
    this.byIfindex.set(link.ifindex, vni);
    const epoch = link.alias?.split(" ").at(2);
    if (epoch) this.epochs.set(vni, epoch);
  }

  private forget(vni: Vni): void {
    const device = this.byVni.get(vni);
    if (!device) return;
    this.byVni.delete(vni);
    this.byIfindex.delete(device.ifindex);
    this.epochs.delete(vni);
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
