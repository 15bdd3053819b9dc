// The devices of a network on this host: bridge nmb<vni> for the guests' ports, and vxlan nmv<vni> as one of its ports.
// Made and kept as the kernel needs them; what carries these names without our alias is somebody's and stays untouched.
// A vxlan device of somebody's that the agent may adopt serves a network in the place of ours, with its bridge.
import { randomBytes } from "node:crypto";
import type { AgentNetwork, Vni } from "../../schema/index.ts";
import { type Adoptable, type Awaited, chooseVxlan, mayAdopt } from "./adoption.ts";
import { type LocalVtep, misfits } from "./device-fit.ts";
import { aliasFor, bridgeName, epochOf, isOurs, mayTake, vniOfName, vxlanName } from "./device-names.ts";
import { DeviceError, missingVtep, nameTaken, noBridge, portTaken, rivals, tooLargeMtu } from "./device-problems.ts";
import {
  encodeBridge,
  encodeClsact,
  encodeDropDeliveredUp,
  encodeLinkSettings,
  encodeLinkUp,
  encodeMaster,
  encodeMtu,
  encodePortSettings,
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
import { probeTables } from "./path-probe.ts";
import { RememberedPorts } from "./remembered-ports.ts";
import { NetlinkError, type RequestSocket } from "./request-socket.ts";

export interface DevicesOptions {
  /** Devices of others that may serve a network here; default none. */
  readonly adoptable?: Adoptable;
  readonly nowMs?: () => number;
}

const EEXIST = 17;
const EADDRINUSE = 98;

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
  /** Networks that are to have devices here: what happens to other devices of their VNIs concerns them. */
  private readonly wanted = new Set<Vni>();
  private readonly adopted = new Set<Vni>();
  private readonly awaited = new Map<Vni, Awaited>();
  private readonly adoptable: Adoptable;

  constructor(
    private readonly socket: RequestSocket,
    { adoptable = new Set(), nowMs = () => performance.now() }: DevicesOptions = {},
  ) {
    this.links = new Links(socket);
    this.ports = new RememberedPorts(nowMs);
    this.adoptable = adoptable;
  }

  /** Somebody's vxlan device that serves the network, and its bridge: kept when the network leaves, without our entries. */
  adoptedFor(vni: Vni): Awaited | undefined {
    return this.adopted.has(vni) ? this.awaited.get(vni) : undefined;
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
      if (!link.vxlan) continue;
      if (isOurs(link) && link.name === vxlanName(link.vxlan.vni)) this.remember(link, link.master ?? 0);
      else if (await this.servedBefore(link)) {
        const { vni } = link.vxlan;
        this.remember(link, link.master ?? 0);
        this.adopted.add(vni);
        const bridge = links.find(({ ifindex }) => ifindex === link.master)?.name;
        this.awaited.set(vni, { name: link.name, bridge });
      }
    }
    for (const link of links) {
      const vni = isOurs(link) && link.kind === "bridge" ? vniOfName(link.name) : undefined;
      if (vni !== undefined && !this.byVni.has(vni)) this.leftovers.add(vni);
    }
    for (const link of links) this.onLink(link, false);
    return this.vnis();
  }

  /** A device for adoption, with entries of ours. */
  private async servedBefore(link: Link): Promise<boolean> {
    if (!link.vxlan || !mayAdopt(this.adoptable, link) || this.byVni.has(link.vxlan.vni)) return false;
    const { vni, port } = link.vxlan;
    const device = { ifindex: link.ifindex, bridgeIfindex: link.master ?? 0, vni, vtepPort: port };
    return (await probeTables(this.socket, device)).entries.some(({ entry, own }) => own && entry.kind === "neighbour");
  }

  /**
   * Makes what is missing and sets what differs, and nothing else: what is right is not touched.
   * @param epoch of the controller's store, noted on the devices
   * @returns what an operator should mend, though the network works
   * @throws DeviceError for a foreign device in the way, NetlinkError where the kernel refuses
   */
  async ensure(network: AgentNetwork, local: LocalVtep, epoch: string): Promise<string[]> {
    const { vni } = network;
    this.wanted.add(vni);
    const underlay = await this.links.findByAddress(local.vtep);
    this.underlay = underlay;
    const mtu = underlay?.mtu ?? 1_500;
    const alias = aliasFor(network.name, epoch);
    const vxlans = await this.links.vxlans();
    const theirs = await this.chooseTheirs(vxlans, network, local);
    const bridge = theirs ? await this.ensureBridgeOf(theirs, network, alias) : await this.ensureBridge(network, alias);
    const vxlan = theirs ?? (await this.ensureVxlan(network, local, alias, mtu));
    await this.adjust(vxlan, local, mtu);
    // Enslaving turns learning on again.
    if (vxlan.master !== bridge.ifindex) await this.links.set(vxlan.name, encodeMaster(vxlan.ifindex, bridge.ifindex));
    if (vxlan.master !== bridge.ifindex || vxlan.portLearning !== false) {
      await this.links.set(vxlan.name, encodePortSettings(vxlan.ifindex, { learning: false }), RTM_SETLINK);
    }
    // Bridge last: until it is up no guest's frame reaches a tunnel that is half set up.
    for (const link of [vxlan, bridge]) if (!link.up) await this.setUp(link, vxlans, local);
    this.remember(theirs ? vxlan : { ...vxlan, alias }, bridge.ifindex);
    if (theirs) {
      this.adopted.add(vni);
      this.awaited.set(vni, { name: vxlan.name, bridge: bridge.name });
    }
    this.leftovers.delete(vni);
    return [
      ...missingVtep(local, underlay),
      ...tooLargeMtu(network, local, underlay),
      ...rivals(vxlans, vxlan, network, local),
    ];
  }

  /**
   * Deletes both devices of a network, with the entries on them; a bridge that still has a guest's port stays, and so does
   * what was adopted.
   */
  async remove(vni: Vni): Promise<void> {
    const device = this.byVni.get(vni);
    const adopted = this.adopted.has(vni);
    this.forget(vni);
    this.wanted.delete(vni);
    this.awaited.delete(vni);
    const vxlan = adopted ? device && (await this.links.find(device)) : await this.links.find({ name: vxlanName(vni) });
    const bridge = await this.links.find({ name: bridgeName(vni) });
    if (vxlan && !adopted && isOurs(vxlan)) await this.links.delete(vxlan);
    if (vxlan && adopted && bridge && isOurs(bridge) && vxlan.master === bridge.ifindex) {
      await this.links.set(vxlan.name, encodeMaster(vxlan.ifindex, 0));
    }
    await this.removeBridge(vni);
  }

  /** The bridges of all networks. @throws NetlinkError */
  async bridges(): Promise<Link[]> {
    const links = await Promise.all(
      [...this.byVni.values()].map(({ bridgeIfindex }) => this.links.find({ ifindex: bridgeIfindex })),
    );
    return links.filter((link) => link !== undefined);
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
    // Another device of a VNI that is ours: a rival came or went, or what is to be adopted is there.
    if (link.vxlan && this.wanted.has(link.vxlan.vni)) return link.vxlan.vni;
    this.ports.note(link, gone, link.master === undefined ? undefined : this.vniOfBridge(link.master));
    return undefined;
  }

  /** The device of somebody's that serves a network, if any. @throws DeviceError */
  private async chooseTheirs(vxlans: Link[], network: AgentNetwork, local: LocalVtep): Promise<Link | undefined> {
    const { vni } = network;
    const masters = new Map<number, string>();
    for (const { vxlan, master } of vxlans) {
      if (vxlan?.vni !== vni || master === undefined) continue;
      const bridge = await this.links.find({ ifindex: master });
      if (bridge) masters.set(master, bridge.name);
    }
    const bridgeOf = ({ master }: Link): string | undefined => (master === undefined ? undefined : masters.get(master));
    const known = this.byVni.get(vni)?.ifindex;
    const choice = chooseVxlan(vxlans, network, local, this.adoptable, this.awaited.get(vni), bridgeOf);
    if (choice.kind === "none") {
      if (!vxlans.some(({ ifindex }) => ifindex === known)) this.forget(vni);
      if (choice.awaited) this.awaited.set(vni, choice.awaited);
      throw choice.reason;
    }
    if (choice.kind === "own") {
      this.adopted.delete(vni);
      return undefined;
    }
    this.awaited.set(vni, { name: choice.link.name, bridge: bridgeOf(choice.link) });
    return choice.link;
  }

  /** The bridge of an adopted device; where it has none, the one that it had, or ours. */
  private async ensureBridgeOf(vxlan: Link, network: AgentNetwork, alias: string): Promise<Link> {
    const before = this.byVni.get(network.vni)?.bridgeIfindex || undefined;
    const ifindex = vxlan.master ?? before;
    const found = ifindex === undefined ? undefined : await this.links.find({ ifindex });
    if (vxlan.master !== undefined && found?.kind !== "bridge") throw noBridge(vxlan, found, network);
    if (!found || isOurs(found)) return this.ensureBridge(network, alias);
    // Somebody's, perhaps with an address of the host: it is not closed towards the host.
    if (found.snooping) await this.links.set(found.name, encodeSnoopingOff(found.ifindex));
    return found;
  }

  private async ensureBridge(network: AgentNetwork, alias: string): Promise<Link> {
    const { vni } = network;
    const name = bridgeName(vni);
    let link = await this.findOrRename(name, this.byVni.get(vni)?.bridgeIfindex);
    if (link && !mayTake(link, "bridge")) throw nameTaken(link, network);
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

  private async ensureVxlan(network: AgentNetwork, local: LocalVtep, alias: string, mtu: number): Promise<Link> {
    const { vni } = network;
    const name = vxlanName(vni);
    let link = await this.findOrRename(name, this.byVni.get(vni)?.ifindex);
    if (link && !mayTake(link, "vxlan")) throw nameTaken(link, network);
    if (link && misfits(link, vni, local).length > 0) {
      // Ours, but with settings that the kernel cannot change on a live device.
      await this.links.delete(link);
      link = undefined;
    }
    if (!link) {
      await this.links.create(name, encodeVxlan({ name, vni, local: local.vtep, port: local.vtepPort, mtu }));
      link = await this.get(name);
    }
    if (link.alias !== alias || !link.addressless) await this.links.set(name, encodeLinkSettings(link.ifindex, alias));
    return { ...link, alias, addressless: true };
  }

  /** What a live vxlan device can change. */
  private async adjust(link: Link, local: LocalVtep, mtu: number): Promise<void> {
    if (!link.addressless) await this.links.set(link.name, encodeLinkSettings(link.ifindex));
    if (link.vxlan?.local !== local.vtep || link.vxlan.learning) {
      await this.links.set(link.name, encodeVxlanChange(link.ifindex, local.vtep));
    }
    if (link.mtu !== mtu) await this.links.set(link.name, encodeMtu(link.ifindex, mtu));
  }

  private async setUp(link: Link, vxlans: readonly Link[], local: LocalVtep): Promise<void> {
    try {
      await this.links.set(link.name, encodeLinkUp(link.ifindex));
    } catch (error) {
      const taken = error instanceof NetlinkError && error.acknowledgement.errno === EADDRINUSE;
      throw taken ? portTaken(link, vxlans, local) : error;
    }
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
    const epoch = epochOf(link);
    if (epoch) this.epochs.set(vni, epoch);
  }

  private forget(vni: Vni): void {
    const device = this.byVni.get(vni);
    if (!device) return;
    this.byVni.delete(vni);
    this.byIfindex.delete(device.ifindex);
    this.epochs.delete(vni);
    this.adopted.delete(vni);
  }
}

/** A random locally administered unicast address (IEEE 802, U/L bit). */
function localMac(): Buffer {
  const bytes = randomBytes(6);
  bytes[0] = 0x02;
  return bytes;
}
