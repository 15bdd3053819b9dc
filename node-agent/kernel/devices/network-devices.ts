// The devices of a network on this host: bridge nmb<vni> for the guests' ports, and vxlan nmv<vni> as one of its ports.
// The agent creates and maintains them. Devices with these names but without the agent's alias are not touched.
// A third-party vxlan device that the agent may adopt serves a network instead of nmv<vni>, with its bridge.
import type { AgentNetwork, Vni } from "../../../schema/address/index.ts";
import type { Link } from "../codec/link-codec.ts";
import { encodeLinkSettings, encodeMaster } from "../codec/link-requests.ts";
import type { HostRuleTables } from "../filters/host-rule-tables.ts";
import { NetlinkError, type RequestSocket } from "../sockets/request-socket.ts";
import { probeTables } from "../tables/path-probe.ts";
import { type Adoptable, type Awaited, chooseVxlan, mayAdopt } from "./adoption.ts";
import { hopOf, type LocalVtep, type RoutedMtu, tunnelMtu } from "./device-fit.ts";
import { aliasFor, bridgeName, disownedEpoch, isOurs, vxlanName } from "./device-names.ts";
import {
  blockedPorts,
  type DeviceWarning,
  devicesOnTop,
  foreignAddresses,
  foreignPrograms,
  notCovered,
  rivals,
  tooLargeMtu,
  unreachableVtep,
  withoutIpv6,
} from "./device-problems.ts";
import { isFiltered } from "./foreign-filters.ts";
import { enableIpv6 } from "./ipv6-setting.ts";
import { Links, Survey } from "./links.ts";
import { NetworkBridges } from "./network-bridges.ts";
import { ServedDevices } from "./served-devices.ts";
import { VxlanDevices } from "./vxlan-devices.ts";

export interface DevicesOptions {
  /** Devices of others that may serve a network here; default none. */
  readonly adoptable?: Adoptable;
  /** The rules that keep guests of adopted bridges from this host's tunnels; without them no third-party bridge is used. */
  readonly hostRules?: HostRuleTables | undefined;
  readonly nowMs?: () => number;
}

export class NetworkDevices {
  private readonly links: Links;
  private readonly served = new ServedDevices();
  private readonly bridgesOfNetworks: NetworkBridges;
  private readonly vxlans: VxlanDevices;
  /** The link with the VTEP address, at the last check. */
  private underlay: Link | undefined;
  /** Devices that take their frames from another one, by ifindex. */
  private readonly stacked = new Map<number, Link>();
  /** All bridges of the namespace as last read or notified, by ifindex. */
  private readonly knownBridges = new Map<number, Link>();
  /** Networks that need devices here: changes of other devices of their VNIs concern them. */
  private readonly wanted = new Set<Vni>();
  private readonly adopted = new Set<Vni>();
  private readonly awaited = new Map<Vni, Awaited>();
  private readonly adoptable: Adoptable;
  private readonly hostRules: HostRuleTables | undefined;
  private readonly nowMs: () => number;

  readonly deviceOf = this.served.deviceOf;
  readonly vniOf = this.served.vniOf;
  readonly vniOfBridge = this.served.vniOfBridge;
  readonly vnis = this.served.vnis;
  readonly epochOf = this.served.epochOf;

  constructor(
    private readonly socket: RequestSocket,
    { adoptable = new Set(), hostRules, nowMs = () => performance.now() }: DevicesOptions = {},
  ) {
    this.nowMs = nowMs;
    this.links = new Links(socket);
    this.bridgesOfNetworks = new NetworkBridges(socket, this.links, nowMs);
    this.vxlans = new VxlanDevices(this.links);
    this.adoptable = adoptable;
    this.hostRules = hostRules;
  }

  /** The adopted vxlan device that serves the network, and its bridge: when the network leaves only our entries are removed. */
  adoptedFor(vni: Vni): Awaited | undefined {
    return this.adopted.has(vni) ? this.awaited.get(vni) : undefined;
  }

