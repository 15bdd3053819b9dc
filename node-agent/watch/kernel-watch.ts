// Keeps the kernel in its desired state, whichever program changes it: watches devices, addresses and entries, counts
// messages that the kernel dropped, and also checks everything periodically.
import type { Logger } from "pino";
import { every, type Repetition } from "../../common/every.ts";
import type { MacAddress, Vni } from "../../schema/address/index.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { HostAddress, Link, PortOfBridge } from "../kernel/codec/link-codec.ts";
import {
  decodeBridgeEntry,
  decodeEntry,
  decodePlace,
  findBehindNexthops,
  findHiding,
  type NeighbourMessage,
  NTF_EXT_LEARNED,
  NUD_FAILED,
  RTM_DELNEIGH,
} from "../kernel/codec/neighbour-codec.ts";
import type { BridgePorts } from "../kernel/devices/bridge-ports.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { ChangeSocket } from "../kernel/sockets/change-socket.ts";
import type { MissSocket } from "../kernel/sockets/miss-socket.ts";
import { Budget } from "../misses/budget.ts";
import type { Broadcasts } from "../networks/broadcasts.ts";
import type { Cause } from "../networks/entry-reconciler.ts";
import type { EntryWriter } from "../networks/entry-writer.ts";
import type { HostNetworks } from "../networks/host-networks.ts";
import type { HostPorts } from "../networks/host-ports.ts";
import type { PortRegister } from "../networks/port-register.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import { type ActualEntry, type Place, sameEntry, type Tables } from "../tables/entry.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { GuestReports } from "./guest-reports.ts";
import type { GuestWatch } from "./guest-watch.ts";
import { MacFloods } from "./mac-floods.ts";

/** Interval of reading the drop counters: an overrun is detected within that time. */
const dropsEveryMs = 500;
/** Interval of complete checks, ± half of it, so that hosts do not synchronise. */
const timerMs = 60_000;
/** Delay of a repair that was made too often to be made at once. */
const laterMs = 50;
/** Changes that are judged again after that delay; with more the network is compared in any case. */
const maxJudgedAgain = 64;

/** A change to an entry of a tunnel, as the kernel notified of it. */
interface EntryChange {
  readonly place: Place;
  /** Undefined: deleted. */
  readonly actual: ActualEntry | undefined;
}

export interface KernelWatchDependencies {
  readonly devices: NetworkDevices;
  readonly misses: Pick<MissSocket, "drops">;
  readonly registered: RegisteredNetworks;
  readonly networks: HostNetworks;
  readonly writer: Pick<EntryWriter, "write">;
  readonly ports: HostPorts;
  readonly bridgePorts: BridgePorts;
  readonly register: Pick<PortRegister, "claims" | "forget">;
  readonly held: HeldAnswers;
  readonly broadcasts: Pick<Broadcasts, "entryAt" | "isDecided" | "stateOf">;
  readonly tables: Pick<Tables, "hiding">;
  readonly guests: Pick<GuestWatch, "heard" | "lookSoon">;
  readonly awaited: { look(vni: Vni): void };
  readonly reporter: Pick<Reporter, "note">;
  readonly reports: Pick<GuestReports, "stolen">;
  readonly log: Logger;
  /** Resolves when everything that another thread has written is known here. Absent: there is none. */
  readonly settleThread?: (() => Promise<unknown> | undefined) | undefined;
  /** A link or an address changed on which routes may depend: the kernel removes those of IPv4 silently when a link goes down. */
  onUnderlay(): void;
  nowMs(): number;
  /** In [0, 1). */
  random(): number;
}

export class KernelWatch {
  /** Bridge entries that a guest's frame had moved to its port, and that were restored. */
  thefts = 0;
  private readonly socket: ChangeSocket;
  private readonly learned: MacFloods;
  private readonly drops: Repetition;
  private timer: NodeJS.Timeout | undefined;
  private readonly dropped = { misses: 0, changes: 0 };
  private readonly later = new Map<Vni, NodeJS.Timeout>();
  /** By network, changes that did not match the cached answers. */
  private readonly doubtful = new Map<Vni, EntryChange[]>();
  /** Networks that are to be looked at whatever has become of their doubtful changes. */
  private readonly certain = new Set<Vni>();
  private readonly putBacks = new Budget({ perSecond: 20, burst: 5 });

  /** Opens its sockets in the calling thread's network namespace. */
  constructor(private readonly deps: KernelWatchDependencies) {
    this.socket = new ChangeSocket({
      onLink: (link, gone) => this.onLink(link, gone),
      onPort: (port) => this.onPort(port),
      onAddress: (address) => this.onAddress(address),
      onFilter: (ifindex) => this.onFilter(ifindex),
      onEntry: (message) => this.onEntry(message),
    });
    this.learned = new MacFloods({ ...deps, onLearned: (message) => this.onEntry(message) });
    this.drops = every(dropsEveryMs, () => this.checkDrops(), { inStep: true });
    this.schedule();
  }

