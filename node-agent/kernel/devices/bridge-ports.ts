// The guests' ports of a bridge: their settings and entries, and the changes that pin addresses to them.
import { defined } from "../../../common/defined.ts";
import type { MacAddress } from "../../../schema/address/index.ts";
import type { GuestPort, PortChange } from "../../tables/port.ts";
import type { Link } from "../codec/link-codec.ts";
import { RTM_NEWLINK, RTM_SETLINK } from "../codec/link-numbers.ts";
import { encodeAlias, encodePortSettings } from "../codec/link-requests.ts";
import {
  decodeHeardAgo,
  decodeNeighbourMessage,
  decodePortEntry,
  type EntryDevice,
  encodeFdbDump,
  encodePin,
  encodeUnpin,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "../codec/neighbour-codec.ts";
import { type Acknowledgement, NLM_F_CREATE, NLM_F_REPLACE } from "../codec/netlink-codec.ts";
import { describe, NetlinkError, type Request, type RequestSocket } from "../sockets/request-socket.ts";
import { Links } from "./links.ts";

const ENOENT = 2;
const ENODEV = 19;

export class BridgePorts {
  private readonly links: Links;

  constructor(private readonly socket: RequestSocket) {
    this.links = new Links(socket);
  }

  find(ifindex: number): Promise<Link | undefined> {
    return this.links.find({ ifindex });
  }

  /** @param look selects the ports whose entries are read too. @throws NetlinkError */
  async list(device: EntryDevice, look: (port: Link) => boolean): Promise<GuestPort[]> {
    const links = await this.links.list(device.bridgeIfindex);
    const guests = links.filter((link) => link.ifindex !== device.ifindex && link.portLearning !== undefined);
    return Promise.all(
      guests.map(async (link) => describePort(link, look(link) ? await this.entries(link.ifindex) : none)),
    );
  }

  /** Carries out all in order. @returns refusals of the kernel, as text; a port that has disappeared is not an error */
  async apply(changes: readonly PortChange[]): Promise<string[]> {
    const requests = changes.map(requestsOf);
    const acknowledgements = await this.socket.send(requests.flat());
    let at = 0;
    return changes.flatMap((change, i) => {
      const own = acknowledgements.slice(at, at + (requests[i]?.length ?? 0));
      at += own.length;
      return own.filter((each) => isRefusal(change, each)).map(describe);
    });
  }

  /** Off also deletes the learned addresses. A port that has disappeared is not an error. @throws NetlinkError */
  async setLearning(ifindex: number, learning: boolean): Promise<void> {
    const payload = encodePortSettings(ifindex, { learning, ...(learning ? {} : { flush: true }) });
    const [result] = await this.socket.send([{ type: RTM_SETLINK, flags: 0, payload }]);
    if (!result || result.errno === 0 || !(await this.find(ifindex))?.master) return;
    throw new NetlinkError(`learning ${learning ? "on" : "off"} on a port`, result);
  }

  private async entries(ifindex: number): Promise<PortEntries> {
    const messages = await this.socket.dump("list a port's FDB", RTM_GETNEIGH, encodeFdbDump(ifindex));
    const entries = messages.flatMap((message) => {
      const neighbour = decodeNeighbourMessage(message);
      const entry = neighbour && decodePortEntry(neighbour, ifindex);
      return entry ? [{ ...entry, agoMs: decodeHeardAgo(neighbour) ?? 0 }] : [];
    });
    const heard = entries.filter(({ kind }) => kind === "learned").map(({ mac, agoMs }) => [mac, agoMs] as const);
    const of = (kind: (typeof entries)[number]["kind"]): MacAddress[] =>
      entries.filter((entry) => entry.kind === kind).map(({ mac }) => mac);
    return { pinned: of("pinned"), learned: of("learned"), heardAgoMs: new Map(heard) };
  }
}

type PortEntries = Pick<GuestPort, "pinned" | "learned" | "heardAgoMs">;
const none: PortEntries = { pinned: [], learned: [] };

function describePort(link: Link, entries: PortEntries): GuestPort {
  const { ifindex, name, carrier, alias, portLearning = true, portFlood = true } = link;
  return {
    ifindex,
    name,
    carrier,
    learning: portLearning,
    flood: portFlood,
    ...defined({ alias }),
    ...entries,
  };
}

function requestsOf(change: PortChange): Request[] {
  const { ifindex } = change;
  switch (change.kind) {
    case "alias":
      return [{ type: RTM_NEWLINK, flags: 0, payload: encodeAlias(ifindex, change.alias) }];
    case "behave":
      return [{ type: RTM_SETLINK, flags: 0, payload: encodePortSettings(ifindex, change) }];
    case "pin":
      // Only an existing entry takes the flag that marks it as ours: two steps, `sticky` first.
      return (["held", "marked"] as const).map((step) => ({
        type: RTM_NEWNEIGH,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
        payload: encodePin(ifindex, change.mac, step),
      }));
    case "unpin":
      return [{ type: RTM_DELNEIGH, flags: 0, payload: encodeUnpin(ifindex, change.mac) }];
  }
}

function isRefusal(change: PortChange, { errno }: Acknowledgement): boolean {
  if (errno === 0 || errno === ENODEV) return false;
  return !(change.kind === "unpin" && errno === ENOENT);
}