  /** Takes over the devices of an earlier run, with the entries on them. */
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
    for (const link of links) this.bridgesOfNetworks.takeOver(link, (vni) => this.deviceOf(vni) !== undefined);
    for (const link of links) this.onLink(link, false);
    return this.vnis();
  }

  /**
   * Closes all existing bridges, and all their ports, towards the host: an earlier version left some open, and the controller
   * may be disconnected. @throws NetlinkError
   */
  async closeToHost(): Promise<void> {
    await this.bridgesOfNetworks.closeAll(await this.links.list());
    for (const vni of this.adopted) {
      const device = this.deviceOf(vni);
      const bridge = device && (await this.links.find({ ifindex: device.bridgeIfindex }));
      if (device && bridge && !isOurs(bridge)) await this.hostRules?.coverAdopted(vni, bridge.name, device.vtepPort);
    }
  }

  /** Closes a new port of a bridge of ours. @throws NetlinkError */
  closePort(link: Link, gone: boolean): Promise<void> {
    return this.bridgesOfNetworks.follow(link, gone);
  }

  /** A device for adoption, with entries of ours. */
  private async servedBefore(link: Link): Promise<boolean> {
    if (!link.vxlan || !mayAdopt(this.adoptable, link) || this.deviceOf(link.vxlan.vni)) return false;
    const { vni, port } = link.vxlan;
    const device = { ifindex: link.ifindex, bridgeIfindex: link.master ?? 0, vni, vtepPort: port };
    return (await probeTables(this.socket, device)).entries.some(({ entry, own }) => own && entry.kind === "neighbour");
  }

  /**
   * Creates missing devices and sets differing attributes; devices that are in order are not touched.
   * @param epoch of the controller's store, noted on the devices
   * @param routed on the ways to other hosts; absent: none is in use
   * @param survey of the round that this check is one of
   * @returns problems that an operator should fix, although the network works
   * @throws DeviceError for a foreign device in the way, NetlinkError where the kernel refuses
   */
  async ensure(
    network: AgentNetwork,
    local: LocalVtep,
    epoch: string,
    routed?: RoutedMtu,
    survey = this.survey(),
  ): Promise<DeviceWarning[]> {
    const { vni } = network;
    this.wanted.add(vni);
    const addresses = await survey.addresses();
    const underlay = await this.links.findByAddress(local.vtep, addresses);
    this.underlay = underlay;
    const mtu = tunnelMtu(underlay, routed?.largest);
    const alias = aliasFor(network.name, epoch);
    const present = await survey.vxlans();
    const theirs = await this.chooseTheirs(present, network, local);
    const known = this.deviceOf(vni);
    const bridge = theirs
      ? await this.bridgesOfNetworks.ensureFor(theirs, network, alias, known?.bridgeIfindex)
      : await this.bridgesOfNetworks.ensure(network, alias, known?.bridgeIfindex);
    this.knownBridges.set(bridge.ifindex, bridge);
    if (theirs && !isOurs(bridge)) await this.cover(network, bridge, local);
    const vxlan = theirs ?? (await this.vxlans.ensure(network, local, alias, mtu, known?.ifindex));
    await this.vxlans.adjust(vxlan, local, mtu);
    const ipv6Refusal = theirs ? undefined : enableIpv6(vxlan.name);
    await this.vxlans.enslave(vxlan, bridge);
    // Bridge last: until it is up no guest's frame reaches a tunnel that is half set up.
    for (const link of [vxlan, bridge]) if (!link.up) await this.vxlans.setUp(link, present, local);
    this.remember(theirs ? vxlan : { ...vxlan, alias }, bridge.ifindex);
    if (theirs) {
      this.adopted.add(vni);
      this.awaited.set(vni, { name: vxlan.name, bridge: bridge.name });
    }
    // The bridge of an adopted device may be the host's way into the network.
    const devices = isOurs(bridge) ? [vxlan, bridge] : [vxlan];
    return [
      ...unreachableVtep(local, underlay),
      ...(ipv6Refusal === undefined ? [] : [withoutIpv6(network, vxlan)]),
      ...foreignAddresses(network, devices, addresses),
      ...(isOurs(bridge) ? devicesOnTop(network, bridge, [...this.stacked.values()]) : []),
      ...foreignPrograms(network, [vxlan, bridge], (await isFiltered(this.socket, vxlan)) ? vxlan : undefined),
      ...tooLargeMtu(network, local, routed?.smallest ?? hopOf(underlay)),
      ...rivals(present, vxlan, network, local),
    ];
  }

  /** What an operator should fix at guests' ports. @throws NetlinkError */
  async portWarnings(network: AgentNetwork): Promise<DeviceWarning[]> {
    const device = this.deviceOf(network.vni);
    const bridge = device && (await this.links.find({ ifindex: device.bridgeIfindex }));
    if (!device || !bridge) return [];
    const ports = (await this.links.list(bridge.ifindex)).filter(({ ifindex }) => ifindex !== device.ifindex);
    return [...foreignPrograms(network, ports), ...blockedPorts(network, bridge, ports)];
  }

  /**
   * Deletes both devices of a network, with the entries on them; a bridge that still has a guest's port stays, and so do
   * adopted devices.
   */
  async remove(vni: Vni): Promise<void> {
    const device = this.deviceOf(vni);
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
    await this.bridgesOfNetworks.remove(vni);
    await this.hostRules?.uncover(vni);
  }

  /** The devices stay until a network of theirs is registered here: they may be in use under another name of this host. @throws NetlinkError */
  async disown(vni: Vni): Promise<void> {
    this.served.disown(vni);
    const device = this.deviceOf(vni);
    const link = device && (await this.links.find(device));
    if (!link || !isOurs(link)) return;
    const network = link.alias?.split(" ").at(1) ?? "";
    await this.links.set(link.name, encodeLinkSettings(link.ifindex, aliasFor(network, disownedEpoch)));
  }

  isDisowned(vni: Vni): boolean {
    return this.epochOf(vni) === disownedEpoch;
  }

  /** Whether a bridge of ours learns a bounded number of addresses. */
  limitsLearning(bridgeIfindex: number): boolean {
    return this.bridgesOfNetworks.limitsLearning(bridgeIfindex);
  }

  /** The bridges of all networks, as last read or notified. */
  bridges(): Link[] {
    return this.served.list().flatMap(({ bridgeIfindex }) => this.knownBridges.get(bridgeIfindex) ?? []);
  }

  /** For checks of many networks one after the other. */
  survey(): Survey {
    return new Survey(this.links, this.nowMs);
  }

  get hasLeftovers(): boolean {
    return this.bridgesOfNetworks.hasLeftovers;
  }

  /** Deletes the bridges that `remove` left and that have no port any more. @throws NetlinkError */
  sweep(): Promise<void> {
    return this.bridgesOfNetworks.sweep();
  }

  /** A link was changed or deleted. @returns the networks whose devices are concerned: one, all or none */
  onLink(link: Link, gone: boolean): Vni | "all" | undefined {
    if (gone) this.knownBridges.delete(link.ifindex);
    else if (link.kind === "bridge") this.knownBridges.set(link.ifindex, link);
    if (link.ifindex === this.underlay?.ifindex && (gone || differs(link, this.underlay))) return "all";
    const known = this.stacked.get(link.ifindex);
    if (gone || link.on === undefined) this.stacked.delete(link.ifindex);
    else this.stacked.set(link.ifindex, link);
    const below = link.on ?? known?.on;
    const vni =
      this.vniOf(link.ifindex) ??
      this.vniOfBridge(link.ifindex) ??
      (below === undefined ? undefined : this.vniOfBridge(below));
    if (vni !== undefined) return vni;
    // Another device of a VNI that we serve: a second one appeared or disappeared, or the device for adoption appeared.
    if (link.vxlan && this.wanted.has(link.vxlan.vni)) return link.vxlan.vni;
    this.bridgesOfNetworks.onLink(link, gone, link.master === undefined ? undefined : this.vniOfBridge(link.master));
    return undefined;
  }

  /** The adopted device that serves a network, if any. @throws DeviceError */
  private async chooseTheirs(vxlans: Link[], network: AgentNetwork, local: LocalVtep): Promise<Link | undefined> {
    const { vni } = network;
    const masters = new Map<number, string>();
    for (const { vxlan, master } of vxlans) {
      if (vxlan?.vni !== vni || master === undefined) continue;
      const bridge = await this.links.find({ ifindex: master });
      if (bridge) masters.set(master, bridge.name);
    }
    const bridgeOf = ({ master }: Link): string | undefined => (master === undefined ? undefined : masters.get(master));
    const known = this.deviceOf(vni)?.ifindex;
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

  /** @throws DeviceError where the kernel does not load the rules */
  private async cover(network: AgentNetwork, bridge: Link, local: LocalVtep): Promise<void> {
    try {
      if (!this.hostRules) throw notCovered(bridge, network, "no netfilter");
      await this.hostRules.coverAdopted(network.vni, bridge.name, local.vtepPort);
    } catch (error) {
      throw error instanceof NetlinkError ? notCovered(bridge, network, error) : error;
    }
  }

  private remember(link: Link, bridgeIfindex: number): void {
    if (link.vxlan) this.forget(link.vxlan.vni);
    this.served.remember(link, bridgeIfindex);
  }

  private forget(vni: Vni): void {
    this.served.forget(vni);
    this.adopted.delete(vni);
  }
}

const differs = (now: Link, before: Link): boolean =>
  now.mtu !== before.mtu || now.up !== before.up || now.carrier !== before.carrier;
