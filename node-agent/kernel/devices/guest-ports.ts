// The guests' ports of one bridge, and the port behind which a MAC address is.
import type { MacAddress } from "../../../schema/address/index.ts";
import { decodeLink } from "../codec/link-codec.ts";
import { RTM_GETLINK } from "../codec/link-numbers.ts";
import { encodeLinkDump } from "../codec/link-requests.ts";
import { decodeNeighbourMessage, encodePortLookUp, RTM_GETNEIGH } from "../codec/neighbour-codec.ts";
import type { RequestSocket } from "../sockets/request-socket.ts";

/** A guest rarely changes its port; one that did retries within this time. */
const freshMs = 1_000;
const maxRemembered = 4_096;

interface Remembered {
  readonly port: Promise<number | undefined>;
  readonly sinceMs: number;
}

export class GuestPorts {
  private readonly byMac = new Map<MacAddress, Remembered>();

  /** @param tunnelIfindex the one port that is not a guest's; frames must never be sent to it */
  constructor(
    private readonly socket: RequestSocket,
    private readonly bridgeIfindex: number,
    private readonly tunnelIfindex: number,
  ) {}

  /** ifindex of the guest's port; undefined where the bridge does not know the MAC, or has it behind the tunnel. */
  portOf(mac: MacAddress, nowMs: number): Promise<number | undefined> {
    const known = this.byMac.get(mac);
    if (known && nowMs - known.sinceMs < freshMs) return known.port;
    const port = this.lookUp(mac);
    this.byMac.delete(mac);
    this.byMac.set(mac, { port, sinceMs: nowMs });
    const [oldest] = this.byMac.keys();
    if (this.byMac.size > maxRemembered && oldest !== undefined) this.byMac.delete(oldest);
    return port;
  }

  /** ifindexes of all guests' ports. @throws NetlinkError */
  async all(): Promise<number[]> {
    const messages = await this.socket.dump("list bridge ports", RTM_GETLINK, encodeLinkDump(this.bridgeIfindex));
    return messages
      .map(decodeLink)
      .filter((link) => link !== undefined)
      .filter((link) => link.master === this.bridgeIfindex && link.ifindex !== this.tunnelIfindex)
      .map((link) => link.ifindex);
  }

  private async lookUp(mac: MacAddress): Promise<number | undefined> {
    const message = await this.socket.get(RTM_GETNEIGH, encodePortLookUp(this.bridgeIfindex, mac));
    const ifindex = message && decodeNeighbourMessage(message)?.ifindex;
    // The bridge's own addresses have the bridge as their port.
    return ifindex === this.tunnelIfindex || ifindex === this.bridgeIfindex ? undefined : ifindex;
  }
}
