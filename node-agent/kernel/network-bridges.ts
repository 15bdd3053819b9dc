// The bridges that the guests of a network are ports of: ours, made and kept as the kernel needs them, and those of adopted
// vxlan devices, which stay as somebody made them but for their snooping.
import { randomBytes } from "node:crypto";
import type { AgentNetwork, Vni } from "../../schema/index.ts";
import { bridgeName, isOurs, mayTake, vniOfName } from "./device-names.ts";
import { nameTaken, noBridge } from "./device-problems.ts";
import type { Link } from "./link-codec.ts";
import { encodeBridge, encodeLinkSettings, encodeMaster, encodeSnoopingOff } from "./link-requests.ts";
import type { Links } from "./links.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./netlink-codec.ts";
import { RememberedPorts } from "./remembered-ports.ts";
import { NetlinkError, type RequestSocket } from "./request-socket.ts";
import { encodeClsact, encodeDropDeliveredUp, RTM_NEWQDISC, RTM_NEWTFILTER } from "./traffic-control.ts";

const EEXIST = 17;

export class NetworkBridges {
  /** Bridges of networks that left this host, which somebody's port kept. */
  private readonly leftovers = new Set<Vni>();
  private readonly ports: RememberedPorts;

  constructor(
    private readonly socket: RequestSocket,
    private readonly links: Links,
    nowMs: () => number,
  ) {
    this.ports = new RememberedPorts(nowMs);
  }

  /** A link as it is at the start: one of our bridges without a tunnel is what an earlier run had to leave. */
  takeOver(link: Link, hasTunnel: (vni: Vni) => boolean): void {
    const vni = isOurs(link) && link.kind === "bridge" ? vniOfName(link.name) : undefined;
    if (vni !== undefined && !hasTunnel(vni)) this.leftovers.add(vni);
  }

  /** @param vni of the bridge of ours that the link is a port of, if any */
  onLink(link: Link, gone: boolean, vni: Vni | undefined): void {
    this.ports.note(link, gone, vni);
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
      await this.reattach(vni, link);
    }
    if (link.alias !== alias || !link.addressless) await this.links.set(name, encodeLinkSettings(link.ifindex, alias));
    if (link.snooping) await this.links.set(name, encodeSnoopingOff(link.ifindex));
    await this.dropDeliveredUp(link);
    this.leftovers.delete(vni);
    return link;
  }

  /** The bridge of an adopted device; where it has none, the one that it had, or ours. */
  async ensureFor(vxlan: Link, network: AgentNetwork, alias: string, known: number | undefined): Promise<Link> {
    const ifindex = vxlan.master ?? (known || undefined);
    const found = ifindex === undefined ? undefined : await this.links.find({ ifindex });
    if (vxlan.master !== undefined && found?.kind !== "bridge") throw noBridge(vxlan, found, network);
    if (!found || isOurs(found)) return this.ensure(network, alias, known);
    // Somebody's, perhaps with an address of the host: it is not closed towards the host.
    if (found.snooping) await this.links.set(found.name, encodeSnoopingOff(found.ifindex));
    return found;
  }

  /** Ours, unless it still has a guest's port: then `sweep` deletes it later. @throws NetlinkError */
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

  /** Deletes the bridges that `remove` had to leave and that have no port any more. @throws NetlinkError */
  async sweep(): Promise<void> {
    for (const vni of [...this.leftovers]) await this.remove(vni);
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
}

/** A random locally administered unicast address (IEEE 802, U/L bit). */
function localMac(): Buffer {
  const bytes = randomBytes(6);
  bytes[0] = 0x02;
  return bytes;
}
