// Reads links and addresses of this host, and makes single changes for `network-devices.ts`.
import { defined } from "../../../common/defined.ts";
import type { VtepAddress } from "../../../schema/address/index.ts";
import { decodeAddress, decodeLink, type HostAddress, type Link } from "../codec/link-codec.ts";
import { RTM_DELLINK, RTM_GETADDR, RTM_GETLINK, RTM_NEWLINK } from "../codec/link-numbers.ts";
import {
  encodeAddressDump,
  encodeLinkDelete,
  encodeLinkDump,
  encodeLinkDumpOfKind,
  encodeLinkGet,
  encodeRename,
} from "../codec/link-requests.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../codec/netlink-codec.ts";
import { NetlinkError, type RequestSocket } from "../sockets/request-socket.ts";
import type { Underlay } from "./device-fit.ts";
import { isOurs } from "./device-names.ts";
import { DeviceError } from "./device-problems.ts";

const ENODEV = 19;

export class Links {
  constructor(private readonly socket: RequestSocket) {}

  async find(which: { readonly name: string } | { readonly ifindex: number }): Promise<Link | undefined> {
    const message = await this.socket.get(RTM_GETLINK, encodeLinkGet(which));
    return message && decodeLink(message);
  }

  /** A link that was just created. @throws DeviceError if it is gone again */
  async get(name: string): Promise<Link> {
    const link = await this.find({ name });
    if (!link) throw new DeviceError("vanished", { device: name });
    return link;
  }

  /** The link of that name; a link with a known index that was renamed gets its name back. */
  async findOrRename(name: string, knownIfindex: number | undefined): Promise<Link | undefined> {
    const found = await this.find({ name });
    if (found || !knownIfindex) return found;
    const renamed = await this.find({ ifindex: knownIfindex });
    if (!renamed || !isOurs(renamed)) return undefined;
    await this.set(renamed.name, encodeRename(renamed.ifindex, name));
    return { ...renamed, name };
  }

  /** All of the namespace, or a bridge's ports. @throws NetlinkError */
  async list(bridgeIfindex?: number): Promise<Link[]> {
    const messages = await this.socket.dump("list links", RTM_GETLINK, encodeLinkDump(bridgeIfindex));
    const links = messages.flatMap((message) => decodeLink(message) ?? []);
    return bridgeIfindex === undefined ? links : links.filter((link) => link.master === bridgeIfindex);
  }

  /** All vxlan devices of the namespace. @throws NetlinkError */
  async vxlans(): Promise<Link[]> {
    const messages = await this.socket.dump("list vxlan devices", RTM_GETLINK, encodeLinkDumpOfKind("vxlan"));
    // A kernel that does not filter by kind (before 4.6) sends all.
    return messages.flatMap((message) => decodeLink(message) ?? []).filter(({ kind }) => kind === "vxlan");
  }

  /** The link that carries a VTEP address. @throws NetlinkError */
  async findByAddress(vtep: VtepAddress, addresses?: readonly HostAddress[]): Promise<Underlay | undefined> {
    const all = (addresses ?? (await this.addresses())).filter(({ ip }) => ip === vtep);
    const address = all.find(({ unusable }) => !unusable) ?? all[0];
    const link = address && (await this.find({ ifindex: address.ifindex }));
    return link && { ...link, ...defined({ unusable: address.unusable }) };
  }

  /** Of this host, on all its links. @throws NetlinkError */
  async addresses(): Promise<HostAddress[]> {
    const messages = await this.socket.dump("list addresses", RTM_GETADDR, encodeAddressDump());
    return messages.flatMap((message) => decodeAddress(message) ?? []);
  }

  /** @throws NetlinkError */
  create(name: string, payload: Buffer): Promise<void> {
    return this.socket.request(`creating ${name}`, { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, payload });
  }

  /** @throws NetlinkError */
  set(name: string, payload: Buffer, type = RTM_NEWLINK): Promise<void> {
    return this.socket.request(`setting up ${name}`, { type, flags: 0, payload });
  }

  /** A link that is already gone counts as deleted. @throws NetlinkError */
  async delete(link: Link): Promise<void> {
    const [result] = await this.socket.send([{ type: RTM_DELLINK, flags: 0, payload: encodeLinkDelete(link.ifindex) }]);
    if (result && result.errno !== 0 && result.errno !== ENODEV) {
      throw new NetlinkError(`deleting ${link.name}`, result);
    }
  }
}

/** How old a reading may be: a round that takes longer reads again. */
const freshMs = 100;

/**
 * What a check of any network needs of all devices, read once for the networks of a round. A change in that time is notified, and the network is
 * checked again.
 */
export class Survey {
  private readonly read = new Map<
    "vxlans" | "addresses",
    { readonly atMs: number; readonly found: Promise<unknown> }
  >();

  constructor(
    private readonly links: Pick<Links, "vxlans" | "addresses">,
    private readonly nowMs: () => number,
  ) {}

  /** @throws NetlinkError */
  vxlans(): Promise<Link[]> {
    return this.once("vxlans", () => this.links.vxlans());
  }

  /** @throws NetlinkError */
  addresses(): Promise<HostAddress[]> {
    return this.once("addresses", () => this.links.addresses());
  }

  private once<T>(what: "vxlans" | "addresses", read: () => Promise<T>): Promise<T> {
    const known = this.read.get(what);
    if (known && this.nowMs() - known.atMs < freshMs) return known.found as Promise<T>;
    const found = read();
    this.read.set(what, { atMs: this.nowMs(), found });
    return found;
  }
}
