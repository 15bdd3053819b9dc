// The vxlan devices of networks: creates and maintains the agent's own, and changes settings of live ones.
import type { AgentNetwork } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";
import { RTM_SETLINK } from "../codec/link-numbers.ts";
import {
  encodeLinkSettings,
  encodeLinkUp,
  encodeMaster,
  encodeMtu,
  encodePortSettings,
  encodeVxlan,
  encodeVxlanChange,
} from "../codec/link-requests.ts";
import { NetlinkError } from "../sockets/request-socket.ts";
import { type LocalVtep, misfits } from "./device-fit.ts";
import { mayTake, vxlanName } from "./device-names.ts";
import { nameTaken, portTaken } from "./device-problems.ts";
import type { Links } from "./links.ts";

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
      await this.links.create(name, encodeVxlan({ name, vni, local: local.vtep, port: local.vtepPort, mtu }));
      link = await this.links.get(name);
    }
    if (link.alias !== alias || !link.addressless) await this.links.set(name, encodeLinkSettings(link.ifindex, alias));
    return { ...link, alias, addressless: true };
  }

  /** What a live vxlan device can change. @throws NetlinkError */
  async adjust(link: Link, local: LocalVtep, mtu: number): Promise<void> {
    if (!link.addressless) await this.links.set(link.name, encodeLinkSettings(link.ifindex));
    if (link.vxlan?.local !== local.vtep || link.vxlan.learning) {
      await this.links.set(link.name, encodeVxlanChange(link.ifindex, local.vtep));
    }
    if (link.mtu !== mtu) await this.links.set(link.name, encodeMtu(link.ifindex, mtu));
  }

  /** @throws NetlinkError */
  async enslave(vxlan: Link, bridge: Link): Promise<void> {
    if (vxlan.master !== bridge.ifindex) await this.links.set(vxlan.name, encodeMaster(vxlan.ifindex, bridge.ifindex));
    // Enslaving turns learning on again.
    if (vxlan.master !== bridge.ifindex || vxlan.portLearning !== false) {
      await this.links.set(vxlan.name, encodePortSettings(vxlan.ifindex, { learning: false }), RTM_SETLINK);
    }
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
