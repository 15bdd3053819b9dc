// The bridges that guests of a network are attached to: the agent's own, which it creates and maintains, and those of adopted
// vxlan devices, which it leaves unchanged except for multicast snooping.
import { randomBytes } from "node:crypto";
import type { AgentNetwork, Vni } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";
import { RTM_SETLINK } from "../codec/link-numbers.ts";
import {
  encodeArpOn,
  encodeBridge,
  encodeBridgeSettings,
  encodeLinkSettings,
  encodeMaster,
  encodePortSettings,
  encodeSnoopingOff,
} from "../codec/link-requests.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../codec/netlink-codec.ts";
import { encodeClsact, encodeDropDeliveredUp, RTM_NEWQDISC, RTM_NEWTFILTER } from "../codec/traffic-control.ts";
import { NetlinkError, type RequestSocket } from "../sockets/request-socket.ts";
import { bridgeName, isOurs, mayTake, vniOfName } from "./device-names.ts";
import { nameTaken, noBridge } from "./device-problems.ts";
import type { Links } from "./links.ts";
import { RememberedPorts } from "./remembered-ports.ts";

const EEXIST = 17;

export class NetworkBridges {
  /** Bridges of networks that left this host, kept because they have third-party ports. */
  private readonly leftovers = new Set<Vni>();
  /** ifindexes of all bridges of ours, leftovers included: none of their ports may deliver to the host. */
  private readonly own = new Set<number>();
  /** Those of them that learn a bounded number of addresses: the kernel has a limit since 6.8. */
  private readonly limited = new Set<number>();
  private readonly ports: RememberedPorts;

  constructor(
    private readonly socket: RequestSocket,
    private readonly links: Links,
    nowMs: () => number,
  ) {
    this.ports = new RememberedPorts(nowMs);
  }

  /** A link at the start: a bridge of ours without a tunnel is a leftover of an earlier run. */
  takeOver(link: Link, hasTunnel: (vni: Vni) => boolean): void {
    if (!isOurs(link) || link.kind !== "bridge") return;
    this.own.add(link.ifindex);
    const vni = vniOfName(link.name);
    if (vni !== undefined && !hasTunnel(vni)) this.leftovers.add(vni);
  }

  /**
   * Closes bridges and ports that an earlier version left open, before the agent connects to a controller. @throws NetlinkError
   */
  async closeAll(links: readonly Link[]): Promise<void> {
    for (const link of links) {
      if (!this.own.has(link.ifindex)) continue;
      await this.close(link);
      await this.closePorts(links.filter(({ master }) => master === link.ifindex));
    }
  }

  /** @param vni of the bridge of ours that the link is a port of, if any */
  onLink(link: Link, gone: boolean, vni: Vni | undefined): void {
    this.ports.note(link, gone, vni);
  }

  /** A device was created, changed or deleted: a new port of our bridges is closed towards the host. @throws NetlinkError */
  async follow(link: Link, gone: boolean): Promise<void> {
    if (gone) {
      this.own.delete(link.ifindex);
      this.limited.delete(link.ifindex);
    } else if (link.master !== undefined && this.own.has(link.master)) await this.closePorts([link]);
  }

  /**
   * Ours.
   * @param known its ifindex, as remembered: it is found under another name
   * @throws DeviceError for a foreign device of its name, NetlinkError where the kernel refuses
   */
  async ensure(network: AgentNetwork, alias: string, known: number | undefined): Promise<Link> {
    const { vni } = network;
    const name = bridgeName(vni);
    let link = await this.links.findOrRename(name, known);
    if (link && !mayTake(link, "bridge")) throw nameTaken(link, network);
    if (!link) {
      await this.links.create(name, encodeBridge(name, localMac()));
      link = await this.links.get(name);
      this.own.add(link.ifindex);
      await this.close(link);
      await this.reattach(vni, link);
    }
    if (link.alias !== alias || !link.addressless) await this.links.set(name, encodeLinkSettings(link.ifindex, alias));
    this.own.add(link.ifindex);
    await this.close(link);
    await this.closePorts(await this.links.list(link.ifindex));
    this.leftovers.delete(vni);
    return link;
  }

