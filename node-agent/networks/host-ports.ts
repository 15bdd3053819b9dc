// The guests' ports of this host's networks: addresses with a registered port are pinned to it, and the former settings of a
// port are restored when its VM leaves.
import type { Logger } from "pino";
import { SerialQueue } from "../../common/serial-queue.ts";
import type { MacAddress, Vni } from "../../schema/address/index.ts";
import type { Link } from "../kernel/codec/link-codec.ts";
import type { BridgePorts } from "../kernel/devices/bridge-ports.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { behaviourInAlias, planPorts, samePins, type WantedPins, wantedPins } from "../tables/pins.ts";
import type { GuestPort, PortBehaviour } from "../tables/port.ts";
import type { PreparedGuests } from "../tables/prepared-guests.ts";

export interface HostPortsDependencies {
  readonly devices: Pick<NetworkDevices, "deviceOf" | "vniOfBridge">;
  readonly bridgePorts: Pick<BridgePorts, "list" | "find" | "apply">;
  readonly held: Pick<HeldAnswers, "locals">;
  readonly registered: { readonly prepared: Pick<PreparedGuests, "in"> };
  readonly log: Logger;
}

const nothing: WantedPins = new Map();

export class HostPorts {
  /** As of the last check; a network is absent until its ports were checked in this run. */
  private readonly settled = new Map<Vni, WantedPins>();
  private readonly pinned = new Map<Vni, ReadonlyMap<number, readonly MacAddress[]>>();
  /** Reads and changes of ports run one at a time: what was read is what is changed. */
  private readonly work = new SerialQueue();
  /** Former settings of ports whose alias belongs to another program. */
  private readonly before = new Map<number, PortBehaviour>();

  constructor(private readonly deps: HostPortsDependencies) {}

  /** The registered ports of a network differ from those of the last check. */
  hasChanged(vni: Vni): boolean {
    const settled = this.settled.get(vni);
    return settled !== undefined && !samePins(settled, this.wanted(vni));
  }

  /** The addresses that are pinned to a network's ports, by ifindex. */
  pinnedTo(vni: Vni): ReadonlyMap<number, readonly MacAddress[]> {
    return this.pinned.get(vni) ?? new Map();
  }

  /** Applies the registration to a network's ports. @throws NetlinkError */
  async settle(vni: Vni): Promise<void> {
    await this.bring(vni, this.wanted(vni));
  }

  /** The network leaves this host: restores its ports. @throws NetlinkError */
  async release(vni: Vni): Promise<void> {
    await this.bring(vni, nothing);
    this.settled.delete(vni);
    this.pinned.delete(vni);
  }

  /** A port that left our bridges has lost its pins and settings; only our alias stays. */
  onLink(link: Link, gone: boolean): void {
    if (gone) this.before.delete(link.ifindex);
    if (gone || !this.hasLeft(link)) return;
    const forget = this.work.run(async () => {
      // It may have returned since that message was sent, and be pinned again.
      const now = await this.deps.bridgePorts.find(link.ifindex);
      if (!now || !this.hasLeft(now)) return;
      await this.deps.bridgePorts.apply([{ kind: "alias", ifindex: link.ifindex, alias: "" }]);
    });
    forget.catch((error: unknown) => this.deps.log.warn({ err: error, port: link.name }, "port not checked"));
  }

  /** On the leftover bridge of a network, a port with changed settings keeps our alias. */
  private hasLeft({ master, alias, portLearning = true, portFlood = true }: Link): boolean {
    const ours = master !== undefined && this.deps.devices.vniOfBridge(master) !== undefined;
    return !ours && portLearning && portFlood && behaviourInAlias(alias) !== undefined;
  }

  private wanted(vni: Vni): WantedPins {
    const { held, registered } = this.deps;
    return wantedPins(held.locals(vni), registered.prepared.in(vni));
  }

  private bring(vni: Vni, wanted: WantedPins): Promise<void> {
    return this.work.run(() => this.bringInLine(vni, wanted));
  }

  private async bringInLine(vni: Vni, wanted: WantedPins): Promise<void> {
    const { devices, bridgePorts, log } = this.deps;
    const device = devices.deviceOf(vni);
    if (!device) return;
    const known = this.settled.get(vni);
    // The first check of a run finds settings of an earlier run.
    if (known?.size === 0 && wanted.size === 0) return;
    const ports = await bridgePorts.list(device, (port) => known === undefined || this.concerns(vni, port, wanted));
    for (const port of ports) this.remember(port, wanted);
    const changes = planPorts(wanted, ports, this.before);
    const refusals = await bridgePorts.apply(changes);
    const held = ports.filter((port) => wanted.has(port.name));
    for (const port of ports) if (!wanted.has(port.name)) this.before.delete(port.ifindex);
    this.pinned.set(vni, new Map(held.map(({ ifindex, name }) => [ifindex, [...(wanted.get(name) ?? [])]])));
    this.settled.set(vni, wanted);
    if (refusals.length > 0) log.warn({ vni, refused: refusals.length, reason: refusals[0] }, "ports not pinned");
    const pins = changes.filter(({ kind }) => kind === "pin").length;
    const unpins = changes.filter(({ kind }) => kind === "unpin").length;
    if (pins + unpins > 0) log.info({ vni, pins, unpins, ports: held.map(({ name }) => name) }, "ports repaired");
  }

  private concerns(vni: Vni, { name, alias, ifindex }: Link, wanted: WantedPins): boolean {
    const known = this.before.has(ifindex) || this.pinnedTo(vni).has(ifindex);
    return known || wanted.has(name) || behaviourInAlias(alias) !== undefined;
  }

  private remember(port: GuestPort, wanted: WantedPins): void {
    const elsewhere = port.alias === undefined || behaviourInAlias(port.alias) !== undefined;
    if (elsewhere || !wanted.has(port.name) || this.before.has(port.ifindex) || port.pinned.length > 0) return;
    this.before.set(port.ifindex, { learning: port.learning, flood: port.flood });
  }
}