  /** Messages that the kernel dropped on this subscription, since the start. */
  changeDrops(): number {
    return this.socket.drops();
  }

  close(): void {
    this.drops.stop();
    clearTimeout(this.timer);
    for (const timer of this.later.values()) clearTimeout(timer);
    this.later.clear();
    this.socket.close();
    this.learned.close();
  }

  /** Number of MAC floods since the start. */
  get macFloods(): number {
    return this.learned.floods;
  }

  private schedule(): void {
    this.timer = setTimeout(
      () => {
        this.deps.networks.look("timer");
        this.deps.onUnderlay();
        this.schedule();
      },
      timerMs * (0.5 + this.deps.random()),
    );
  }

  private checkDrops(): void {
    const { reporter, misses, log, networks } = this.deps;
    const now = { misses: misses.drops(), changes: this.socket.drops() };
    for (const subject of ["misses", "changes"] as const) {
      const dropped = now[subject] - this.dropped[subject];
      if (dropped <= 0) continue;
      this.dropped[subject] = now[subject];
      if (reporter.note({ kind: "overrun", subject, count: dropped })) {
        log.warn({ dropped, of: subject }, "overrun: the kernel dropped messages; checking all tables");
      }
      networks.look("overrun");
      this.deps.guests.lookSoon();
    }
  }

  private onLink(link: Link, gone: boolean): void {
    const { devices, networks, ports, register, log } = this.deps;
    // First, because until then the guest behind a new port can reach this host.
    devices
      .closePort(link, gone)
      .catch((error: unknown) => log.error({ err: error, port: link.name }, "port not closed"));
    const concerned = devices.onLink(link, gone);
    register.forget(concerned === undefined ? link.name : undefined);
    if (concerned === undefined || concerned === "all") this.deps.onUnderlay();
    ports.onLink(link, gone);
    if (register.claims(link.name)) {
      // Rules match its name, and its bridge decides its network.
      networks.guard();
      this.deps.guests.lookSoon();
    }
    if (concerned === "all") networks.look("device");
    else if (concerned !== undefined) networks.look("device", concerned);
    else {
      const vni = gone || link.master === undefined ? undefined : devices.vniOfBridge(link.master);
      if (vni !== undefined) this.lookAtPorts(vni);
      networks.sweep();
    }
  }

  private onPort({ ifindex, bridgeIfindex }: PortOfBridge): void {
    const { devices, networks } = this.deps;
    const vni = devices.vniOfBridge(bridgeIfindex);
    if (vni === undefined) return;
    if (devices.vniOf(ifindex) === vni) networks.look("device", vni);
    else this.lookAtPorts(vni);
  }

  private lookAtPorts(vni: Vni): void {
    this.deps.guests.heard(vni);
    this.deps.awaited.look(vni);
    this.deps.networks.lookAtPorts(vni);
  }

  private onAddress({ ip, ifindex }: HostAddress): void {
    const { devices, networks, registered } = this.deps;
    const vni = devices.vniOf(ifindex) ?? devices.vniOfBridge(ifindex);
    this.deps.onUnderlay();
    if (ip === registered.tunnelEnd?.vtep) networks.look("device");
    else if (vni !== undefined) networks.look("device", vni);
  }

  /** A bridge that lost its filter delivers frames to the host until it is restored; those of others may drop frames. */
  private onFilter(ifindex: number): void {
    const { devices } = this.deps;
    const vni = devices.vniOfBridge(ifindex) ?? devices.vniOf(ifindex);
    if (vni !== undefined) this.deps.networks.look("device", vni);
  }

  private onEntry(message: NeighbourMessage): void {
    const vni = this.deps.devices.vniOf(message.ifindex);
    if (vni !== undefined) this.onTunnelEntry(vni, message);
    else this.onPortEntry(message);
  }

  /**
   * Own writes are notified, too: they match the held entries. Those of the thread for networks in memory may be notified first, and match a
   * moment later.
   */
  private onTunnelEntry(vni: Vni, message: NeighbourMessage): void {
    const device = this.deps.devices.deviceOf(vni);
    if (this.hides(vni, message)) this.lookInAnyCase("entry", vni);
    const place = device && decodePlace(message, device);
    if (!place) return;
    const change = { place, actual: message.type === RTM_DELNEIGH ? undefined : decodeEntry(message, device) };
    if (this.agrees(change)) return;
    const changes = this.doubtful.get(vni) ?? [];
    if (changes.length <= maxJudgedAgain) changes.push(change);
    this.doubtful.set(vni, changes);
    this.lookLater("entry", vni);
  }