  /** The bridge of an adopted device; if it has none, its former bridge, or ours. */
  async ensureFor(vxlan: Link, network: AgentNetwork, alias: string, known: number | undefined): Promise<Link> {
    const ifindex = vxlan.master ?? (known || undefined);
    const found = ifindex === undefined ? undefined : await this.links.find({ ifindex });
    if (vxlan.master !== undefined && found?.kind !== "bridge") throw noBridge(vxlan, found, network);
    if (!found || isOurs(found)) return this.ensure(network, alias, known);
    // A third-party bridge may have an address of the host: it is not closed towards the host.
    if (found.snooping) await this.links.set(found.name, encodeSnoopingOff(found.ifindex));
    return found;
  }

  limitsLearning(bridgeIfindex: number): boolean {
    return this.limited.has(bridgeIfindex);
  }

  /** Deletes our bridge, unless it still has a guest's port: then `sweep` deletes it later. @throws NetlinkError */
  async remove(vni: Vni): Promise<void> {
    this.leftovers.delete(vni);
    const bridge = await this.links.find({ name: bridgeName(vni) });
    if (!bridge || !isOurs(bridge)) return;
    const ports = await this.links.list(bridge.ifindex);
    if (ports.length > 0) this.leftovers.add(vni);
    else await this.links.delete(bridge);
  }

  get hasLeftovers(): boolean {
    return this.leftovers.size > 0;
  }

  /** Deletes the bridges that `remove` left and that have no port any more. @throws NetlinkError */
  async sweep(): Promise<void> {
    for (const vni of [...this.leftovers]) await this.remove(vni);
  }

  /** Attaches again the ports that a bridge had when it was deleted, except those that are in another bridge by now. */
  private async reattach(vni: Vni, bridge: Link): Promise<void> {
    for (const ifindex of this.ports.lostBy(vni)) {
      const port = await this.links.find({ ifindex });
      if (port && port.master === undefined) await this.links.set(port.name, encodeMaster(ifindex, bridge.ifindex));
    }
  }

  /** Closes the host to its guests: drops frames that the bridge or its ports would deliver to the host. */
  private async close(bridge: Link): Promise<void> {
    await this.dropDeliveredUp(bridge);
    if (bridge.maxLearned !== undefined) this.limited.add(bridge.ifindex);
    if (bridge.noArp) await this.links.set(bridge.name, encodeArpOn(bridge.ifindex));
    const wrong = bridge.wrongBridge?.map(({ attribute }) => attribute);
    if (wrong) await this.links.set(bridge.name, encodeBridgeSettings(bridge.ifindex, wrong));
  }

  private async closePorts(ports: readonly Link[]): Promise<void> {
    const open = ports.filter(({ portOpen }) => portOpen);
    const results = await this.socket.send(
      open.map(({ ifindex }) => ({
        type: RTM_SETLINK,
        flags: 0,
        payload: encodePortSettings(ifindex, { closed: true }),
      })),
    );
    for (const [at, result] of results.entries()) {
      const port = open[at];
      if (result.errno !== 0 && port && (await this.isOpen(port.ifindex))) {
        throw new NetlinkError(`closing port ${port.name} towards the host`, result);
      }
    }
  }

  /** False for a port that has left the bridge, or the host. */
  private async isOpen(ifindex: number): Promise<boolean> {
    const port = await this.links.find({ ifindex });
    return port?.master !== undefined && this.own.has(port.master) && port.portOpen === true;
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
}

/** A random locally administered unicast address (IEEE 802, U/L bit). */
function localMac(): Buffer {
  const bytes = randomBytes(6);
  bytes[0] = 0x02;
  return bytes;
}
