// Bounds the cost of a guest that sends from more addresses than there can be guests. Its bridge learns a bounded number of
// them (kernel/codec/link-requests.ts) if the kernel can do so; on an older kernel its port stops learning for a while.
// Addresses that were not read during that time are found by reading the tables, rarely.
import type { Logger } from "pino";
import type { Vni } from "../../schema/address/index.ts";
import type { Reporter } from "../findings/reporter.ts";
import { decodeBridgeEntry, type NeighbourMessage } from "../kernel/codec/neighbour-codec.ts";
import type { BridgePorts } from "../kernel/devices/bridge-ports.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { LearnedSocket } from "../kernel/sockets/learned-socket.ts";
import type { HostNetworks } from "../networks/host-networks.ts";
import type { HostPorts } from "../networks/host-ports.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { GuestWatch } from "./guest-watch.ts";

/** Interval of checks of all networks during a flood. */
const lookEveryMs = 5_000;
const defaultRestMs = 60_000;
/** Minimum interval of log lines about one network. */
const logEveryMs = 60_000;

export interface MacFloodsDependencies {
  readonly devices: Pick<NetworkDevices, "vniOfBridge" | "limitsLearning">;
  readonly bridgePorts: Pick<BridgePorts, "find" | "setLearning">;
  readonly ports: Pick<HostPorts, "pinnedTo">;
  readonly registered: Pick<RegisteredNetworks, "nameOf">;
  readonly networks: Pick<HostNetworks, "look">;
  readonly guests: Pick<GuestWatch, "lookSoon">;
  readonly reporter: Pick<Reporter, "note">;
  /** Of every entry that is heard. */
  onLearned(message: NeighbourMessage): void;
  readonly log: Pick<Logger, "warn">;
  /** Time for which a port of a bridge without a limit does not learn; default a minute. */
  readonly restMs?: number;
  nowMs(): number;
}

export class MacFloods {
  /** Number of MAC floods since the start. */
  floods = 0;
  private readonly socket: LearnedSocket;
  private readonly resting = new Map<number, NodeJS.Timeout>();
  private readonly loggedMs = new Map<Vni, number>();
  private looking: NodeJS.Timeout | undefined;
  private lookedMs = Number.NEGATIVE_INFINITY;

  /** Opens its socket in the calling thread's network namespace. */
  constructor(private readonly deps: MacFloodsDependencies) {
    const { onLearned, nowMs } = deps;
    this.socket = new LearnedSocket({ onLearned, onFlood: (last) => this.onFlood(last) }, nowMs);
  }

  /** Ports whose learning is off stay so: the data path does not need the agent. */
  close(): void {
    this.socket.close();
    clearTimeout(this.looking);
    for (const timer of this.resting.values()) clearTimeout(timer);
  }

  private onFlood(last: NeighbourMessage): void {
    this.floods++;
    this.lookLater();
    const bridgeIfindex = decodeBridgeEntry(last)?.bridgeIfindex;
    const vni = bridgeIfindex === undefined ? undefined : this.deps.devices.vniOfBridge(bridgeIfindex);
    if (bridgeIfindex === undefined || vni === undefined) return;
    void this.tell(vni, last.ifindex);
    if (!this.deps.devices.limitsLearning(bridgeIfindex)) this.rest(vni, last.ifindex);
  }

  /** A theft, or a guest, may have been missed. The first check is soon, the next ones are rare, the last is after the flood. */
  private lookLater(): void {
    if (this.looking) return;
    const waitMs = Math.max(0, this.lookedMs + lookEveryMs - this.deps.nowMs());
    this.looking = setTimeout(() => {
      this.looking = undefined;
      this.lookedMs = this.deps.nowMs();
      this.deps.networks.look("overrun");
      this.deps.guests.lookSoon();
    }, waitMs);
  }

  private async tell(vni: Vni, portIfindex: number): Promise<void> {
    const { nowMs, log, registered, bridgePorts, reporter } = this.deps;
    if (nowMs() - (this.loggedMs.get(vni) ?? Number.NEGATIVE_INFINITY) < logEveryMs) return;
    this.loggedMs.set(vni, nowMs());
    const port = (await bridgePorts.find(portIfindex))?.name;
    if (port === undefined) return;
    reporter.note({ kind: "mac-flood", vni, subject: port });
    log.warn(
      { network: registered.nameOf(vni), vni, port },
      "MAC flood: a guest sends from too many MAC addresses; register its port to stop this (docs/anti-spoof.md)",
    );
  }

  private rest(vni: Vni, ifindex: number): void {
    if (this.resting.has(ifindex)) return;
    const { restMs = defaultRestMs } = this.deps;
    const timer = setTimeout(() => void this.resume(vni, ifindex).catch(this.onRefusal), restMs);
    this.resting.set(ifindex, timer);
    this.deps.bridgePorts.setLearning(ifindex, false).catch(this.onRefusal);
  }

  private async resume(vni: Vni, ifindex: number): Promise<void> {
    this.resting.delete(ifindex);
    const port = await this.deps.bridgePorts.find(ifindex);
    const isOurs = port?.master !== undefined && this.deps.devices.vniOfBridge(port.master) === vni;
    // If its port has been registered since, it does not learn anyway.
    if (isOurs && !this.deps.ports.pinnedTo(vni).has(ifindex)) await this.deps.bridgePorts.setLearning(ifindex, true);
  }

  private readonly onRefusal = (error: unknown): void =>
    this.deps.log.warn({ err: error }, "a port's learning was not changed");
}
