// Checks periodically that the guests that send on this host are those that are registered on it.
import { every, type Repetition } from "../../common/every.ts";
import type { MacAddress, Vni } from "../../schema/address/index.ts";
import type { BridgePorts } from "../kernel/devices/bridge-ports.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { compareGuests, type GuestFinding, LastingFindings } from "../tables/local-guests.ts";

/** Interval of checks of all networks: a bridge forgets a silent guest after 300 s. */
const everyMs = 10_000;

export interface GuestWatchDependencies {
  readonly devices: Pick<NetworkDevices, "deviceOf">;
  readonly bridgePorts: Pick<BridgePorts, "list">;
  readonly registered: Pick<RegisteredNetworks, "vnis">;
  readonly held: HeldAnswers;
  /** A condition became true; once each time. */
  onFinding(finding: GuestFinding): void;
  nowMs(): number;
}

export class GuestWatch {
  private readonly lasting = new LastingFindings();
  private readonly heard = new Map<Vni, Set<MacAddress>>();
  private readonly timer: Repetition;

  constructor(private readonly deps: GuestWatchDependencies) {
    this.timer = every(everyMs, () => this.look());
  }

  /** The present conditions. */
  get findings(): readonly GuestFinding[] {
    return this.lasting.list();
  }

  close(): void {
    this.timer.stop();
  }

  /** Checks all networks, one after the other. */
  async look(): Promise<void> {
    try {
      const vnis = this.deps.registered.vnis();
      for (const vni of this.heard.keys()) if (!vnis.includes(vni)) this.forget(vni);
      for (const vni of vnis) await this.lookAt(vni);
    } catch (error) {
      // A bridge that is being created or deleted: the next check handles it.
      if (!(error instanceof NetlinkError)) throw error;
    }
  }

  private async lookAt(vni: Vni): Promise<void> {
    const { devices, bridgePorts, held, onFinding, nowMs } = this.deps;
    const device = devices.deviceOf(vni);
    if (!device) return;
    const ports = await bridgePorts.list(device, () => true);
    const registered = held.locals(vni);
    const known = new Set(registered.map(({ mac }) => mac));
    const heard = this.heardOf(vni, known);
    // There may be any number of other guests, which are irrelevant here.
    for (const { learned } of ports) for (const mac of learned) if (known.has(mac)) heard.add(mac);
    const isRemote = (mac: MacAddress): boolean => held.find({ kind: "mac", vni, mac })?.kind === "remote";
    const found = compareGuests({ vni, registered, ports, isRemote }, heard);
    for (const finding of this.lasting.update(vni, found, nowMs())) onFinding(finding);
  }

  /** Registered guests only: a guest that is registered again must be seen again. */
  private heardOf(vni: Vni, registered: ReadonlySet<MacAddress>): Set<MacAddress> {
    const heard = new Set([...(this.heard.get(vni) ?? [])].filter((mac) => registered.has(mac)));
    this.heard.set(vni, heard);
    return heard;
  }

  private forget(vni: Vni): void {
    this.heard.delete(vni);
    this.lasting.update(vni, [], this.deps.nowMs());
  }
}
