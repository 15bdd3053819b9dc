// The vxlan devices of networks: creates and maintains the agent's own, and changes settings of live ones.
import type { AgentNetwork } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";
import { RTM_SETLINK } from "../codec/link-numbers.ts";
import {
  encodeArpOn,
  encodeLinkSettings,
  encodeLinkUp,
  encodeMaster,
  encodeMtu,
  encodePortAttributes,
  encodePortSettings,
  encodeProtocolUp,
  encodeVxlan,
  encodeVxlanChange,
} from "../codec/link-requests.ts";
import { NetlinkError } from "../sockets/request-socket.ts";
import { type LocalVtep, misfits } from "./device-fit.ts";
import { mayTake, vxlanName } from "./device-names.ts";
import { nameTaken, portTaken, takenElsewhere } from "./device-problems.ts";
import type { Links } from "./links.ts";

const EEXIST = 17;
const EADDRINUSE = 98;

export class VxlanDevices {
  constructor(private readonly links: Links) {}

  /**
   * Ours.
   * @param known its ifindex, as remembered: it is found under another name
   * @throws DeviceError for a foreign device of its name, NetlinkError where the kernel refuses
   */
  async ensure(
    network: AgentNetwork,
    local: LocalVtep,
    alias: string,
    mtu: number,
    known: number | undefined,
  ): Promise<Link> {
    const { vni } = network;
    const name = vxlanName(vni);
    let link = await this.links.findOrRename(name, known);
    if (link && !mayTake(link, "vxlan")) throw nameTaken(link, network);
    if (link && misfits(link, vni, local).length > 0) {
      // Ours, but with settings that the kernel cannot change on a live device.
      await this.links.delete(link);
      link = undefined;
    }
    if (!link) {
      link = await this.create(name, network, local, mtu);
    }
    if (link.alias !== alias || !link.addressless) await this.links.set(name, encodeLinkSettings(link.ifindex, alias));
    return { ...link, alias, addressless: true };
  }

  /** @throws DeviceError where the VNI is taken by a device that is elsewhere, NetlinkError */
  private async create(name: string, network: AgentNetwork, local: LocalVtep, mtu: number): Promise<Link> {
    const { vni } = network;
    try {
      await this.links.create(name, encodeVxlan({ name, vni, local: local.vtep, port: local.vtepPort, mtu }));
    } catch (error) {
      const exists = error instanceof NetlinkError && error.acknowledgement.errno === EEXIST;
      if (!exists || (await this.links.find({ name }))) throw error;
      throw takenElsewhere(name, network, local);
    }
    return this.links.get(name);
  }

  /** What a live vxlan device can change. @throws NetlinkError */
  async adjust(link: Link, local: LocalVtep, mtu: number): Promise<void> {
    if (!link.addressless) await this.links.set(link.name, encodeLinkSettings(link.ifindex));
    if (link.vxlan?.local !== local.vtep || link.vxlan.learning) {
      await this.links.set(link.name, encodeVxlanChange(link.ifindex, local.vtep));
    }
    if (link.noArp) await this.links.set(link.name, encodeArpOn(link.ifindex));
    if (link.protoDown) await this.links.set(link.name, encodeProtocolUp(link.ifindex));
    if (link.mtu !== mtu) await this.links.set(link.name, encodeMtu(link.ifindex, mtu));
  }

  /** @throws NetlinkError */
  async enslave(vxlan: Link, bridge: Link): Promise<void> {
    if (vxlan.master !== bridge.ifindex) {
      await this.links.set(vxlan.name, encodeMaster(vxlan.ifindex, bridge.ifindex));
      // A new port learns; the kernel's other defaults are right.
      await this.links.set(vxlan.name, encodePortSettings(vxlan.ifindex, { learning: false }), RTM_SETLINK);
      return;
    }
    // A port that is down has no state to set: it forwards when it is up.
    const isUp = vxlan.up && bridge.up;
    const wrong = (vxlan.wrongPort ?? []).map(({ attribute }) => attribute);
    const restored = isUp ? wrong : wrong.filter(({ name }) => name !== "state");
    if (restored.length === 0) return;
    await this.links.set(vxlan.name, encodePortAttributes(vxlan.ifindex, restored), RTM_SETLINK);
  }

  /** Also for its bridge. @throws DeviceError where its UDP port is taken, NetlinkError */
  async setUp(link: Link, vxlans: readonly Link[], local: LocalVtep): Promise<void> {
    try {
      await this.links.set(link.name, encodeLinkUp(link.ifindex));
    } catch (error) {
      const taken = error instanceof NetlinkError && error.acknowledgement.errno === EADDRINUSE;
      throw taken ? portTaken(link, vxlans, local) : error;
    }
  }
}