  private agrees({ place, actual }: EntryChange): boolean {
    const { held, broadcasts } = this.deps;
    const isBroadcast = place.kind === "broadcast";
    if (isBroadcast && !broadcasts.isDecided(place.vni)) return true;
    const desired = isBroadcast ? broadcasts.entryAt(place) : held.desiredAt(place);
    // The list of a network whose broadcasts are copied is the agent's alone.
    if (!desired && isBroadcast && broadcasts.stateOf(place.vni)) return actual === undefined;
    return desired
      ? actual?.own === true && actual.lasting && sameEntry(actual.entry, desired)
      : actual === undefined || !actual.own;
  }

  /** Another program's entry prevents misses, or no longer does. The kernel shows a neighbour as failed before it deletes it. */
  private hides(vni: Vni, message: NeighbourMessage): boolean {
    const mac = findBehindNexthops(message);
    if (mac) return message.type !== RTM_DELNEIGH || this.deps.tables.hiding(vni).behindNexthops.has(mac);
    const hiding = findHiding(message);
    if (hiding === undefined || hiding === "flood") return hiding !== undefined;
    if (message.type === RTM_DELNEIGH) return this.deps.tables.hiding(vni).hidden.has(hiding);
    return (message.state & NUD_FAILED) === 0;
  }

  /** A pin that another program removed, replaced or moved; entries of the agent stay in place and have its mark. */
  private onPinnedEntry(vni: Vni, mac: MacAddress, message: NeighbourMessage): void {
    const held = this.deps.held.find({ kind: "mac", vni, mac });
    if (held?.kind !== "local" || held.port === undefined) return;
    const stands = this.deps.ports.pinnedTo(vni).get(message.ifindex)?.includes(mac) ?? false;
    const agrees = message.type !== RTM_DELNEIGH && (message.flags & NTF_EXT_LEARNED) !== 0 && stands;
    if (!agrees) this.deps.networks.lookAtPorts(vni);
  }

  /** A bridge entry on a guest's port: if the MAC is a remote VM's, a frame that carries it has stolen it. */
  private onPortEntry(message: NeighbourMessage): void {
    const found = decodeBridgeEntry(message);
    const vni = found && this.deps.devices.vniOfBridge(found.bridgeIfindex);
    if (!found || vni === undefined) return;
    this.deps.guests.heard(vni);
    this.onPinnedEntry(vni, found.mac, message);
    if (message.type === RTM_DELNEIGH) return;
    const entry = this.deps.held.desiredAt({ kind: "bridge", vni, mac: found.mac });
    if (!entry) return;
    const nowMs = this.deps.nowMs();
    // A VM that is being migrated here sends before the commit; until then it is reached where it is registered.
    if (!this.deps.registered.prepared.has(vni, found.mac)) {
      this.deps.reports.stolen({ vni, mac: found.mac, portIfindex: message.ifindex });
      this.reportTheft(vni, found.mac, message.ifindex);
      this.thefts++;
    }
    if (this.putBacks.allows(`${vni} ${found.mac}`, nowMs)) {
      this.putBacks.spend(`${vni} ${found.mac}`, nowMs);
      void this.deps.writer.write([{ verb: "put", entry }]);
    } else this.lookInAnyCase("theft", vni);
  }

  private reportTheft(vni: Vni, mac: MacAddress, portIfindex: number): void {
    const detail = `restored from the port with ifindex ${portIfindex}`;
    if (!this.deps.reporter.note({ kind: "theft", vni, subject: mac, detail })) return;
    this.deps.log.warn(
      { network: this.deps.registered.nameOf(vni), vni, mac, portIfindex },
      "theft: a guest's frame carried a remote VM's MAC address; the bridge's entry is put back",
    );
  }

  private lookInAnyCase(cause: Cause, vni: Vni): void {
    this.certain.add(vni);
    this.lookLater(cause, vni);
  }

  /** One check for all changes within a moment: an `ip neigh flush` causes thousands of messages. */
  private lookLater(cause: Cause, vni: Vni): void {
    if (this.later.has(vni)) return;
    this.later.set(
      vni,
      setTimeout(() => {
        void this.judge(cause, vni);
      }, laterMs),
    );
  }

  private async judge(cause: Cause, vni: Vni): Promise<void> {
    // What the thread for networks in memory has written is desired as soon as its record is read.
    await this.deps.settleThread?.();
    if (!this.later.delete(vni)) return;
    const changes = this.doubtful.get(vni) ?? [];
    this.doubtful.delete(vni);
    const isCertain = this.certain.delete(vni);
    const isOver = changes.length <= maxJudgedAgain && changes.every((change) => this.agrees(change));
    if (isCertain || !isOver) this.deps.networks.look(cause, vni);
  }
}
